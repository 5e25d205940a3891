/*
 * tcp.c - tcp:host:port (tcp_table(5)): "get key" and a line back, with %XX for what is not plain
 *
 * As in Postfix such a table is asked whole keys only, in the letters they came in.
 */
#include "table/wire_table.h"

#include "wire/wire.h"

#include <errno.h>

static int hex_of(char c)
{
        c = char_lower(c);
        return char_is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the text with its %XX undone. 0, -EBADMSG or -ENOBUFS. */
static int decode(struct str text, struct buf *out)
{
        for (size_t i = 0; i < text.len; i++) {
                char c = text.ptr[i];
                if (c == '%') {
                        int high = i + 2 < text.len ? hex_of(text.ptr[i + 1]) : -1;
                        int low = high >= 0 ? hex_of(text.ptr[i + 2]) : -1;
                        if (low < 0 || (high == 0 && low == 0))
                                return -EBADMSG;
                        c = (char)(high * 16 + low);
                        i += 2;
                }
                int rc = buf_append_char(out, c);
                if (rc)
                        return rc;
        }
        return 0;
}

static void encode(struct str text, struct buf *out)
{
        for (size_t i = 0; i < text.len; i++) {
                unsigned char c = (unsigned char)text.ptr[i];
                if (c <= 0x20 || c == '%' || c >= 0x7f)
                        buf_printf(out, "%%%02X", c);
                else
                        buf_append_char(out, (char)c);
        }
}

void tcp_reply_parse(struct str line, struct server_reply *reply)
{
        bool is_whole = line.len >= 4 && line.ptr[3] == ' ';
        struct str code = str_part(line, 0, 3);
        reply->is_found = false;
        reply->outcome = SERVER_FAILED;
        why_set(&reply->why, 0, "the reply is not understood");
        if (!is_whole || str_find(line, '\0') >= 0)
                return;
        if (str_eq(code, STR("500"))) {
                reply->outcome = SERVER_ANSWERED;
        } else if (str_eq(code, STR("200"))) {
                if (decode(str_tail(line, 4), &reply->value) < 0)
                        return;
                reply->outcome = SERVER_ANSWERED;
                reply->is_found = reply->value.len > 0;
        } else if (str_eq(code, STR("400"))) {
                reply->outcome = SERVER_REFUSED;
                why_set(&reply->why, 0, "the server has trouble of its own");
        }
}

static int await_read(struct wire *w, int64_t deadline_ms, struct server_reply *reply)
{
        struct wire_line line;
        int rc = await_wire_line(w, TCP_REPLY_MAX, deadline_ms, &line);
        if (rc)
                return rc;
        if (wire_has_input(w))
                return -EBADMSG; /* more than one answer to one question */
        tcp_reply_parse(line.text, reply);
        return reply->outcome == SERVER_FAILED ? -EBADMSG : 0;
}

static void await_tcp_ask(void *backend, struct str key, int64_t deadline_ms,
                          struct server_reply *reply)
{
        struct buf question;
        buf_init(&question, 8192);
        buf_append_str(&question, STR("get "));
        encode(key, &question);
        buf_append_char(&question, '\n');
        await_wire_table_ask(backend, buf_str(&question), await_read, deadline_ms, reply);
        buf_done(&question);
}

static int tcp_open(struct table_text *text, void **contents)
{
        static const struct server_kind kind = {.ask = await_tcp_ask, .free = free};
        struct wire_place *place = calloc(1, sizeof(*place));
        struct why why;
        if (!place)
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        if (wire_place_parse_inet(place, str_make(text->bytes, text->len), &why) < 0) {
                free(place);
                return text_fault(text, 0, -EINVAL, "table-syntax", "write tcp:host:port", "%s",
                                  why.text);
        }
        *contents = server_new(text, &kind, place, str_from(place->key));
        return 0;
}

const struct table_type table_type_tcp = {
        .name = "tcp",
        .source = SOURCE_NAME,
        .is_pattern = true,
        .bytes_max = 2000,
        .open = tcp_open,
        .find = await_server_find,
        .free = server_free,
        .figures = server_figures,
};
