/*
 * expand.c - $name references (postconf(5))
 *
 *   $name  ${name}  $(name)             the value
 *   ${name?text}  ${name?{text}}        text, if the value is not empty
 *   ${name:text}  ${name:{text}}        text, if it is
 *   ${name?{a}:{b}}                     a or b
 *   ${{a} == {b} ? {c} : {d}}           == != < <= > >=; also ==level ... for 3.6-like numbers
 *   $$                                  a dollar sign
 *
 * A value is looked at before its own references are replaced, as Postfix does: with e = $x, ${e?y}
 * is y also when x is empty.
 *
 * Postfix replaces while it runs and dies at a bad reference; here that is an error of the
 * configuration. A reference to nothing is empty, as there.
 *
 * Limits: references nest NESTING_MAX deep; a value has VALUE_BYTES_MAX; and as a=$b$b, b=$c$c ...
 * doubles without making a byte, the work is limited too: a reference counts as WORK_BYTES_EACH.
 */
#include "config/config_private.h"

#include <errno.h>

enum { WORK_BYTES_MAX = 2 * VALUE_BYTES_MAX, WORK_BYTES_EACH = 64 };

struct expander {
        const struct scope *scope;
        struct buf *out;
        struct marks *marks;
        struct place *at;
        struct why *why;
        unsigned depth;
        size_t work;
};

/* A text with the place of each of its bytes. */
struct source {
        struct str text;
        const struct setting *setting; /* that it is a part of */
        size_t offset;                 /* in setting->raw */
};

static int expand_source(struct expander *x, struct source s);

static bool is_name_char(char c)
{
        return char_is_alnum(c) || c == '_';
}

static size_t skip_blanks(struct str s, size_t i)
{
        while (i < s.len && (s.ptr[i] == ' ' || s.ptr[i] == '\t'))
                i++;
        return i;
}

static struct source source_part(struct source s, size_t from, size_t len)
{
        return (struct source){str_part(s.text, from, len), s.setting, s.offset + from};
}

static struct place source_place(struct source s, size_t i)
{
        return marks_find(&s.setting->marks, s.offset + i, s.setting->at);
}

static int fail(struct expander *x, struct source s, size_t i, const char *what)
{
        struct str near = str_part(s.text, i, 40);
        *x->at = source_place(s, i);
        return why_set(x->why, -EINVAL, "%s: \"%.*s\"", what, STR_ARG(near));
}

static int put(struct expander *x, struct source s)
{
        if (str_is_empty(s.text))
                return 0;
        if (buf_append_str(x->out, s.text))
                return fail(x, s, 0, "the value becomes too long with its $names replaced");
        if (!x->marks)
                return 0;
        size_t start = x->out->len - s.text.len;
        marks_add(x->marks, start, source_place(s, 0));
        const struct marks *m = &s.setting->marks;
        for (size_t i = marks_after(m, s.offset); i < m->count; i++) {
                if (m->list[i].offset >= s.offset + s.text.len)
                        break;
                marks_add(x->marks, start + m->list[i].offset - s.offset, m->list[i].at);
        }
        return 0;
}

/* The length of "{...}" at the front, with its braces; 0 when it is not closed. */
static size_t balanced(struct str s, char open, char close)
{
        unsigned depth = 0;
        for (size_t i = 0; i < s.len; i++) {
                if (s.ptr[i] == open)
                        depth++;
                else if (s.ptr[i] == close && --depth == 0)
                        return i + 1;
        }
        return 0;
}

/* Takes "{text}" at *i, and the blanks behind it. */
static int take_braces(struct expander *x, struct source s, size_t *i, struct source *inside)
{
        struct str rest = str_tail(s.text, *i);
        size_t len = rest.len && rest.ptr[0] == '{' ? balanced(rest, '{', '}') : 0;
        if (!len)
                return fail(x, s, *i, "{text} is wanted here");
        *inside = source_part(s, *i + 1, len - 2);
        *i = skip_blanks(s.text, *i + len);
        return 0;
}

