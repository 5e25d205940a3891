/*
 * path.c - one mailbox, out of whatever is wrapped around it
 *
 *      Path           = "<" [ A-d-l ":" ] Mailbox ">"                  (RFC 5321 4.1.2)
 *      A-d-l          = At-domain *( "," At-domain ); At-domain = "@" Domain
 *      Mailbox        = Local-part "@" ( Domain / address-literal )
 *      Local-part     = Dot-string / Quoted-string
 *      Dot-string     = Atom *("."  Atom); Atom = 1*( ALPHA / DIGIT / !#$%&'*+-/=?^_`{|}~ / UTF8 )
 *      Quoted-string  = DQUOTE *( qtextSMTP / quoted-pairSMTP / UTF8 ) DQUOTE
 *      quoted-pairSMTP = "\" %d32-126
 *
 * Taken beyond that, always, as Postfix does: blanks inside the brackets, brackets in brackets,
 * dots anywhere in a local part ("a..b" lives at large providers; it is quoted on the way out),
 * words and quoted words mixed with dots between them, no domain. Taken when not strict: no brackets, a display name in
 * front of the bracket ("Name<a@b>"), comments, quoted pairs outside of quotes, and any route (4.1.2: it should be ignored).
 *
 * Never taken: control characters, wherever they stand; a local part that is empty, since unquoted
 * it cannot be told from none; a domain that is no name (domain.c); what follows the path without a
 * blank.
 *
 * The parser walks over the text once and writes the local part, unquoted, into the arena as it
 * goes.
 */
#include "smtp/grammar.h"

struct scan {
        const char *p, *end;
        const struct smtp_path_rules *rules;
        struct arena *arena;
        bool is_strict;
        bool is_cut; /* a quoted word or a comment that does not end */
        bool has_comment;
        char *local; /* room for as many bytes as the text has */
        size_t local_bytes;
};

static bool next_is(const struct scan *s, char c)
{
        return s->p < s->end && *s->p == c;
}

static bool take(struct scan *s, char c)
{
        if (!next_is(s, c))
                return false;
        s->p++;
        return true;
}

static bool is_atext(char c)
{
        return char_is_alnum(c) || (unsigned char)c & 0x80 ||
               (c && strchr("!#$%&'*+-/=?^_`{|}~", c));
}

static bool is_domain_byte(char c)
{
        return char_is_alnum(c) || (unsigned char)c & 0x80 || c == '-' || c == '_' || c == '.';
}

/* Over a quoted word, a comment or a quoted pair as a whole, else over one byte. */
static void skip_unit(struct scan *s)
{
        char first = *s->p++;
        char last = first == '"' ? '"' : first == '(' && !s->is_strict ? ')' : '\0';
        size_t depth = 1;
        s->has_comment = s->has_comment || last == ')';
        if (first == '\\' && s->p < s->end)
                s->p++;
        while (last && depth && s->p < s->end) {
                char c = *s->p++;
                if (c == '\\' && s->p < s->end)
                        s->p++;
                else if (c == last)
                        depth--;
                else if (c == '(' && last == ')')
                        depth++;
        }
        s->is_cut = s->is_cut || (last && depth);
}

static void skip_comments(struct scan *s)
{
        while (!s->is_strict && next_is(s, '('))
                skip_unit(s);
}

static void skip_blanks(struct scan *s)
{
        while (s->p < s->end && (char_is_blank(*s->p) || (!s->is_strict && *s->p == '(')))
                skip_unit(s);
}

/* "Name<a@b>": to the bracket, if there is one in this word. */
static void skip_display_name(struct scan *s)
{
        struct scan ahead = *s;
        while (ahead.p < ahead.end && !char_is_blank(*ahead.p)) {
                if (*ahead.p == '<') {
                        s->p = ahead.p;
                        return;
                }
                skip_unit(&ahead);
        }
}

static bool take_quoted(struct scan *s)
{
        s->p++;
        while (s->p < s->end && *s->p != '"') {
                if (*s->p == '\\')
                        s->p++;
                if (s->p == s->end || char_is_control(*s->p))
                        return false;
                s->local[s->local_bytes++] = *s->p++;
        }
        return take(s, '"');
}

/* A word has its quotes around the whole of it: between it and the next one is a dot. */
static bool take_quoted_word(struct scan *s)
{
        if (s->local_bytes && s->p[-1] != '.')
                return false;
        if (!take_quoted(s))
                return false;
        skip_comments(s);
        return s->p == s->end || (!is_atext(*s->p) && *s->p != '"' && *s->p != '\\');
}

