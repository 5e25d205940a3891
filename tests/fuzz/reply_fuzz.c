/* reply_fuzz.c - lines of a peer, and a reply of our own made of the same bytes */
#include "fuzz.h"

#include "smtp/reply.h"

#include <errno.h>

static void read_lines(struct str in)
{
        struct smtp_reply_reader r;
        smtp_reply_reader_init(&r);
        while (in.len) {
                int code = smtp_reply_reader_feed(&r, str_cut(&in, '\n'));
                check(code == 0 || code == 1 || code == -EBADMSG);
                check(r.text.len <= SMTP_REPLY_TEXT_BYTES_MAX && r.lines <= SMTP_REPLY_LINES_MAX);
                check(strlen(r.enhanced) < sizeof(r.enhanced));
                if (code == 1)
                        check(r.code >= 200 && r.code <= 599 && r.lines > 0);
                if (r.enhanced[0] && code >= 0)
                        check(r.enhanced[0] == '0' + r.code / 100);
        }
        smtp_reply_reader_done(&r);
}

static void write_lines(struct str in, const char *enhanced)
{
        struct smtp_reply reply = smtp_reply_make(550, enhanced, in);
        struct smtp_reply_reader r;
        struct buf out;
        int code = 0;
        buf_init(&out, 1 << 24);
        smtp_reply_reader_init(&r);
        check(smtp_reply_format(&reply, &out) == 0);
        struct str rest = buf_str(&out);
        for (int lines = 1; rest.len; lines++) {
                check(code == 0);
                struct str line = str_cut(&rest, '\n');
                check(line.len < SMTP_REPLY_LINE_BYTES_MAX && str_ends(line, STR("\r")));
                line.len--;
                for (size_t i = 0; i < line.len; i++)
                        check((unsigned char)line.ptr[i] >= ' ' || line.ptr[i] == '\t');
                /* a reader gives up on more than this */
                if (lines <= SMTP_REPLY_LINES_MAX)
                        code = smtp_reply_reader_feed(&r, line);
                else
                        code = rest.len == 0;
        }
        check(code == 1);
        smtp_reply_reader_done(&r);
        buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        read_lines(in);
        write_lines(in, "5.1.1");
        write_lines(in, NULL);
        return 0;
}
