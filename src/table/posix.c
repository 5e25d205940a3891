/*
 * posix.c - POSIX regular expressions, extended and basic, in the words of PCRE2
 *
 * Why not regcomp(): the C library's matcher has no limits (time grows without end on a hostile
 * header), takes memory and stack as it likes, and locks; a task has 64 KiB of stack. See
 * doc/decisions/0020-posix-patterns.md.
 *
 * What PCRE2 reads differently, and is therefore written out here:
 *   a*? a++ a{2}{3}   a quantifier of a quantifier, not lazy or possessive      (?:a*)?
 *   [\d\]]            a backslash in brackets is itself                         [\\d]\]
 *   \d \n \Q          a letter behind a backslash is that letter (but \w \W \s \S \b \B)
 *   \< \> \` \'       the GNU library's word and text edges
 *   a{,3}             from nothing to three                                     a{0,3}
 *   ( ) { } * + ? |   need a backslash to be special in a basic expression
 *
 * One difference stays: with alternatives, PCRE2 takes the first that fits and POSIX the longest.
 * Whether a pattern matches is the same; what $1 holds may not be. (Back references in a pattern
 * are the exception of the exception.)
 *
 *   expression: branch ("|" branch)*    branch: (atom quantifier*)*
 *   atom:       ( expression ) . [ ... ] \c c ^ $
 */
#include "base/buf.h"
#include "table/table_private.h"

#include <errno.h>

enum { GROUPS_OPEN_MAX = 100, INTERVAL_MAX = 32767 };

enum kind {
        K_CHAR,
        K_ANY,
        K_BRACKET,
        K_CLASS,  /* \w \W \s \S */
        K_ASSERT, /* \b \B \< \> \` \' */
        K_BOL,
        K_EOL,
        K_OPEN,
        K_CLOSE,
        K_ALT,
        K_STAR,
        K_PLUS,
        K_MAYBE,
        K_INTERVAL,
        K_BACK_REFERENCE,
};

struct token {
        enum kind kind;
        char c;
};

struct translator {
        struct str in;
        size_t at;
        struct posix_flags flags;
        struct buf *out;
        struct why *why;
        ptrdiff_t atom;   /* where the last atom begins in `out`; -1: there is nothing to repeat */
        bool is_repeated; /* the atom has a quantifier already */
        bool starts_branch;
        bool has_anchor;                /* the branch began with ^, and nothing else yet */
        uint32_t open[GROUPS_OPEN_MAX]; /* offsets in `out` of the groups that are open */
        int open_number[GROUPS_OPEN_MAX];
        int depth;
        int groups;
        unsigned complete; /* bit n: group n is closed, and \n may name it */
};

static int put(struct translator *t, const char *text)
{
        return buf_append_str(t->out, str_from(text));
}

static int put_literal(struct translator *t, char c)
{
        if ((unsigned char)c < 0x80 && !char_is_alnum(c) && c > ' ')
                buf_append_char(t->out, '\\');
        return buf_append_char(t->out, c);
}

static bool has_next(const struct translator *t, const char *text)
{
        return str_starts(str_tail(t->in, t->at), str_from(text));
}

static struct token token_of_escape(char c)
{
        switch (c) {
        case 'w':
        case 'W':
        case 's':
        case 'S':
                return (struct token){K_CLASS, c};
        case 'b':
        case 'B':
        case '<':
        case '>':
        case '`':
        case '\'':
                return (struct token){K_ASSERT, c};
        case '1' ... '9':
                return (struct token){K_BACK_REFERENCE, c};
        default:
                return (struct token){K_CHAR, c};
        }
}

static enum kind special_of(char c)
{
        switch (c) {
        case '(':
                return K_OPEN;
        case ')':
                return K_CLOSE;
        case '|':
                return K_ALT;
        case '{':
                return K_INTERVAL;
        case '+':
                return K_PLUS;
        case '?':
                return K_MAYBE;
        default:
                return K_CHAR;
        }
}

static int next_token(struct translator *t, struct token *token)
{
        bool is_basic = t->flags.is_basic;
        char c = t->in.ptr[t->at++];
        if (c == '\\') {
                if (t->at == t->in.len)
                        return why_set(t->why, -EINVAL, "a backslash at the end");
                c = t->in.ptr[t->at++];
                *token = token_of_escape(c);
                if (is_basic)
                        token->kind = special_of(c) != K_CHAR ? special_of(c) : token->kind;
                if (is_basic && t->atom < 0 && (c == '+' || c == '?'))
                        token->kind = K_CHAR;
                return 0;
        }
        *token = (struct token){K_CHAR, c};
        if (c == '.')
                token->kind = K_ANY;
        else if (c == '[')
                token->kind = K_BRACKET;
        else if (c == '*')
                token->kind = is_basic && t->atom < 0 ? K_CHAR : K_STAR; /* \(*a\) */
        else if (c == '^')
                token->kind = is_basic && (!t->starts_branch || t->has_anchor) ? K_CHAR : K_BOL;
        else if (c == '$')
                token->kind =
                        is_basic && t->at < t->in.len && !has_next(t, "\\)") && !has_next(t, "\\|")
                                ? K_CHAR
                                : K_EOL;
        else if (!is_basic)
                token->kind = special_of(c);
        /* In an extended expression a ) that closes nothing is itself. */
        if (token->kind == K_CLOSE && !is_basic && t->depth == 0)
                token->kind = K_CHAR;
        return 0;
}