/* "?text", ":text", "?{text}:{text}" from s[i] on. */
static int expand_branches(struct expander *x, struct source s, size_t i, bool is_true)
{
        bool is_yes = s.text.ptr[i] == '?';
        size_t start = skip_blanks(s.text, ++i);
        if (start == s.text.len || s.text.ptr[start] != '{')
                return is_true == is_yes ? expand_source(x, source_part(s, i, s.text.len)) : 0;
        struct source yes = {0}, no = {0};
        struct source *first = is_yes ? &yes : &no;
        int code = take_braces(x, s, &start, first);
        if (code)
                return code;
        if (start < s.text.len && is_yes) {
                if (s.text.ptr[start] != ':')
                        return fail(x, s, start, "':' is wanted here");
                size_t after = skip_blanks(s.text, start + 1);
                no = source_part(s, after, s.text.len);
                start = s.text.len;
                if (no.text.len && no.text.ptr[0] == '{') {
                        start = after;
                        code = take_braces(x, s, &start, &no);
                        if (code)
                                return code;
                }
        }
        if (start < s.text.len)
                return fail(x, s, start, "nothing more is wanted here");
        struct source taken = is_true ? yes : no;
        return taken.setting ? expand_source(x, taken) : 0;
}

static bool is_number(struct str s)
{
        for (size_t i = 0; i < s.len; i++)
                if (!char_is_digit(s.ptr[i]))
                        return false;
        return s.len > 0;
}

static int compare_numbers(struct str a, struct str b)
{
        while (a.len > 1 && a.ptr[0] == '0')
                a = str_tail(a, 1);
        while (b.len > 1 && b.ptr[0] == '0')
                b = str_tail(b, 1);
        if (a.len != b.len)
                return a.len < b.len ? -1 : 1;
        return str_cmp(a, b);
}

/* "3.6" and "3.10.1": up to three numbers; what is missing is 0. */
static int compare_levels(struct expander *x, struct source s, struct str a, struct str b, int *out)
{
        *out = 0;
        for (struct str *each = &a; each; each = each == &a ? &b : NULL) {
                struct str rest = *each;
                unsigned parts = 0;
                for (bool more = true; more; parts++) {
                        more = str_find(rest, '.') >= 0;
                        if (!is_number(str_cut(&rest, '.')) || parts == 3)
                                return fail(x, s, 0, "a level like 3.6 is wanted here");
                }
        }
        for (int i = 0; i < 3 && *out == 0; i++) {
                struct str left = str_cut(&a, '.'), right = str_cut(&b, '.');
                *out = compare_numbers(left.len ? left : STR("0"), right.len ? right : STR("0"));
        }
        return 0;
}

enum relation { REL_EQ, REL_NE, REL_LT, REL_LE, REL_GT, REL_GE, REL_NONE };

static enum relation relation_of(struct str s)
{
        static const char *const words[] = {"==", "!=", "<", "<=", ">", ">="};
        for (int i = 0; i < REL_NONE; i++)
                if (str_eq(s, str_from(words[i])))
                        return (enum relation)i;
        return REL_NONE;
}

static bool relation_holds(enum relation r, int order)
{
        switch (r) {
        case REL_EQ:
                return order == 0;
        case REL_NE:
                return order != 0;
        case REL_LT:
                return order < 0;
        case REL_LE:
                return order <= 0;
        case REL_GT:
                return order > 0;
        case REL_GE:
                return order >= 0;
        case REL_NONE:
                break;
        }
        return false;
}

/* The text of an operand, in a buf of its own. */
static int expand_operand(struct expander *x, struct source s, struct buf *out)
{
        struct expander inner = *x;
        buf_init(out, VALUE_BYTES_MAX);
        inner.out = out;
        inner.marks = NULL;
        int code = expand_source(&inner, s);
        x->work = inner.work;
        return code;
}

static int compare_operands(struct expander *x, struct source s, struct source left,
                            struct source right, bool is_level, int *order)
{
        struct buf a, b;
        int code = expand_operand(x, left, &a);
        if (code == 0) {
                code = expand_operand(x, right, &b);
                struct str one = buf_str(&a), two = buf_str(&b);
                if (code == 0 && is_level)
                        code = compare_levels(x, s, one, two, order);
                else if (is_number(one) && is_number(two))
                        *order = compare_numbers(one, two);
                else
                        *order = str_cmp(one, two);
                buf_done(&b);
        }
        buf_done(&a);
        return code;
}

/* "{a} == {b}" and what follows; s is what stands between the outer braces. */
static int expand_comparison(struct expander *x, struct source s, size_t i)
{
        struct source left, right;
        int code = take_braces(x, s, &i, &left);
        if (code)
                return code;
        size_t end = i;
        while (end < s.text.len && s.text.ptr[end] && strchr("=!<>", s.text.ptr[end]))
                end++;
        enum relation relation = relation_of(str_part(s.text, i, end - i));
        if (relation == REL_NONE)
                return fail(x, s, i, "==, !=, <, <=, > or >= is wanted here");
        bool is_level = str_starts(str_tail(s.text, end), STR("level"));
        i = skip_blanks(s.text, is_level ? end + strlen("level") : end);
        code = take_braces(x, s, &i, &right);
        if (code)
                return code;
        int order = 0;
        code = compare_operands(x, s, left, right, is_level, &order);
        if (code)
                return code;
        bool is_true = relation_holds(relation, order);
        if (i == s.text.len) {
                static const struct setting truth = {.raw = STR_INIT("true")};
                return is_true ? put(x, (struct source){truth.raw, &truth, 0}) : 0;
        }
        if (s.text.ptr[i] != '?' && s.text.ptr[i] != ':')
                return fail(x, s, i, "'?' or ':' is wanted here");
        return expand_branches(x, s, i, is_true);
}

