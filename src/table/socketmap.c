/*
 * socketmap.c - socketmap:inet:host:port:name, socketmap:unix:path:name (socketmap_table(5))
 *
 * A question is the netstring "name key", an answer a netstring that begins with OK, NOTFOUND, TEMP,
 * TIMEOUT or PERM. The last three are all that cannot be asked: 4xx, as in Postfix.
 */
#include "table/wire_table.h"

#include "wire/wire.h"

#include <errno.h>

struct socketmap {
        struct wire_place place;
        struct str name; /* behind this struct */
};

int netstring_parse(struct str in, size_t bytes_max, struct str *payload, size_t *used)
{
        size_t len = 0;
        size_t i = 0;
        for (; i < in.len && char_is_digit(in.ptr[i]); i++) {
                if (i && len == 0)
                        return -EBADMSG; /* a zero in front */
                len = len * 10 + (size_t)(in.ptr[i] - '0');
                if (len > bytes_max)
                        return -EMSGSIZE;
        }
        if (i == in.len)
                return -EAGAIN;
        if (i == 0 || in.ptr[i] != ':')
                return -EBADMSG;
        i++;
        if (in.len - i <= len)
                return -EAGAIN;
        if (in.ptr[i + len] != ',')
                return -EBADMSG;
        *payload = str_part(in, i, len);
        *used = i + len + 1;
        return 0;
}

/* What the server says about its trouble, fit for a log. */
static void set_trouble(struct server_reply *reply, enum server_outcome outcome, struct str words)
{
        char clean[200];
        size_t len = words.len < sizeof(clean) ? words.len : sizeof(clean);
        for (size_t i = 0; i < len; i++)
                clean[i] = (unsigned char)words.ptr[i] < 0x20 || words.ptr[i] == 0x7f
                                   ? '?'
                                   : words.ptr[i];
        reply->outcome = outcome;
        why_set(&reply->why, 0, "the server says: %.*s", (int)len, clean);
}

void socketmap_reply_parse(struct str payload, struct server_reply *reply)
{
        struct str words = payload;
        struct str word = str_cut(&words, ' ');
        reply->outcome = SERVER_ANSWERED;
        reply->is_found = false;
        if (str_eq(word, STR("OK"))) {
                /* Postfix takes an empty answer for none. */
                reply->is_found = words.len > 0;
                if (str_find(words, '\0') >= 0)
                        set_trouble(reply, SERVER_REFUSED, STR("(an answer with a NUL byte)"));
                else if (buf_append_str(&reply->value, words) < 0)
                        set_trouble(reply, SERVER_REFUSED, STR("(an answer that is too long)"));
        } else if (str_eq(word, STR("TEMP")) || str_eq(word, STR("TIMEOUT")) ||
                   str_eq(word, STR("PERM"))) {
                set_trouble(reply, SERVER_REFUSED, payload);
        } else if (!str_eq(word, STR("NOTFOUND"))) {
                set_trouble(reply, SERVER_FAILED, payload);
        }
        if (reply->outcome != SERVER_ANSWERED)
                reply->is_found = false;
}

static int await_read(struct wire *w, int64_t deadline_ms, struct server_reply *reply)
{
        struct buf in;
        struct str payload;
        size_t used;
        int rc;
        buf_init(&in, SOCKETMAP_REPLY_MAX + 20);
        while ((rc = netstring_parse(buf_str(&in), SOCKETMAP_REPLY_MAX, &payload, &used)) ==
               -EAGAIN) {
                struct str bytes;
                rc = await_wire_bytes(w, deadline_ms, &bytes);
                if (rc == 0 && buf_append_str(&in, bytes) < 0)
                        rc = -EMSGSIZE;
                if (rc)
                        break;
                wire_consume(w, bytes.len);
        }
        if (rc == 0 && used != in.len)
                rc = -EBADMSG; /* more than one answer to one question */
        if (rc == 0)
                socketmap_reply_parse(payload, reply);
        buf_done(&in);
        return rc;
}

static void await_socketmap_ask(void *backend, struct str key, int64_t deadline_ms,
                                struct server_reply *reply)
{
        const struct socketmap *s = backend;
        struct buf question;
        buf_init(&question, 8192);
        buf_printf(&question, "%zu:%.*s ", s->name.len + 1 + key.len, STR_ARG(s->name));
        buf_append_str(&question, key);
        buf_append_char(&question, ',');
        await_wire_table_ask(&s->place, buf_str(&question), await_read, deadline_ms, reply);
        buf_done(&question);
}

static int socketmap_open(struct table_text *text, void **contents)
{
        static const struct server_kind kind = {.ask = await_socketmap_ask, .free = free};
        static const char *const cure = "write socketmap:inet:host:port:name or "
                                        "socketmap:unix:path:name";
        struct str spec = str_make(text->bytes, text->len);
        ptrdiff_t colon = str_find_last(spec, ':');
        struct str name = str_tail(spec, (size_t)colon + 1);
        struct why why;
        if (colon < 0 || name.len == 0 || name.len > 1000)
                return text_fault(text, 0, -EINVAL, "table-syntax", cure,
                                  "the name of the map is missing");
        struct socketmap *s = calloc(1, sizeof(*s) + name.len);
        if (!s)
                return text_fault(text, 0, -ENOMEM, "table-too-large", NULL, "out of memory");
        if (wire_place_parse(&s->place, str_part(spec, 0, (size_t)colon), text, &why) < 0) {
                free(s);
                return text_fault(text, 0, -EINVAL, "table-syntax", cure, "%s", why.text);
        }
        char *copy = (char *)(s + 1);
        memcpy(copy, name.ptr, name.len);
        s->name = str_make(copy, name.len);
        *contents = server_new(text, &kind, s, str_from(s->place.key));
        return 0;
}

const struct table_type table_type_socketmap = {
        .name = "socketmap",
        .source = SOURCE_NAME,
        .folds_key = true,
        .bytes_max = 2000,
        .open = socketmap_open,
        .find = await_server_find,
        .free = server_free,
        .figures = server_figures,
};
