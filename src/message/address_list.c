/*
 * address_list.c - the addresses in a header field
 *
 *      address-list = [address] *( "," [address] )           (RFC 5322 3.4, 4.4)
 *      address      = mailbox / group
 *      group        = phrase ":" [mailbox-list] ";"
 *      mailbox      = addr-spec / [phrase] "<" [route] addr-spec ">"
 *      addr-spec    = local-part "@" domain, or a local part alone
 *
 * One pass: an address without brackets begins with the first word behind a separator and ends
 * with the last one before the next. If a "<" or ":" follows, these words were a name. Several words
 * without brackets are no address ("undisclosed recipients"), unless a dot or "@" joins them.
 */
#include "message/address_list.h"

struct scan {
        struct str text;
        size_t at;
};

static bool is_space(char c)
{
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Over a quoted string or a comment; an end that is missing is the text's. */
static void skip_quoted(struct scan *s)
{
        char open = s->text.ptr[s->at++];
        size_t depth = 1;
        while (s->at < s->text.len && depth) {
                char c = s->text.ptr[s->at++];
                if (c == '\\' && s->at < s->text.len)
                        s->at++;
                else if (open == '"' ? c == '"' : c == ')')
                        depth--;
                else if (open == '(' && c == '(')
                        depth++;
        }
}

static void skip_literal(struct scan *s)
{
        while (s->at < s->text.len && s->text.ptr[s->at] != ']')
                s->at += s->text.ptr[s->at] == '\\' && s->at + 1 < s->text.len ? 2 : 1;
        if (s->at < s->text.len)
                s->at++;
}

static char next_char(const struct scan *s)
{
        return s->at < s->text.len ? s->text.ptr[s->at] : '\0';
}

static void skip_space(struct scan *s)
{
        while (s->at < s->text.len) {
                if (next_char(s) == '(')
                        skip_quoted(s);
                else if (is_space(next_char(s)))
                        s->at++;
                else
                        return;
        }
}

static void skip_word(struct scan *s)
{
        char c = next_char(s);
        if (c == '"') {
                skip_quoted(s);
                return;
        }
        if (c == '[') {
                skip_literal(s);
                return;
        }
        while (s->at < s->text.len && !is_space(next_char(s)) &&
               !strchr("(),:;<>@.\"[", next_char(s)))
                s->at += next_char(s) == '\\' && s->at + 1 < s->text.len ? 2 : 1;
}

/* The words at this place, up to what is no word, dot or "@". */
struct words {
        size_t from, to;
        size_t alone; /* words that nothing joins to the one before */
};

static struct words take_words(struct scan *s)
{
        struct words w = {.from = s->at, .to = s->at};
        bool is_joined = true;
        bool has_word = false;
        for (skip_space(s); s->at < s->text.len; skip_space(s)) {
                char c = next_char(s);
                if (c == '\0' || strchr(",;:<>", c))
                        break;
                if (!has_word)
                        w.from = s->at;
                if (c == '@' || c == '.') {
                        s->at++;
                        is_joined = true;
                } else {
                        size_t before = s->at;
                        /* "a@b"c": words with nothing between them are one */
                        if (has_word && !is_joined && before != w.to)
                                w.alone++;
                        skip_word(s);
                        if (s->at == before)
                                s->at++;
                        is_joined = false;
                }
                has_word = true;
                w.to = s->at;
        }
        if (!has_word)
                w.to = w.from;
        return w;
}

/* Words of an address, without comments and space between them, as SMTP would write them. */
static struct str squeeze(struct str text, struct arena *arena)
{
        struct scan s = {.text = text};
        char *out = arena_alloc(arena, text.len + 1);
        size_t len = 0;
        for (skip_space(&s); s.at < text.len; skip_space(&s)) {
                size_t from = s.at;
                skip_word(&s);
                if (s.at == from)
                        s.at++;
                memcpy(out + len, text.ptr + from, s.at - from);
                len += s.at - from;
        }
        return str_make(out, len);
}

static bool read_address(struct str text, size_t from, size_t to, struct arena *arena,
                         struct address_span *out)
{
        struct str words = squeeze(str_part(text, from, to - from), arena);
        *out = (struct address_span){.from = from, .to = to};
        return words.len && smtp_address_parse(words, arena, &out->address) == 0 &&
               out->address.text.len;
}

/* Behind "<": to ">" , or to where the text ends. */
static bool take_bracket(struct scan *s, struct arena *arena, struct address_span *out)
{
        s->at++;
        skip_space(s);
        size_t from = s->at;
        size_t to = s->at;
        while (s->at < s->text.len && next_char(s) != '>') {
                char c = next_char(s);
                if (is_space(c) || c == '(') {
                        skip_space(s);
                        continue;
                }
                size_t before = s->at;
                skip_word(s);
                if (s->at == before)
                        s->at++;
                to = s->at;
        }
        if (s->at < s->text.len)
                s->at++;
        return to > from && read_address(s->text, from, to, arena, out);
}

bool address_list_next(struct str text, size_t *at, struct arena *arena, struct address_span *out)
{
        struct scan s = {.text = text, .at = *at};
        while (s.at < text.len) {
                struct words w = take_words(&s);
                bool is_found = false;
                switch (next_char(&s)) {
                case '<':
                        is_found = take_bracket(&s, arena, out);
                        break;
                case ':': /* a group's name */
                case '>':
                        s.at++;
                        break;
                default:
                        if (s.at < text.len && strchr(",;", text.ptr[s.at]))
                                s.at++;
                        else if (s.at < text.len) /* NUL */
                                s.at++;
                        is_found = w.to > w.from && w.alone == 0 &&
                                   read_address(text, w.from, w.to, arena, out);
                }
                *at = s.at;
                if (is_found)
                        return true;
        }
        *at = s.at;
        return false;
}
