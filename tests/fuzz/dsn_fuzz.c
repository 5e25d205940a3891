/*
 * dsn_fuzz.c - lines become the strings of a report; whatever they hold, its own parts stay as they
 * are
 *
 * In order: flags, sender, address, original, orcpt, envid, status, diagnostic, remote MTA; the
 * rest is header and body.
 */
#include "fuzz.h"

#include "message/dsn.h"

#include <errno.h>

/* All but what is returned: whole lines, no control characters, short enough. */
static void check_lines(struct str text)
{
        while (text.len) {
                struct str line = str_cut(&text, '\n');
                check(str_ends(line, STR("\r")) && line.len <= 999);
                line.len--;
                for (size_t i = 0; i < line.len; i++)
                        check((unsigned char)line.ptr[i] >= ' ' || line.ptr[i] == '\t');
        }
}

/* The boundary that was chosen stands where the parts begin and at the end, and nowhere else. */
static void check_report(struct str all)
{
        struct str boundary = str_tail(all, (size_t)str_find_str(all, STR("\tboundary=\"")) + 11);
        boundary = str_cut(&boundary, '"');
        struct buf line;
        buf_init(&line, 100);
        check(buf_printf(&line, "\r\n--%.*s", STR_ARG(boundary)) == 0);
        struct str rest = all;
        for (int part = 0; part < 4; part++) {
                ptrdiff_t at = str_find_str(rest, buf_str(&line));
                check(at >= 0);
                if (part < 3)
                        check_lines(str_part(rest, part ? 2 : 0, (size_t)at + (part ? 0 : 2)));
                rest = str_tail(rest, (size_t)at + line.len);
        }
        check(str_eq(rest, STR("--\r\n")));
        buf_done(&line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        unsigned flags = fuzz_byte(&in);
        struct envelope e = {.smtputf8 = flags & 1, .sender = str_cut(&in, '\n')};
        struct recipient r = {
                .address = str_cut(&in, '\n'),
                .original = str_cut(&in, '\n'),
                .orcpt = str_cut(&in, '\n'),
        };
        e.envid = str_cut(&in, '\n');
        struct dsn_recipient one = {
                .recipient = &r,
                .action = (enum dsn_action)((flags >> 2) % 5),
                .status = str_cut(&in, '\n'),
                .diagnostic = str_cut(&in, '\n'),
                .remote_mta = str_cut(&in, '\n'),
                .is_smtp = flags & 2,
        };
        ptrdiff_t blank = str_find_str(in, STR("\r\n\r\n"));
        size_t header_bytes = blank < 0 ? in.len : (size_t)blank + 4;
        struct dsn d = {
                .original = &e,
                .original_id = STR("0000000000z0"),
                .reporting_mta = STR("mx.example"),
                .from = STR("MAILER-DAEMON@mx.example"),
                .mail_name = STR("Forepost"),
                .boundary_id = STR("0000000001z1"),
                .recipients = &one,
                .recipient_count = 1,
                .header = str_part(in, 0, header_bytes),
                .body = str_tail(in, header_bytes),
                .returns_body = flags & 128,
        };
        struct buf out;
        if (e.sender.len == 0 || r.address.len == 0)
                return 0;
        buf_init(&out, 1 << 24);
        int code = dsn_format(&d, &out);
        check(code == 0 || code == -ENOBUFS);
        if (code == 0)
                check_report(buf_str(&out));
        buf_done(&out);
        return 0;
}