/* ---- brackets ---- */
static const char *const class_names[] = {"alpha", "digit", "alnum", "upper", "lower", "space",
                                          "blank", "punct", "print", "graph", "cntrl", "xdigit"};

/* "[:alpha:]" inside of brackets, copied; `at` stands behind "[:". */
static int bracket_class(struct translator *t)
{
        struct str rest = str_tail(t->in, t->at);
        ptrdiff_t end = str_find_str(rest, STR(":]"));
        if (end < 0)
                return why_set(t->why, -EINVAL, "\"[:\" without \":]\"");
        struct str name = str_part(rest, 0, (size_t)end);
        for (size_t i = 0; i < sizeof(class_names) / sizeof(class_names[0]); i++) {
                if (!str_eq(name, str_from(class_names[i])))
                        continue;
                t->at += (size_t)end + 2;
                return buf_printf(t->out, "[:%s:]", class_names[i]);
        }
        return why_set(t->why, -EINVAL, "\"[:%.*s:]\" is no class of characters",
                       (int)(name.len > 30 ? 30 : name.len), name.ptr);
}

/* One character of a bracket: itself, [.x.] or [=x=]. */
static int bracket_member(struct translator *t, unsigned char *member)
{
        if (!has_next(t, "[.") && !has_next(t, "[=")) {
                *member = (unsigned char)t->in.ptr[t->at++];
                return 0;
        }
        struct str rest = str_tail(t->in, t->at);
        if (rest.len < 5 || rest.ptr[3] != rest.ptr[1] || rest.ptr[4] != ']')
                return why_set(t->why, -EINVAL, "\"[%c\" is only known around one character",
                               rest.ptr[1]);
        *member = (unsigned char)rest.ptr[2];
        t->at += 5;
        return 0;
}

static int bracket_range(struct translator *t)
{
        unsigned char low;
        int error = bracket_member(t, &low);
        if (error)
                return error;
        bool is_range = has_next(t, "-") && !has_next(t, "-]") && t->at + 1 < t->in.len;
        if (!is_range)
                return buf_printf(t->out, "\\x%02x", low);
        t->at++;
        if (has_next(t, "[:"))
                return why_set(t->why, -EINVAL, "a range cannot end with a class");
        unsigned char high;
        error = bracket_member(t, &high);
        if (error)
                return error;
        if (low > high)
                return why_set(t->why, -EINVAL, "the range %c-%c runs backwards", low, high);
        return buf_printf(t->out, "\\x%02x-\\x%02x", low, high);
}

/* `at` stands behind the '['. */
static int put_bracket(struct translator *t)
{
        bool is_negated = has_next(t, "^");
        t->at += is_negated;
        /* A line end is never in "all but these" when lines are looked at one by one. */
        int error = put(t, !is_negated ? "[" : t->flags.is_multi_line ? "[^\\n" : "[^");
        for (bool is_first = true; error == 0; is_first = false) {
                if (t->at >= t->in.len)
                        return why_set(t->why, -EINVAL, "a '[' without ']'");
                if (!is_first && has_next(t, "]")) {
                        t->at++;
                        return put(t, "]");
                }
                if (has_next(t, "[:")) {
                        t->at += 2;
                        error = bracket_class(t);
                } else {
                        error = bracket_range(t);
                }
        }
        return error;
}

/* ---- quantifiers ---- */
static int interval_number(struct translator *t, int *number)
{
        size_t start = t->at;
        while (t->at < t->in.len && char_is_digit(t->in.ptr[t->at]))
                t->at++;
        struct str digits = str_part(t->in, start, t->at - start);
        if (str_is_empty(digits))
                return -ENOENT;
        int64_t value;
        if (str_to_int64(digits, 0, INTERVAL_MAX, &value))
                return why_set(t->why, -EINVAL, "a count of more than %d", INTERVAL_MAX);
        *number = (int)value;
        return 0;
}

/* "{m}", "{m,}", "{m,n}", "{,n}": `at` stands behind the brace. */
static int interval_read(struct translator *t, char *text, size_t room)
{
        int low = 0;
        int high = -1;
        int error = interval_number(t, &low);
        bool has_low = error != -ENOENT;
        if (error && has_low)
                return error;
        bool has_comma = has_next(t, ",");
        if (has_comma) {
                t->at++;
                error = interval_number(t, &high);
                if (error && error != -ENOENT)
                        return error;
        }
        const char *close = t->flags.is_basic ? "\\}" : "}";
        if ((!has_low && (!has_comma || high < 0)) || !has_next(t, close))
                return why_set(
                        t->why, -EINVAL,
                        "\"{\" needs a count, as in {2} or {1,3}; for the character write %s",
                        t->flags.is_basic ? "{" : "\\{");
        t->at += strlen(close);
        if (high >= 0 && high < low)
                return why_set(t->why, -EINVAL, "{%d,%d} runs backwards", low, high);
        if (!has_comma)
                snprintf(text, room, "{%d}", low);
        else if (high < 0)
                snprintf(text, room, "{%d,}", low);
        else
                snprintf(text, room, "{%d,%d}", low, high);
        return 0;
}

