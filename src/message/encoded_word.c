/*
 * encoded_word.c - RFC 2047 words decoded
 *
 *      encoded-word = "=?" charset [ "*" language ] "?" encoding "?" text "?="
 *      encoding     = "B" (base64) / "Q" (quoted-printable, "_" is a blank)
 *
 * Blanks between two words belong to neither (RFC 2047 6.2). Neighbours of one charset and encoding
 * are decoded as one text: a character cut in two between words, which the RFC forbids and many
 * programs send, is whole again. Words are taken wherever they stand, also inside quotes and
 * without blanks around them, since that is what mail programs show.
 *
 * iconv_open() is slow; a thread keeps the last one it used.
 */
#include "message/encoded_word.h"

#include "base/check.h"

#include <errno.h>
#include <iconv.h>
#include <pthread.h>
#include <stdlib.h>

enum {
        CHARSET_BYTES_MAX = 40,
        WORD_BYTES_MAX = 64 << 10, /* of decoded neighbours; the RFC says 75 a word */
};

/* ---- iconv ---- */

struct converter {
        char charset[CHARSET_BYTES_MAX + 1];
        iconv_t iconv;
        bool is_open;
};

static __thread struct converter *thread_converter;
static pthread_key_t converter_key;
static pthread_once_t converter_once = PTHREAD_ONCE_INIT;

static void converter_free(void *context)
{
        struct converter *c = context;
        thread_converter = NULL;
        if (c->is_open)
                iconv_close(c->iconv);
        free(c);
}

static void converter_key_make(void)
{
        check(pthread_key_create(&converter_key, converter_free) == 0);
}

static bool is_charset_name(struct str name)
{
        if (name.len == 0 || name.len > CHARSET_BYTES_MAX)
                return false;
        for (size_t i = 0; i < name.len; i++)
                if (!char_is_alnum(name.ptr[i]) && !strchr("-_.:+", name.ptr[i]))
                        return false;
        return true;
}

/* NULL: there is no such charset. */
static struct converter *converter_for(struct str charset)
{
        if (!thread_converter) {
                pthread_once(&converter_once, converter_key_make);
                thread_converter = calloc(1, sizeof(*thread_converter));
                check(thread_converter);
                pthread_setspecific(converter_key, thread_converter);
        }
        struct converter *c = thread_converter;
        if (c->is_open && str_eq_nocase(charset, str_from(c->charset))) {
                iconv(c->iconv, NULL, NULL, NULL, NULL);
                return c;
        }
        if (c->is_open)
                iconv_close(c->iconv);
        c->is_open = false;
        if (!is_charset_name(charset))
                return NULL;
        memcpy(c->charset, charset.ptr, charset.len);
        c->charset[charset.len] = '\0';
        c->iconv = iconv_open("UTF-8", c->charset);
        /* (iconv_t)-1 */
        c->is_open = (intptr_t)c->iconv != -1;
        return c->is_open ? c : NULL;
}

/* False: these bytes are not of this charset, or there is no room; `out` is as it was. */
static bool convert(struct str charset, struct str bytes, struct buf *out)
{
        struct converter *c = converter_for(charset);
        if (!c)
                return false;
        size_t before = out->len;
        char *in = (char *)(uintptr_t)bytes.ptr;
        size_t left = bytes.len;
        bool is_over = false;
        while (!is_over) {
                char piece[512];
                char *to = piece;
                size_t room = sizeof(piece);
                /* at the end of the input once more, for what the charset's state holds back */
                is_over = left == 0;
                size_t rc = is_over ? iconv(c->iconv, NULL, NULL, &to, &room)
                                    : iconv(c->iconv, &in, &left, &to, &room);
                bool is_full = rc == (size_t)-1 && errno == E2BIG;
                if ((rc == (size_t)-1 && !is_full) ||
                    buf_append(out, piece, sizeof(piece) - room) < 0) {
                        out->len = before;
                        return false;
                }
                is_over = is_over && !is_full;
        }
        return true;
}

