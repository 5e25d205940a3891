/* maildrop_form.c - head, commands and content of a file in maildrop/ */
#include "ops/maildrop_form.h"

#include <stdio.h>

void maildrop_head(size_t dialogue_bytes, char out[MAILDROP_HEAD_BYTES + 1])
{
        snprintf(out, MAILDROP_HEAD_BYTES + 1, "forepost-maildrop 1 %010zu\n",
                 MAILDROP_HEAD_BYTES + dialogue_bytes);
}

bool maildrop_take_line(struct str *rest, struct str *line)
{
        ptrdiff_t end = str_find_str(str_part(*rest, 0, MAILDROP_LINE_BYTES_MAX), STR("\r\n"));
        if (end < 0)
                return false;
        *line = str_part(*rest, 0, (size_t)end);
        *rest = str_tail(*rest, (size_t)end + 2);
        for (size_t i = 0; i < line->len; i++)
                if ((unsigned char)line->ptr[i] < ' ' || line->ptr[i] == 127)
                        return false;
        return true;
}

struct str maildrop_address(struct str line)
{
        bool is_quoted = false;
        str_cut(&line, '<');
        for (size_t i = 0; i < line.len; i++) {
                char c = line.ptr[i];
                if (c == '\\' && is_quoted)
                        i++;
                else if (c == '"')
                        is_quoted = !is_quoted;
                else if (c == '>' && !is_quoted)
                        return str_part(line, 0, i);
        }
        return STR("");
}

const char *maildrop_parse(struct str file, struct str *commands, struct str *content)
{
        struct str line;
        char head[MAILDROP_HEAD_BYTES + 1];
        if (file.len < MAILDROP_HEAD_BYTES)
                return "it is not whole, or no file of a sendmail";
        maildrop_head(file.len - MAILDROP_HEAD_BYTES, head);
        if (!str_starts(file, str_make(head, MAILDROP_HEAD_BYTES)))
                return "it is not whole, or no file of a sendmail";
        struct str dialogue = str_tail(file, MAILDROP_HEAD_BYTES);
        struct str rest = dialogue;
        if (!maildrop_take_line(&rest, &line) || !str_starts_nocase(line, STR("MAIL FROM:")))
                return "it does not begin with a sender";
        size_t count = 0;
        size_t bytes = 0;
        while (bytes = dialogue.len - rest.len, maildrop_take_line(&rest, &line)) {
                if (!str_starts_nocase(line, STR("RCPT TO:")))
                        break;
                count++;
        }
        if (count == 0 || !str_eq(line, STR("DATA")))
                return "recipients are followed by something else than a message";
        *commands = str_part(dialogue, 0, bytes);
        *content = rest;
        /* with the line end in front of it, a dot alone may also be the first line */
        struct str whole = str_make(rest.ptr - 2, rest.len + 2);
        ptrdiff_t end = str_find_str(whole, STR("\r\n.\r\n"));
        if (end < 0 || (size_t)end + 5 != whole.len)
                return "its content does not end where the file does";
        return NULL;
}