/* Puts (?: ) around the last atom. */
static int atom_enclose(struct translator *t)
{
        static const char open[] = "(?:";
        size_t atom = (size_t)t->atom;
        size_t len = t->out->len - atom;
        int error = put(t, "(?:)");
        if (error)
                return error;
        memmove(t->out->ptr + atom + 3, t->out->ptr + atom, len);
        memcpy(t->out->ptr + atom, open, 3);
        t->out->ptr[t->out->len - 1] = ')';
        return 0;
}

static int put_quantifier(struct translator *t, struct token token)
{
        if (t->atom < 0)
                return why_set(t->why, -EINVAL,
                               "there is nothing before \"%c\" that it could repeat", token.c);
        if (t->flags.is_basic && t->is_repeated &&
            (token.kind == K_STAR || token.kind == K_INTERVAL))
                return why_set(t->why, -EINVAL, "two repetitions, one behind the other");
        char text[32] = {token.c};
        int error = token.kind == K_INTERVAL ? interval_read(t, text, sizeof(text)) : 0;
        if (error == 0 && t->is_repeated)
                error = atom_enclose(t);
        t->is_repeated = true;
        return error ? error : put(t, text);
}

/* ---- the rest ---- */
static int put_open(struct translator *t)
{
        if (t->depth == GROUPS_OPEN_MAX)
                return why_set(t->why, -EINVAL, "more than %d groups one inside the other",
                               GROUPS_OPEN_MAX);
        t->open[t->depth] = (uint32_t)t->out->len;
        t->open_number[t->depth] = ++t->groups;
        t->depth++;
        return put(t, "(");
}

static int put_close(struct translator *t)
{
        if (t->depth == 0)
                return why_set(t->why, -EINVAL, "a \"\\)\" that closes nothing");
        t->depth--;
        t->atom = (ptrdiff_t)t->open[t->depth];
        if (t->open_number[t->depth] <= 9)
                t->complete |= 1u << t->open_number[t->depth];
        return put(t, ")");
}

static int put_assertion(struct translator *t, char c)
{
        switch (c) {
        case '<':
                return put(t, "\\b(?=\\w)");
        case '>':
                return put(t, "\\b(?<=\\w)");
        case '`':
                return put(t, "\\A");
        case '\'':
                return put(t, "\\z");
        default:
                return put(t, c == 'b' ? "\\b" : "\\B");
        }
}

static int put_atom(struct translator *t, struct token token)
{
        switch (token.kind) {
        case K_ANY:
                return put(t, ".");
        case K_BRACKET:
                return put_bracket(t);
        case K_CLASS:
                return buf_printf(t->out, "\\%c", token.c);
        case K_BACK_REFERENCE:
                if (!(t->complete & 1u << (token.c - '0')))
                        return why_set(t->why, -EINVAL, "\\%c names a group that is not there",
                                       token.c);
                return buf_printf(t->out, "\\g{%c}", token.c);
        default:
                return put_literal(t, token.c);
        }
}

static int put_token(struct translator *t, struct token token)
{
        bool started_branch = t->starts_branch;
        t->starts_branch = false;
        t->has_anchor = token.kind == K_BOL;
        if (token.kind >= K_STAR && token.kind <= K_INTERVAL)
                return put_quantifier(t, token);
        t->atom = -1;
        t->is_repeated = false;
        switch (token.kind) {
        case K_OPEN:
                t->starts_branch = true;
                return put_open(t);
        case K_CLOSE:
                return put_close(t);
        case K_ALT:
                t->starts_branch = true;
                return put(t, "|");
        case K_BOL:
                t->starts_branch = started_branch && t->flags.is_basic;
                return put(t, "^");
        case K_EOL:
                return put(t, "$");
        case K_ASSERT:
                return put_assertion(t, token.c);
        default:
                t->atom = (ptrdiff_t)t->out->len;
                return put_atom(t, token);
        }
}

int posix_to_pcre(struct str pattern, struct posix_flags flags, struct buf *out, struct why *why)
{
        struct translator t = {.in = pattern,
                               .flags = flags,
                               .out = out,
                               .why = why,
                               .atom = -1,
                               .starts_branch = true};
        while (t.at < t.in.len) {
                struct token token;
                int error = next_token(&t, &token);
                if (error == 0)
                        error = put_token(&t, token);
                if (error)
                        return error;
        }
        if (t.depth > 0)
                return why_set(why, -EINVAL, "a '(' without ')'");
        return 0;
}