/* ---- words ---- */

struct word {
        struct str charset;
        char encoding; /* 'b' or 'q' */
        struct str text;
        size_t bytes; /* all of it, in the field */
};

/* Is there a word at the front? */
static bool word_take(struct str in, struct word *w)
{
        if (!str_starts(in, STR("=?")))
                return false;
        struct str rest = str_tail(in, 2);
        ptrdiff_t mark = str_find(rest, '?');
        if (mark <= 0 || mark > CHARSET_BYTES_MAX * 2 || rest.len < (size_t)mark + 3)
                return false;
        w->charset = str_part(rest, 0, (size_t)mark);
        w->charset = str_cut(&w->charset, '*');
        w->encoding = char_lower(rest.ptr[mark + 1]);
        if ((w->encoding != 'b' && w->encoding != 'q') || rest.ptr[mark + 2] != '?')
                return false;
        rest = str_tail(rest, (size_t)mark + 3);
        for (size_t i = 0; i + 1 < rest.len && rest.ptr[i] != '\r' && rest.ptr[i] != '\n'; i++) {
                if (rest.ptr[i] != '?')
                        continue;
                if (rest.ptr[i + 1] != '=')
                        return false;
                w->text = str_part(rest, 0, i);
                w->bytes = (size_t)(rest.ptr - in.ptr) + i + 2;
                return is_charset_name(w->charset);
        }
        return false;
}

