/* json.c - JSON into a buf */
#include "ops/json.h"

#include "smtp/command.h"

static void put(struct json *j, struct str text)
{
        if (buf_append_str(j->out, text) < 0)
                j->is_cut = true;
}

static void put_char(struct json *j, char c)
{
        put(j, str_make(&c, 1));
}

static void put_escaped(struct json *j, unsigned char c)
{
        if (buf_printf(j->out, "\\u%04x", c) < 0)
                j->is_cut = true;
}

static bool is_plain(unsigned char c, bool is_utf8)
{
        return c >= 0x20 && c != 0x7f && c != '"' && c != '\\' && (c < 0x80 || is_utf8);
}

static void put_string(struct json *j, struct str text)
{
        bool is_utf8 = smtp_utf8_is_valid(text);
        put_char(j, '"');
        while (text.len) {
                size_t n = 0;
                while (n < text.len && is_plain((unsigned char)text.ptr[n], is_utf8))
                        n++;
                put(j, str_part(text, 0, n));
                text = str_tail(text, n);
                if (text.len == 0)
                        break;
                if (text.ptr[0] == '"' || text.ptr[0] == '\\') {
                        put_char(j, '\\');
                        put_char(j, text.ptr[0]);
                } else {
                        put_escaped(j, (unsigned char)text.ptr[0]);
                }
                text = str_tail(text, 1);
        }
        put_char(j, '"');
}

static void begin(struct json *j, const char *key)
{
        if (j->needs_comma)
                put(j, STR(", "));
        j->needs_comma = true;
        if (!key)
                return;
        put_string(j, str_from(key));
        put(j, STR(": "));
}

void json_init(struct json *j, struct buf *out)
{
        *j = (struct json){.out = out};
}

void json_open(struct json *j, const char *key, char bracket)
{
        begin(j, key);
        put_char(j, bracket);
        j->needs_comma = false;
}

void json_close(struct json *j, char bracket)
{
        put_char(j, bracket);
        j->needs_comma = true;
}

void json_str(struct json *j, const char *key, struct str value)
{
        begin(j, key);
        put_string(j, value);
}

void json_int(struct json *j, const char *key, int64_t value)
{
        begin(j, key);
        if (buf_printf(j->out, "%lld", (long long)value) < 0)
                j->is_cut = true;
}

void json_bool(struct json *j, const char *key, bool value)
{
        begin(j, key);
        put(j, value ? STR("true") : STR("false"));
}

void json_end(struct json *j)
{
        put_char(j, '\n');
        j->needs_comma = false;
}
