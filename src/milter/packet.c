/* packet.c - what is on the wire between a mail server and its filter; pure */
#include "milter/milter_private.h"

#include <errno.h>

unsigned milter_version_actions(unsigned version)
{
        return version >= 6 ? 0x1ff : 0x3f;
}

unsigned milter_version_protocol(unsigned version)
{
        return version >= 6 ? 0x1fffff : version >= 4 ? 0x3ff : version >= 3 ? 0x1ff : 0x7f;
}

/* ---- out ---- */

size_t milter_packet_begin(struct buf *out, char command)
{
        size_t at = out->len;
        milter_put_number(out, 0);
        buf_append_char(out, command);
        return at;
}

void milter_put_bytes(struct buf *out, struct str bytes)
{
        buf_append_str(out, bytes);
}

void milter_put_text(struct buf *out, struct str text)
{
        for (size_t i = 0; i < text.len; i++)
                buf_append_char(out, text.ptr[i] ? text.ptr[i] : '?');
        buf_append_char(out, '\0');
}

void milter_put_number(struct buf *out, uint32_t n)
{
        const char bytes[4] = {(char)(n >> 24), (char)(n >> 16), (char)(n >> 8), (char)n};
        buf_append(out, bytes, sizeof(bytes));
}

int milter_packet_end(struct buf *out, size_t at)
{
        /* what did not fit left no trace: then the buf is full to the brim, or nearly */
        if (out->len + 1 >= out->bytes_max || out->len < at + 5) {
                out->len = at < out->len ? at : out->len;
                return -ENOBUFS;
        }
        uint32_t n = (uint32_t)(out->len - at - 4);
        unsigned char *p = (unsigned char *)out->ptr + at;
        p[0] = (unsigned char)(n >> 24);
        p[1] = (unsigned char)(n >> 16);
        p[2] = (unsigned char)(n >> 8);
        p[3] = (unsigned char)n;
        return 0;
}

/* ---- in ---- */