static bool take_local(struct scan *s)
{
        for (;;) {
                skip_comments(s);
                if (next_is(s, '"')) {
                        if (!take_quoted_word(s))
                                return false;
                        continue;
                }
                if (!s->is_strict && next_is(s, '\\')) {
                        s->p++;
                        if (s->p == s->end || char_is_control(*s->p))
                                return false;
                } else if (s->p == s->end || (!is_atext(*s->p) && *s->p != '.')) {
                        return s->local_bytes > 0;
                }
                s->local[s->local_bytes++] = *s->p++;
        }
}

/* An address that lost its brackets gets them back, where that is wanted. */
static bool take_numbers(const struct scan *s, struct str *domain)
{
        if (!s->rules->allows_numeric_domain)
                return false;
        *domain = arena_printf(s->arena, "[%.*s]", STR_ARG(*domain));
        return smtp_domain_is_literal(*domain);
}

static bool take_domain(struct scan *s, struct str *domain)
{
        const char *start = s->p;
        if (next_is(s, '[')) {
                const char *close = memchr(s->p, ']', (size_t)(s->end - s->p));
                s->p = close ? close + 1 : s->end;
                *domain = str_make(start, (size_t)(s->p - start));
                return smtp_domain_is_literal(*domain);
        }
        while (s->p < s->end && is_domain_byte(*s->p))
                s->p++;
        *domain = str_make(start, (size_t)(s->p - start));
        if (str_ends(*domain, STR(".")))
                domain->len--;
        return smtp_domain_is_valid(*domain) || take_numbers(s, domain);
}

/* What follows the "@" of a mailbox. */
static bool take_mailbox_domain(struct scan *s, struct str *domain)
{
        bool has_null = s->rules->allows_null_domain;
        bool is_null = has_null && (s->p == s->end || next_is(s, '>') || char_is_blank(*s->p));
        if (is_null)
                return true;
        if (!take_domain(s, domain))
                return false;
        if (has_null)
                take(s, '@');
        return true;
}

/*
 * Not strict: what stands before the ":" is not looked at, as Postfix does. (Behind a comment a comma is taken for the end of an
 * address there, and two are one too many.) Without brackets a blank ends the path.
 */
static bool skip_route(struct scan *s, bool has_brackets)
{
        bool had_comment = s->has_comment;
        bool has_comma = false;
        while (s->p < s->end && !next_is(s, ':')) {
                if (next_is(s, '<') || next_is(s, '>') || (char_is_blank(*s->p) && !has_brackets))
                        return false;
                has_comma = has_comma || next_is(s, ',');
                if (next_is(s, '[')) {
                        const char *close = memchr(s->p, ']', (size_t)(s->end - s->p));
                        s->p = close ? close : s->p;
                }
                skip_unit(s);
        }
        if (!take(s, ':') || (had_comment && has_comma))
                return false;
        skip_blanks(s);
        return true;
}

/* [ A-d-l ":" ], which is read and forgotten; a comma may stand at its end, as in RFC 822 */
static bool take_route(struct scan *s)
{
        struct str ignored;
        if (!next_is(s, '@'))
                return true;
        do {
                skip_blanks(s);
                if (!take(s, '@') || !take_domain(s, &ignored))
                        return false;
                skip_blanks(s);
        } while (take(s, ',') && !next_is(s, ':'));
        if (!take(s, ':'))
                return false;
        skip_blanks(s);
        return true;
}

/* From the first bracket to the last. The null path leaves the local part empty. */
static bool take_path(struct scan *s, struct str *domain)
{
        size_t brackets = 0;
        *domain = STR("");
        skip_blanks(s);
        if (!s->is_strict)
                skip_display_name(s);
        for (; take(s, '<'); brackets++)
                skip_blanks(s);
        if (s->is_strict && brackets == 0)
                return false;
        bool is_null = brackets ? next_is(s, '>') : s->p == s->end;
        if (!is_null) {
                bool is_lenient = !s->is_strict && next_is(s, '@');
                if (!(is_lenient ? skip_route(s, brackets > 0) : take_route(s)) || !take_local(s))
                        return false;
                if (brackets)
                        skip_blanks(s);
                if (take(s, '@')) {
                        if (brackets)
                                skip_blanks(s);
                        else
                                skip_comments(s);
                        if (!take_mailbox_domain(s, domain))
                                return false;
                }
        }
        for (; brackets; brackets--) {
                skip_blanks(s);
                if (!take(s, '>'))
                        return false;
        }
        skip_comments(s);
        return !s->is_cut && (s->p == s->end || char_is_blank(*s->p));
}

static bool is_dot_string(struct str local)
{
        bool after_dot = true;
        for (size_t i = 0; i < local.len; i++) {
                bool is_dot = local.ptr[i] == '.';
                if (!(is_dot ? !after_dot : is_atext(local.ptr[i])))
                        return false;
                after_dot = is_dot;
        }
        return !after_dot;
}

