/*
 * maildrop_fuzz.c - a file of maildrop/, as it is and with the head that fits it
 *
 * What is taken is one dialogue: commands of one line each, which the session hears one by one, and a content that its decoder ends
 * at the last byte and not before. What follows would be commands that somebody has hidden there.
 */
#include "fuzz.h"

#include "ops/maildrop_form.h"
#include "smtp/dot.h"

#include <errno.h>
#include <stdlib.h>

static void check_commands(struct str commands, size_t file_bytes)
{
        struct str line;
        size_t count = 0;
        check(str_starts_nocase(commands, STR("MAIL FROM:")));
        while (maildrop_take_line(&commands, &line)) {
                check(!fuzz_has_control(line) && line.len < MAILDROP_LINE_BYTES_MAX);
                check(count == 0 || str_starts_nocase(line, STR("RCPT TO:")));
                count++;
        }
        check(commands.len == 0 && count >= 2);
        /* readers have room for a recipient in eight bytes */
        check((count - 1) * 8 <= file_bytes);
}

static void check_content(struct str content)
{
        struct dot_decoder d;
        struct buf out;
        buf_init(&out, 4096);
        dot_decoder_init(&d);
        while (dot_decode(&d, &content, &out) == -ENOBUFS)
                buf_clear(&out);
        check(d.is_done && content.len == 0);
        buf_done(&out);
}

static void check_file(struct str file)
{
        struct str commands, content;
        if (maildrop_parse(file, &commands, &content))
                return;
        check(commands.ptr == file.ptr + MAILDROP_HEAD_BYTES);
        check(content.ptr + content.len == file.ptr + file.len);
        check(str_eq(str_make(commands.ptr + commands.len, 6), STR("DATA\r\n")));
        check(content.ptr == commands.ptr + commands.len + 6);
        check_commands(commands, commands.len);
        check_content(content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        check_file(in);
        if (in.len < MAILDROP_HEAD_BYTES)
                return 0;
        /* chance does not find the number that fits: so the same again with the head it should have */
        char *file = malloc(in.len);
        char head[MAILDROP_HEAD_BYTES + 1];
        check(file);
        maildrop_head(in.len - MAILDROP_HEAD_BYTES, head);
        memcpy(file, in.ptr, in.len);
        memcpy(file, head, MAILDROP_HEAD_BYTES);
        check_file(str_make(file, in.len));
        free(file);
        return 0;
}