static uint32_t number_at(const char *ptr)
{
        const unsigned char *p = (const unsigned char *)ptr;
        return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A text up to its NUL. False: it has none. */
static bool take_text(struct str *data, struct str *out)
{
        ptrdiff_t nul = str_find(*data, '\0');
        if (nul < 0)
                return false;
        *out = str_part(*data, 0, (size_t)nul);
        *data = str_tail(*data, (size_t)nul + 1);
        return true;
}

static bool read_parts(struct milter_reply *r)
{
        struct str rest = r->data;
        switch (r->command) {
        case 'i':
        case 'm':
                if (rest.len < 4)
                        return false;
                r->index = number_at(rest.ptr);
                rest = str_tail(rest, 4);
                return take_text(&rest, &r->name) && take_text(&rest, &r->text);
        case 'h':
                return take_text(&rest, &r->name) && take_text(&rest, &r->text);
        case '+':
        case '-':
        case 'q':
        case 'y':
                return take_text(&rest, &r->name);
        case '2':
        case 'e':
                if (!take_text(&rest, &r->name))
                        return false;
                if (rest.len && !take_text(&rest, &r->text))
                        return false;
                return true;
        default: /* without parts, or bytes: b, O */
                return true;
        }
}

int milter_reply_take(struct str *in, struct milter_reply *out, struct why *why)
{
        if (in->len < 4)
                return 0;
        uint32_t len = number_at(in->ptr);
        if (len == 0 || len > MILTER_PACKET_BYTES_MAX)
                return why_set(why, -EPROTO, "a packet of %lu bytes", (unsigned long)len);
        if (in->len - 4 < len)
                return 0;
        *out = (struct milter_reply){.command = in->ptr[4], .data = str_part(*in, 5, len - 1)};
        if (!out->command || !strchr("O+-2behimqpcardty4sf", out->command))
                return why_set(why, -EPROTO, "a reply that there is not: 0x%02x",
                               (unsigned char)out->command);
        if (!read_parts(out))
                return why_set(why, -EPROTO, "a reply '%c' that is not whole", out->command);
        *in = str_tail(*in, (size_t)len + 4);
        return 1;
}

/* What it wants to know at which stage; what we do not know is left out. */
static int read_macros(struct str data, struct milter_negotiated *out, struct why *why)
{
        static const enum milter_stage stages[] = {MILTER_CONNECT,      MILTER_HELO, MILTER_MAIL,
                                                   MILTER_RCPT,         MILTER_DATA, MILTER_END,
                                                   MILTER_END_OF_HEADER};
        while (data.len) {
                struct str names;
                if (data.len < 4)
                        return why_set(why, -EPROTO, "a list of macros that is not whole");
                uint32_t stage = number_at(data.ptr);
                data = str_tail(data, 4);
                if (!take_text(&data, &names))
                        return why_set(why, -EPROTO, "a list of macros that is not whole");
                if (stage >= sizeof(stages) / sizeof(stages[0]))
                        continue;
                out->has_macros[stages[stage]] = true;
                out->macros[stages[stage]] = names;
        }
        return 0;
}

int milter_negotiated_read(struct str data, unsigned version, struct milter_negotiated *out,
                           struct why *why)
{
        *out = (struct milter_negotiated){.version = 0};
        if (data.len < 12)
                return why_set(why, -EPROTO, "its answer to the negotiation is too short");
        out->version = number_at(data.ptr);
        out->actions = number_at(data.ptr + 4);
        out->protocol = number_at(data.ptr + 8);
        if (out->version < 2 || out->version > version)
                return why_set(why, -EPROTO,
                               "it wants version %u of the protocol; milter_protocol is %u",
                               out->version, version);
        if (out->actions & ~milter_version_actions(version))
                return why_set(why, -EPROTO, "it wants to do what there is not: 0x%x",
                               out->actions & ~milter_version_actions(version));
        if (out->protocol & ~milter_version_protocol(version))
                return why_set(why, -EPROTO, "it wants steps that there are not: 0x%x",
                               out->protocol & ~milter_version_protocol(version));
        return read_macros(str_tail(data, 12), out, why);
}

/* ---- replies for the client ---- */

/* The length of "5.7.1" at the front; 0: there is none. */
static size_t enhanced_length(struct str text, char class)
{
        size_t at = 1;
        if (text.len < 5 || text.ptr[0] != class)
                return 0;
        for (int part = 0; part < 2; part++) {
                if (at >= text.len || text.ptr[at++] != '.')
                        return 0;
                size_t start = at;
                while (at < text.len && at - start < 3 && char_is_digit(text.ptr[at]))
                        at++;
                if (at == start)
                        return 0;
        }
        return at == text.len || text.ptr[at] == ' ' ? at : 0;
}

/* The text behind codes of each line: one line feed between lines, "%%" for "%", nothing unprintable. */
static struct str reply_lines(struct str text, struct arena *arena)
{
        char *out = arena_array(arena, char, text.len + 1);
        size_t len = 0;
        while (text.len) {
                struct str line = str_trim(str_cut(&text, '\n'));
                /* "550-5.7.1 text", as the first line was */
                bool has_code = line.len >= 3 && char_is_digit(line.ptr[0]) &&
                                char_is_digit(line.ptr[1]) && char_is_digit(line.ptr[2]) &&
                                (line.len == 3 || line.ptr[3] == ' ' || line.ptr[3] == '-');
                if (has_code && len)
                        line = str_tail(line, 4);
                size_t enhanced = len ? enhanced_length(line, '5') + enhanced_length(line, '4') : 0;
                line = str_trim(str_tail(line, enhanced));
                if (len)
                        out[len++] = '\n';
                for (size_t i = 0; i < line.len; i++) {
                        if (line.ptr[i] == '%' && i + 1 < line.len && line.ptr[i + 1] == '%')
                                i++;
                        unsigned char c = (unsigned char)line.ptr[i];
                        out[len++] = c < ' ' || c == 0x7f ? '?' : line.ptr[i];
                }
        }
        return str_make(out, len);
}

bool milter_reply_code(struct str text, struct arena *arena, struct smtp_reply *out)
{
        if (text.len < 3 || (text.ptr[0] != '4' && text.ptr[0] != '5') || text.ptr[1] < '0' ||
            text.ptr[1] > '5' || !char_is_digit(text.ptr[2]) ||
            (text.len > 3 && text.ptr[3] != ' ' && text.ptr[3] != '-'))
                return false;
        int code = (text.ptr[0] - '0') * 100 + (text.ptr[1] - '0') * 10 + (text.ptr[2] - '0');
        struct str rest = str_tail(text, 4);
        size_t len = enhanced_length(rest, text.ptr[0]);
        const char *enhanced = code >= 500 ? "5.7.1" : "4.7.1";
        if (len)
                enhanced = arena_str(arena, str_part(rest, 0, len)).ptr;
        struct str said = reply_lines(str_part(str_trim(str_tail(rest, len)), 0, 2000), arena);
        *out = smtp_reply_make(code, enhanced, said.len ? said : STR("Command rejected"));
        return true;
}