/* The local part, in quotes where it needs them. A control character could end a command. */
static size_t quote_local(struct str local, char *out)
{
        size_t len = 0;
        bool wants_quotes = !is_dot_string(local);
        if (wants_quotes)
                out[len++] = '"';
        for (size_t i = 0; i < local.len; i++) {
                char c = local.ptr[i];
                if (c == '"' || c == '\\')
                        out[len++] = '\\';
                out[len++] = char_is_control(c) ? '?' : c;
        }
        if (wants_quotes)
                out[len++] = '"';
        return len;
}

struct smtp_address smtp_address_make(struct str local, struct str domain, struct arena *arena)
{
        if (local.len == 0 && domain.len == 0)
                return (struct smtp_address){STR(""), STR(""), STR("")};
        char *text = arena_alloc(arena, 2 * local.len + 2 + 1 + domain.len + 1);
        size_t len = quote_local(local, text);
        if (domain.len) {
                text[len++] = '@';
                for (size_t i = 0; i < domain.len; i++)
                        text[len++] = char_is_control(domain.ptr[i]) ? '?' : domain.ptr[i];
        }
        return (struct smtp_address){
                str_make(text, len),
                arena_str(arena, local),
                str_make(text + len - domain.len, domain.len),
        };
}

/* Takes a path off *text. 0 or -EBADMSG. */
static int path_take(struct str *text, const struct smtp_path_rules *rules, struct arena *arena,
                     struct smtp_address *out)
{
        struct str domain;
        struct str in = text->len ? *text : STR("");
        struct scan s = {
                .p = in.ptr,
                .end = in.ptr + in.len,
                .rules = rules,
                .arena = arena,
                .is_strict = rules->is_strict,
                .local = arena_alloc(arena, in.len + 1),
        };
        if (!take_path(&s, &domain))
                return -EBADMSG;
        size_t taken = (size_t)(s.p - in.ptr);
        struct str local = str_make(s.local, s.local_bytes);
        if (local.len == 0 ? !rules->allows_null : domain.len == 0 && !rules->allows_no_domain)
                return -EBADMSG;
        if (rules->refuses_minus && local.len && local.ptr[0] == '-')
                return -EBADMSG;
        for (size_t i = 0; i < taken; i++)
                if (char_is_control(in.ptr[i]) && in.ptr[i] != '\t')
                        return -EBADMSG;
        if (!smtp_text_is_ascii(local) && smtp_text_has_control(local))
                return -EBADMSG;
        *out = smtp_address_make(local, domain, arena);
        if (out->text.len > SMTP_PATH_BYTES_MAX)
                return -EBADMSG;
        *text = str_tail(in, taken);
        return 0;
}

int smtp_path_parse(struct str *text, const struct smtp_path_rules *rules, struct arena *arena,
                    struct smtp_address *out, struct smtp_reply *refusal)
{
        *out = (struct smtp_address){STR(""), STR(""), STR("")};
        if (!smtp_utf8_is_valid(*text))
                return smtp_refuse(refusal, 500, "5.5.2", STR("Bad UTF-8 syntax"));
        struct str in = *text;
        if (path_take(text, rules, arena, out) ||
            (rules->refuses_u_labels && !smtp_text_is_ascii(out->domain))) {
                *text = in;
                *out = (struct smtp_address){STR(""), STR(""), STR("")};
                return rules->allows_null ? smtp_refuse(refusal, 501, "5.1.7",
                                                        STR("Bad sender address syntax"))
                                          : smtp_refuse(refusal, 501, "5.1.3",
                                                        STR("Bad recipient address syntax"));
        }
        if (!rules->allows_utf8 && !smtp_text_is_ascii(out->text))
                return smtp_refuse(refusal, 553, "5.6.7",
                                   STR("Must declare SMTPUTF8 to send unicode address"));
        return 0;
}

struct str smtp_address_log(struct str text, bool is_internal, struct arena *arena)
{
        if (!is_internal || !str_starts(text, STR("\"")))
                return text;
        char *out = arena_alloc(arena, text.len);
        size_t len = 0;
        size_t i = 1;
        for (; i < text.len && text.ptr[i] != '"'; i++) {
                if (text.ptr[i] == '\\' && i + 1 < text.len)
                        i++;
                out[len++] = text.ptr[i];
        }
        for (i++; i < text.len; i++)
                out[len++] = text.ptr[i];
        return str_make(out, len);
}

int smtp_address_parse(struct str text, struct arena *arena, struct smtp_address *out)
{
        static const struct smtp_path_rules rules = {
                .allows_null = true, .allows_no_domain = true, .allows_utf8 = true};
        struct smtp_reply ignored;
        text = str_trim(text);
        if (smtp_path_parse(&text, &rules, arena, out, &ignored) || text.len) {
                *out = (struct smtp_address){STR(""), STR(""), STR("")};
                return -EBADMSG;
        }
        return 0;
}