static int hex_value(char c)
{
        if (char_is_digit(c))
                return c - '0';
        c = char_lower(c);
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool decode_q(struct str in, struct buf *out)
{
        for (size_t i = 0; i < in.len; i++) {
                char c = in.ptr[i] == '_' ? ' ' : in.ptr[i];
                if (c == '=') {
                        int high = i + 2 < in.len ? hex_value(in.ptr[i + 1]) : -1;
                        int low = i + 2 < in.len ? hex_value(in.ptr[i + 2]) : -1;
                        if (high < 0 || low < 0)
                                return false;
                        c = (char)(high << 4 | low);
                        i += 2;
                }
                if (buf_append_char(out, c) < 0)
                        return false;
        }
        return true;
}

static int base64_value(char c)
{
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (char_is_digit(c))
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Blanks are passed over, and padding may be missing, as mail programs have it. */
static bool decode_b(struct str in, struct buf *out)
{
        unsigned bits = 0;
        unsigned held = 0;
        for (size_t i = 0; i < in.len; i++) {
                char c = in.ptr[i];
                if (c == ' ' || c == '\t')
                        continue;
                if (c == '=')
                        break;
                int value = base64_value(c);
                if (value < 0)
                        return false;
                bits = bits << 6 | (unsigned)value;
                held += 6;
                if (held >= 8) {
                        held -= 8;
                        if (buf_append_char(out, (char)(bits >> held & 0xff)) < 0)
                                return false;
                }
        }
        return true;
}

static bool word_decode(const struct word *w, struct buf *bytes)
{
        return w->encoding == 'q' ? decode_q(w->text, bytes) : decode_b(w->text, bytes);
}

/* ---- UTF-8 ---- */

/* Bytes of the character at the front; 0: it is none. */
static size_t utf8_bytes(struct str s)
{
        unsigned char c = (unsigned char)s.ptr[0];
        if (c < 0x80)
                return 1;
        size_t bytes = c >= 0xc2 && c < 0xe0   ? 2
                       : c >= 0xe0 && c < 0xf0 ? 3
                       : c >= 0xf0 && c < 0xf5 ? 4
                                               : 0;
        if (bytes == 0 || s.len < bytes)
                return 0;
        for (size_t i = 1; i < bytes; i++)
                if (((unsigned char)s.ptr[i] & 0xc0) != 0x80)
                        return 0;
        unsigned char second = (unsigned char)s.ptr[1];
        bool is_wrong = (c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
                        (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f);
        return is_wrong ? 0 : bytes;
}

/* What stands outside of words: folds become nothing, since a blank follows; line ends nothing. */
static int put_text(struct str text, struct buf *out)
{
        while (text.len) {
                size_t bytes = utf8_bytes(text);
                int rc = 0;
                if (bytes == 0)
                        rc = buf_append_str(out, STR("\xef\xbf\xbd"));
                else if (text.ptr[0] != '\r' && text.ptr[0] != '\n')
                        rc = buf_append(out, text.ptr, bytes);
                if (rc < 0)
                        return rc;
                text = str_tail(text, bytes ? bytes : 1);
        }
        return 0;
}

/* ---- the field ---- */

static size_t blank_bytes(struct str s)
{
        size_t i = 0;
        while (i < s.len &&
               (s.ptr[i] == ' ' || s.ptr[i] == '\t' || s.ptr[i] == '\r' || s.ptr[i] == '\n'))
                i++;
        return i;
}

static bool is_same_kind(const struct word *a, const struct word *b)
{
        return a->encoding == b->encoding && str_eq_nocase(a->charset, b->charset);
}

/* Each of these words by itself; one that is wrong stays as it stands, with its blanks. */
static int put_each(struct str words, struct buf *bytes, struct buf *out)
{
        int rc = 0;
        while (rc == 0 && words.len) {
                struct word w;
                size_t blanks = blank_bytes(words);
                struct str text = str_tail(words, blanks);
                if (!word_take(text, &w))
                        return put_text(words, out);
                buf_clear(bytes);
                if (!word_decode(&w, bytes) || !convert(w.charset, buf_str(bytes), out))
                        rc = put_text(str_part(words, 0, blanks + w.bytes), out);
                words = str_tail(text, w.bytes);
        }
        return rc;
}

/*
 * Takes the words at the front off *in: neighbours of one kind are one text; should that come to
 * nothing, each is taken by itself.
 */
static int put_words(struct str *in, const struct word *first, struct buf *bytes, struct buf *out)
{
        struct word w = *first;
        struct str rest = *in;
        bool is_right = true;
        buf_clear(bytes);
        for (;;) {
                is_right = is_right && word_decode(&w, bytes);
                rest = str_tail(rest, w.bytes);
                struct word next;
                struct str behind = str_tail(rest, blank_bytes(rest));
                if (!word_take(behind, &next) || !is_same_kind(first, &next))
                        break;
                rest = behind;
                w = next;
        }
        struct str words = str_part(*in, 0, (size_t)(rest.ptr - in->ptr));
        *in = rest;
        if (is_right && convert(first->charset, buf_str(bytes), out))
                return 0;
        return put_each(words, bytes, out);
}

int encoded_words_decode(struct str value, struct buf *out)
{
        struct buf bytes;
        int rc = 0;
        buf_init(&bytes, WORD_BYTES_MAX);
        bool after_word = false;
        while (value.len && rc == 0) {
                size_t blanks = blank_bytes(value);
                struct word w;
                bool is_word = word_take(str_tail(value, blanks), &w);
                if (is_word) {
                        if (!after_word)
                                rc = put_text(str_part(value, 0, blanks), out);
                        value = str_tail(value, blanks);
                        if (rc == 0)
                                rc = put_words(&value, &w, &bytes, out);
                } else {
                        /* up to the next place where a word may begin */
                        size_t end = blanks + (blanks < value.len);
                        while (end < value.len && value.ptr[end] != '=' && value.ptr[end] != ' ' &&
                               value.ptr[end] != '\t' && value.ptr[end] != '\r' &&
                               value.ptr[end] != '\n')
                                end++;
                        rc = put_text(str_part(value, 0, end), out);
                        value = str_tail(value, end);
                }
                after_word = is_word;
        }
        buf_done(&bytes);
        return rc;
}
