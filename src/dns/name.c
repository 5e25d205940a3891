/* name.c - names: as we ask for them, as they stand in a packet, and those of addresses */
#include "dns/dns_private.h"

#include "base/format.h"

#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>

enum { LABEL_BYTES_MAX = 63 };

static bool is_ascii(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if ((unsigned char)s.ptr[i] >= 0x80)
                        return false;
        return true;
}

/* U-labels into A-labels (RFC 5891), by the mapping of UTS 46. */
static bool to_ascii(struct str name, char out[DNS_NAME_BYTES_MAX], size_t *len)
{
        char in[4 * DNS_NAME_BYTES_MAX];
        char *ascii = NULL;
        if (name.len >= sizeof(in) || str_find(name, '\0') >= 0)
                return false;
        memcpy(in, name.ptr, name.len);
        in[name.len] = '\0';
        if (idn2_to_ascii_8z(in, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
                return false;
        *len = strlen(ascii);
        bool fits = *len < DNS_NAME_BYTES_MAX;
        if (fits)
                memcpy(out, ascii, *len);
        idn2_free(ascii);
        return fits;
}

bool dns_name_is_valid(struct str name)
{
        if (name.len + 2 > WIRE_NAME_BYTES_MAX) /* the first label's length, and the root's */
                return false;
        for (;;) {
                ptrdiff_t dot = str_find(name, '.');
                size_t len = dot < 0 ? name.len : (size_t)dot;
                if (len == 0 || len > LABEL_BYTES_MAX)
                        return false;
                if (dot < 0)
                        return true;
                name = str_tail(name, len + 1);
        }
}

/* What has an escape in it is written as name_read() would. */
static bool write_one_way(char out[DNS_NAME_BYTES_MAX], size_t *len)
{
        if (str_find(str_make(out, *len), '\\') < 0)
                return dns_name_is_valid(str_make(out, *len));
        unsigned char wire[WIRE_NAME_BYTES_MAX];
        char text[DNS_NAME_BYTES_MAX];
        size_t wire_len = name_to_wire(str_make(out, *len), wire);
        if (wire_len == 0)
                return false;
        size_t at = 0;
        int text_len = name_read((struct wire_bytes){wire, wire_len}, &at, text);
        if (text_len < 0 || text_len >= DNS_NAME_BYTES_MAX)
                return false;
        memcpy(out, text, (size_t)text_len);
        *len = (size_t)text_len;
        return true;
}

bool name_normalize(struct str name, char out[DNS_NAME_BYTES_MAX], size_t *len)
{
        if (name.len && name.ptr[name.len - 1] == '.')
                name.len--;
        if (is_ascii(name)) {
                if (name.len >= DNS_NAME_BYTES_MAX)
                        return false;
                memcpy(out, name.ptr, name.len);
                *len = name.len;
        } else if (!to_ascii(name, out, len)) {
                return false;
        }
        for (size_t i = 0; i < *len; i++) {
                out[i] = char_lower(out[i]);
                if (out[i] <= ' ' || out[i] == 0x7f)
                        return false;
        }
        return *len == 0 || write_one_way(out, len);
}

/* The byte at *at, after a backslash perhaps; -1 when the escape is none. */
static int next_byte(struct str name, size_t *at)
{
        unsigned char c = (unsigned char)name.ptr[(*at)++];
        if (c != '\\')
                return c;
        if (*at == name.len)
                return -1;
        if (!char_is_digit(name.ptr[*at]))
                return (unsigned char)name.ptr[(*at)++];
        int64_t value;
        if (str_to_int64(str_part(name, *at, 3), 0, 255, &value) || *at + 3 > name.len)
                return -1;
        *at += 3;
        return (int)value;
}

size_t name_to_wire(struct str name, unsigned char out[WIRE_NAME_BYTES_MAX])
{
        size_t len = 0;
        for (size_t at = 0; at < name.len;) {
                size_t start = len++;
                while (at < name.len && name.ptr[at] != '.') {
                        int byte = next_byte(name, &at);
                        /* one byte is kept for the root's label */
                        if (byte < 0 || len - start > LABEL_BYTES_MAX ||
                            len + 1 >= WIRE_NAME_BYTES_MAX)
                                return 0;
                        out[len++] = (unsigned char)byte;
                }
                if (len - start == 1 || start >= WIRE_NAME_BYTES_MAX - 1)
                        return 0;
                out[start] = (unsigned char)(len - start - 1);
                if (at < name.len && ++at == name.len)
                        return 0; /* two dots at the end */
        }
        out[len++] = 0;
        return len;
}

struct text_name {
        char *out;
        size_t len;
        bool is_too_long;
};

static void put_bytes(struct text_name *t, const char *bytes, size_t len)
{
        if (t->len + len >= DNS_NAME_BYTES_MAX)
                t->is_too_long = true;
        if (t->is_too_long)
                return;
        memcpy(t->out + t->len, bytes, len);
        t->len += len;
}

static void put_label(struct text_name *t, const unsigned char *label, size_t len)
{
        if (t->len)
                put_bytes(t, ".", 1);
        for (size_t i = 0; i < len; i++) {
                unsigned char c = label[i];
                char text[8];
                if (c <= ' ' || c >= 0x7f)
                        snprintf(text, sizeof(text), "\\%03u", c);
                else if (c == '.' || c == '\\')
                        snprintf(text, sizeof(text), "\\%c", c);
                else
                        snprintf(text, sizeof(text), "%c", char_lower((char)c));
                put_bytes(t, text, strlen(text));
        }
}

int name_read(struct wire_bytes b, size_t *at, char out[DNS_NAME_BYTES_MAX])
{
        struct text_name text = {.out = out};
        size_t wire_len = 0;
        size_t here = *at;
        size_t lowest = here; /* a pointer goes below all that was read */
        bool has_jumped = false;
        for (;;) {
                if (here >= b.len)
                        return -1;
                unsigned char len = b.ptr[here];
                if (len >= 0xc0) {
                        if (here + 1 >= b.len)
                                return -1;
                        size_t to = ((size_t)len & 0x3f) << 8 | b.ptr[here + 1];
                        if (!has_jumped)
                                *at = here + 2;
                        has_jumped = true;
                        if (to >= lowest)
                                return -1;
                        here = lowest = to;
                        continue;
                }
                wire_len += len + 1u;
                if (len > LABEL_BYTES_MAX || here + 1 + len > b.len ||
                    wire_len > WIRE_NAME_BYTES_MAX)
                        return -1;
                if (len == 0)
                        break;
                put_label(&text, b.ptr + here + 1, len);
                here += 1u + len;
        }
        if (!has_jumped)
                *at = here + 1;
        return text.is_too_long ? (int)DNS_NAME_BYTES_MAX : (int)text.len;
}

struct str dns_reverse(const unsigned char address[16], struct str zone,
                       char out[DNS_NAME_BYTES_MAX])
{
        static const unsigned char mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
        static const char hex[] = "0123456789abcdef";
        size_t len = 0;
        if (memcmp(address, mapped, sizeof(mapped)) == 0) {
                len = (size_t)format_print(out, DNS_NAME_BYTES_MAX, "%d.%d.%d.%d", address[15],
                                           address[14], address[13], address[12]);
        } else {
                for (int i = 15; i >= 0; i--) {
                        if (i < 15)
                                out[len++] = '.';
                        out[len++] = hex[address[i] & 15];
                        out[len++] = '.';
                        out[len++] = hex[address[i] >> 4];
                }
        }
        if (zone.len && len + 1 + zone.len < DNS_NAME_BYTES_MAX) {
                out[len++] = '.';
                memcpy(out + len, zone.ptr, zone.len);
                len += zone.len;
        }
        out[len] = '\0';
        return str_make(out, len);
}

const char *dns_type_name(enum dns_type type)
{
        switch (type) {
        case DNS_A:
                return "A";
        case DNS_NS:
                return "NS";
        case DNS_CNAME:
                return "CNAME";
        case DNS_SOA:
                return "SOA";
        case DNS_PTR:
                return "PTR";
        case DNS_MX:
                return "MX";
        case DNS_TXT:
                return "TXT";
        case DNS_AAAA:
                return "AAAA";
        case DNS_TLSA:
                return "TLSA";
        case DNS_SRV:
                return "SRV";
        }
        return "?";
}

const char *dns_result_name(enum dns_result result)
{
        switch (result) {
        case DNS_FOUND:
                return "found";
        case DNS_NO_DATA:
                return "no data";
        case DNS_NO_NAME:
                return "no such name";
        case DNS_FAILED:
                return "failed";
        }
        return "?";
}
