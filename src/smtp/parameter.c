/*
 * parameter.c - the parameters of MAIL and RCPT
 *
 *      Mail-parameters = esmtp-param *( SP esmtp-param )                       (RFC 5321 4.1.2)
 *      esmtp-param     = esmtp-keyword ["=" esmtp-value]
 *      esmtp-keyword   = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
 *      esmtp-value     = 1*(%d33-60 / %d62-126 / UTF8-non-ascii)               (RFC 6531 3.3)
 *
 * A second "=" is taken for a part of the value: addresses in ORCPT come with it, against the RFC. What none of these is
 * has no name that we know: it is an option that is not supported, in the order in which they stand, as with Postfix. The
 * bytes of a value are looked at by who knows what it means.
 */
#include "smtp/grammar.h"

enum { SHOWN_BYTES_MAX = 100 };

bool smtp_take_path_keyword(struct str *args, struct str keyword)
{
        if (!str_starts_nocase(*args, keyword))
                return false;
        *args = str_trim(str_tail(*args, keyword.len));
        return args->len > 0;
}

static bool parameter_next(struct str *text, struct smtp_parameter *p)
{
        if (!str_next_word(text, " \t", &p->whole))
                return false;
        p->value = p->whole;
        p->name = str_cut(&p->value, '=');
        p->has_value = p->name.len < p->whole.len;
        return true;
}

bool smtp_parameter_is_flag(const struct smtp_parameter *p, struct str name)
{
        return !p->has_value && str_eq_nocase(p->name, name);
}

bool smtp_parameter_has(const struct smtp_parameter *p, struct str name)
{
        return p->has_value && str_eq_nocase(p->name, name);
}

int smtp_parameter_refuse(const struct smtp_parameter *p, struct arena *arena,
                          struct smtp_reply *refusal)
{
        struct str rest = str_part(p->whole, 0, SHOWN_BYTES_MAX);
        /* one line, also when smtpd_command_filter has put another into it */
        struct str shown = str_cut(&rest, '\n');
        return smtp_refuse(refusal, 555, "5.5.4",
                           arena_printf(arena, "Unsupported option: %.*s", STR_ARG(shown)));
}

int smtp_parameters_parse(struct str text, smtp_parameter_apply *apply, void *context,
                          struct smtp_reply *refusal)
{
        struct smtp_parameter p;
        unsigned seen = 0;
        while (parameter_next(&text, &p)) {
                unsigned bit = 0;
                int code = apply(context, &p, &bit, refusal);
                if (code)
                        return code;
                if (seen & bit)
                        return smtp_refuse(refusal, 501, "5.5.4", STR("Parameter given twice"));
                seen |= bit;
        }
        return 0;
}
