/* template.c - texts with $names to be filled in when a reply is made */
#include "policy/template.h"

#include "base/buf.h"

struct expansion {
        template_value *value;
        void *context;
        struct buf out;
        int depth;
};

static bool is_of_name(char c)
{
        return char_is_alnum(c) || c == '_';
}

static struct str take_name(struct str *rest)
{
        size_t len = 0;
        while (len < rest->len && is_of_name(rest->ptr[len]))
                len++;
        struct str name = str_part(*rest, 0, len);
        *rest = str_tail(*rest, len);
        return name;
}

/* The text between brackets that open at the front of *rest; all of it when they do not close. */
static struct str take_bracketed(struct str *rest, char open, char close)
{
        int depth = 0;
        for (size_t i = 0; i < rest->len; i++) {
                if (rest->ptr[i] == open)
                        depth++;
                else if (rest->ptr[i] == close && --depth == 0) {
                        struct str inner = str_part(*rest, 1, i - 1);
                        *rest = str_tail(*rest, i + 1);
                        return inner;
                }
        }
        struct str inner = str_tail(*rest, 1);
        *rest = str_tail(*rest, rest->len);
        return inner;
}

static void append(struct expansion *e, struct str text)
{
        size_t room = TEMPLATE_BYTES_MAX - e->out.len;
        buf_append_str(&e->out, str_part(text, 0, room));
}

static void expand(struct expansion *e, struct str text);

/* What stands behind "?" or ":"; in braces, or to the end. *rest goes on behind it. */
static struct str take_text(struct str *rest)
{
        struct str blanks = *rest;
        while (blanks.len && blanks.ptr[0] == ' ')
                blanks = str_tail(blanks, 1);
        if (blanks.len && blanks.ptr[0] == '{') {
                *rest = blanks;
                return take_bracketed(rest, '{', '}');
        }
        struct str all = *rest;
        *rest = str_tail(*rest, rest->len);
        return all;
}

static void expand_braced(struct expansion *e, struct str inner)
{
        struct str name = take_name(&inner);
        struct str value = e->value(e->context, name);
        while (inner.len && inner.ptr[0] == ' ')
                inner = str_tail(inner, 1);
        if (inner.len == 0) {
                append(e, value);
                return;
        }
        char sign = inner.ptr[0];
        inner = str_tail(inner, 1);
        if (sign != '?' && sign != ':')
                return;
        bool is_first = sign == '?' ? value.len > 0 : value.len == 0;
        struct str chosen = take_text(&inner);
        if (!is_first) {
                while (inner.len && inner.ptr[0] == ' ')
                        inner = str_tail(inner, 1);
                if (sign != '?' || inner.len == 0 || inner.ptr[0] != ':')
                        return;
                inner = str_tail(inner, 1);
                chosen = take_text(&inner);
        }
        expand(e, chosen);
}

static void expand(struct expansion *e, struct str text)
{
        if (e->depth >= TEMPLATE_DEPTH_MAX)
                return;
        e->depth++;
        while (text.len && e->out.len < TEMPLATE_BYTES_MAX) {
                ptrdiff_t dollar = str_find(text, '$');
                append(e, dollar < 0 ? text : str_part(text, 0, (size_t)dollar));
                if (dollar < 0)
                        break;
                text = str_tail(text, (size_t)dollar + 1);
                char next = text.len ? text.ptr[0] : '\0';
                if (next == '$') {
                        append(e, STR("$"));
                        text = str_tail(text, 1);
                } else if (next == '{') {
                        expand_braced(e, take_bracketed(&text, '{', '}'));
                } else if (next == '(') {
                        expand_braced(e, take_bracketed(&text, '(', ')'));
                } else {
                        append(e, e->value(e->context, take_name(&text)));
                }
        }
        e->depth--;
}

struct str template_expand(struct str text, template_value *value, void *context,
                           struct arena *arena)
{
        struct expansion e = {.value = value, .context = context};
        buf_init(&e.out, TEMPLATE_BYTES_MAX);
        expand(&e, text);
        struct str all = arena_str(arena, buf_str(&e.out));
        buf_done(&e.out);
        return all;
}

/* ---- what may pass ---- */

/* One character off the front, its C escape resolved. */
static unsigned char take_escaped(struct str *rest)
{
        static const char letters[] = "abfnrtv";
        static const char meanings[] = "\a\b\f\n\r\t\v";
        char c = rest->ptr[0];
        *rest = str_tail(*rest, 1);
        if (c != '\\' || rest->len == 0)
                return (unsigned char)c;
        unsigned octal = 0;
        size_t digits = 0;
        while (digits < 3 && digits < rest->len && rest->ptr[digits] >= '0' &&
               rest->ptr[digits] <= '7')
                octal = octal * 8 + (unsigned)(rest->ptr[digits++] - '0');
        if (digits) {
                *rest = str_tail(*rest, digits);
                return (unsigned char)octal;
        }
        c = rest->ptr[0];
        *rest = str_tail(*rest, 1);
        const char *letter = c ? strchr(letters, c) : NULL;
        return (unsigned char)(letter ? meanings[letter - letters] : c);
}

void template_filter_parse(struct str allowed, struct template_filter *out)
{
        *out = (struct template_filter){{false}};
        while (allowed.len)
                out->allows[take_escaped(&allowed)] = true;
        /* a line of ours never ends where a stranger wants it to */
        out->allows['\r'] = out->allows['\n'] = out->allows[0] = false;
}

struct str template_filter_apply(const struct template_filter *f, struct str value,
                                 struct arena *arena)
{
        size_t bad = 0;
        while (bad < value.len && f->allows[(unsigned char)value.ptr[bad]])
                bad++;
        if (bad == value.len)
                return value;
        char *copy = arena_alloc(arena, value.len + 1);
        for (size_t i = 0; i < value.len; i++)
                copy[i] = f->allows[(unsigned char)value.ptr[i]] ? value.ptr[i] : '_';
        return str_make(copy, value.len);
}
