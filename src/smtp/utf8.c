/* utf8.c - is this UTF-8 (RFC 3629), is this ASCII? */
#include "smtp/grammar.h"

/* Bytes of plain ASCII from the front on; eight at a time, since almost all text is that. */
static size_t ascii_bytes(struct str text)
{
        size_t i = 0;
        for (uint64_t eight; i + sizeof(eight) <= text.len; i += sizeof(eight)) {
                memcpy(&eight, text.ptr + i, sizeof(eight));
                if (eight & 0x8080808080808080u)
                        break;
        }
        while (i < text.len && !((unsigned char)text.ptr[i] & 0x80))
                i++;
        return i;
}

bool smtp_text_is_ascii(struct str text)
{
        return ascii_bytes(text) == text.len;
}

static bool is_tail(struct str text, size_t at)
{
        return at < text.len && ((unsigned char)text.ptr[at] & 0xc0) == 0x80;
}

/*
 * Bytes of the character at the front, which is not ASCII; 0 when it is none.
 *
 * RFC 3629 4:  UTF8-2 = %xC2-DF UTF8-tail
 *              UTF8-3 = %xE0 %xA0-BF UTF8-tail / %xE1-EC 2( UTF8-tail ) /
 *                       %xED %x80-9F UTF8-tail / %xEE-EF 2( UTF8-tail )
 *              UTF8-4 = %xF0 %x90-BF 2( UTF8-tail ) / %xF1-F3 3( UTF8-tail ) /
 *                       %xF4 %x80-8F 2( UTF8-tail )
 */
static size_t character_bytes(struct str text)
{
        unsigned char first = (unsigned char)text.ptr[0];
        size_t bytes = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
        if (first < 0xc2 || first > 0xf4)
                return 0;
        for (size_t i = 1; i < bytes; i++)
                if (!is_tail(text, i))
                        return 0;
        unsigned char second = (unsigned char)text.ptr[1];
        if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) ||
            (first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f))
                return 0;
        return bytes;
}

bool smtp_utf8_is_valid(struct str text)
{
        for (;;) {
                text = str_tail(text, ascii_bytes(text));
                if (text.len == 0)
                        return true;
                size_t bytes = character_bytes(text);
                if (bytes == 0)
                        return false;
                text = str_tail(text, bytes);
        }
}

bool smtp_text_has_control(struct str text)
{
        for (size_t i = 0; i < text.len; i++) {
                if (char_is_control(text.ptr[i]))
                        return true;
                if ((unsigned char)text.ptr[i] == 0xc2 && i + 1 < text.len &&
                    (unsigned char)text.ptr[i + 1] < 0xa0)
                        return true;
        }
        return false;
}