static int expand_name(struct expander *x, struct str name)
{
        struct setting found;
        if (!scope_find(x->scope, name, &found))
                return 0;
        return expand_source(x, (struct source){found.raw, &found, 0});
}

/* What stands between the braces or parentheses. */
static int expand_inside(struct expander *x, struct source s)
{
        size_t i = skip_blanks(s.text, 0);
        if (i < s.text.len && s.text.ptr[i] == '{')
                return expand_comparison(x, s, i);
        size_t start = i;
        while (i < s.text.len && is_name_char(s.text.ptr[i]))
                i++;
        struct str name = str_part(s.text, start, i - start);
        if (str_is_empty(name))
                return fail(x, s, 0, "a name is missing after '$'");
        i = skip_blanks(s.text, i);
        if (i == s.text.len)
                return expand_name(x, name);
        if (s.text.ptr[i] != '?' && s.text.ptr[i] != ':')
                return fail(x, s, i, "this does not belong to a name");
        struct setting found;
        bool is_true = scope_find(x->scope, name, &found) && !str_is_empty(found.raw);
        return expand_branches(x, s, i, is_true);
}

/* One reference; *i is behind its '$', and is moved behind it. */
static int expand_reference(struct expander *x, struct source s, size_t *i)
{
        struct str rest = str_tail(s.text, *i);
        char c = rest.len ? rest.ptr[0] : 0;
        if (c == '$') {
                struct source dollar = source_part(s, *i, 1);
                (*i)++;
                return put(x, dollar);
        }
        if (c == '{' || c == '(') {
                size_t len = c == '{' ? balanced(rest, '{', '}') : balanced(rest, '(', ')');
                if (!len)
                        return fail(x, s, *i - 1, "this reference is not closed");
                struct source inside = source_part(s, *i + 1, len - 2);
                *i += len;
                return expand_inside(x, inside);
        }
        size_t len = 0;
        while (len < rest.len && is_name_char(rest.ptr[len]))
                len++;
        if (!len)
                return fail(x, s, *i - 1, "a name is missing after '$' (a dollar sign is $$)");
        *i += len;
        return expand_name(x, str_part(rest, 0, len));
}

static int expand_source(struct expander *x, struct source s)
{
        if (x->depth == NESTING_MAX)
                return fail(x, s, 0, "references nest too deep here; a name refers to itself");
        x->work += s.text.len + WORK_BYTES_EACH;
        if (x->work > WORK_BYTES_MAX)
                return fail(x, s, 0, "replacing all these $names takes too long");
        x->depth++;
        int code = 0;
        for (size_t i = 0; i < s.text.len && code == 0;) {
                ptrdiff_t dollar = str_find(str_tail(s.text, i), '$');
                size_t len = dollar < 0 ? s.text.len - i : (size_t)dollar;
                code = put(x, source_part(s, i, len));
                i += len;
                if (code == 0 && i < s.text.len) {
                        i++;
                        code = expand_reference(x, s, &i);
                }
        }
        x->depth--;
        return code;
}

int expand(const struct scope *scope, const struct setting *source, struct buf *out,
           struct marks *marks, struct place *at, struct why *why)
{
        struct expander x = {.scope = scope, .out = out, .marks = marks, .at = at, .why = why};
        buf_clear(out);
        if (marks)
                marks->count = 0;
        return expand_source(&x, (struct source){source->raw, source, 0});
}

void expand_names(struct str text, void (*each)(void *context, struct str name), void *context)
{
        for (size_t i = 0; i + 1 < text.len; i++) {
                if (text.ptr[i] != '$')
                        continue;
                if (text.ptr[++i] == '$')
                        continue;
                size_t start = i;
                if (text.ptr[i] == '{' || text.ptr[i] == '(')
                        start = skip_blanks(text, i + 1);
                size_t end = start;
                while (end < text.len && is_name_char(text.ptr[end]))
                        end++;
                if (end > start)
                        each(context, str_part(text, start, end - start));
                i = end > start ? end - 1 : i - 1;
        }
}
