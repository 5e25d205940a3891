/*
 * rcpt.c - RCPT and its parameters
 *
 *      rcpt = "RCPT TO:" Forward-path [SP Rcpt-parameters] CRLF                (RFC 5321 4.1.1.3)
 *      NOTIFY= "NEVER" / 1#( "SUCCESS" / "FAILURE" / "DELAY" )                 (RFC 3461 4.1)
 *      ORCPT=  addr-type ";" xtext, at most 500 characters                     (RFC 3461 4.2)
 *              "utf-8;" ( utf-8-addr-xtext / utf-8-addr-unitext )              (RFC 6533 3)
 */
#include "smtp/grammar.h"

enum { ORCPT_BYTES_MAX = 500 };
enum { SEEN_NOTIFY = 1, SEEN_ORCPT = 2 };

static int notify_parse(struct str value, unsigned *notify)
{
        static const struct {
                struct str name;
                unsigned bit;
        } words[] = {
                {STR_INIT("SUCCESS"), SMTP_NOTIFY_SUCCESS},
                {STR_INIT("FAILURE"), SMTP_NOTIFY_FAILURE},
                {STR_INIT("DELAY"), SMTP_NOTIFY_DELAY},
                {STR_INIT("NEVER"), SMTP_NOTIFY_NEVER},
        };
        unsigned bits = 0;
        bool has_more = true;
        while (has_more) {
                has_more = str_find(value, ',') >= 0;
                struct str word = str_cut(&value, ',');
                unsigned bit = 0;
                for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                        if (str_eq_nocase(word, words[i].name))
                                bit = words[i].bit;
                if (bit == 0)
                        return -EBADMSG;
                bits |= bit; /* said twice it is the same */
        }
        if (bits & SMTP_NOTIFY_NEVER && bits != SMTP_NOTIFY_NEVER)
                return -EBADMSG;
        *notify = bits;
        return 0;
}

static bool type_is_valid(struct str type)
{
        for (size_t i = 0; i < type.len; i++)
                if (!char_is_alnum(type.ptr[i]) && type.ptr[i] != '-')
                        return false;
        return type.len > 0;
}

/* Like printable xtext; bytes that are not ASCII stand for themselves (utf-8-addr-unitext). */
static bool unitext_is_printable(struct str text)
{
        if (!smtp_utf8_is_valid(text) || smtp_text_has_control(text))
                return false;
        while (text.len) {
                size_t ascii = 0;
                while (ascii < text.len && !((unsigned char)text.ptr[ascii] & 0x80))
                        ascii++;
                struct str part = str_part(text, 0, ascii);
                if (ascii && !smtp_xtext_is_printable(part, ORCPT_BYTES_MAX))
                        return false;
                text = str_tail(text, ascii ? ascii : 1);
        }
        return true;
}

static bool orcpt_is_valid(struct str value)
{
        struct str address = value;
        struct str type = str_cut(&address, ';');
        if (value.len > ORCPT_BYTES_MAX || !type_is_valid(type) || address.len == 0)
                return false;
        return str_eq_nocase(type, STR("utf-8")) ? unitext_is_printable(address)
                                                 : smtp_xtext_is_printable(address, value.len);
}

struct parsing {
        const struct smtp_offers *offers;
        struct arena *arena;
        struct smtp_rcpt_command *out;
};

static int parameter_apply(void *context, const struct smtp_parameter *p, unsigned *bit,
                           struct smtp_reply *refusal)
{
        const struct parsing *parsing = context;
        const struct smtp_offers *offers = parsing->offers;
        struct arena *arena = parsing->arena;
        struct smtp_rcpt_command *out = parsing->out;
        if (offers->dsn && smtp_parameter_has(p, STR("NOTIFY"))) {
                *bit = SEEN_NOTIFY;
                if (notify_parse(p->value, &out->notify))
                        return smtp_refuse(refusal, 501, "5.5.4",
                                           STR("Bad NOTIFY parameter syntax"));
        } else if (offers->dsn && smtp_parameter_has(p, STR("ORCPT"))) {
                *bit = SEEN_ORCPT;
                if (!orcpt_is_valid(p->value))
                        return smtp_refuse(refusal, 501, "5.5.4",
                                           STR("Bad ORCPT parameter syntax"));
                out->orcpt = smtp_xtext_keep(p->value, arena);
        } else if (offers->refuses_dsn &&
                   (smtp_parameter_has(p, STR("NOTIFY")) || smtp_parameter_has(p, STR("ORCPT")))) {
                return smtp_refuse(refusal, 501, "5.7.1", STR("DSN is not for this client"));
        } else {
                return smtp_parameter_refuse(p, arena, refusal);
        }
        return 0;
}

int smtp_rcpt_parse(struct str args, const struct smtp_path_rules *rules,
                    const struct smtp_offers *offers, struct arena *arena,
                    struct smtp_rcpt_command *out, struct smtp_reply *refusal)
{
        *out = (struct smtp_rcpt_command){0};
        if (!smtp_take_path_keyword(&args, STR("TO:")))
                return smtp_refuse(refusal, 501, "5.5.4", STR("Syntax: RCPT TO:<address>"));
        int code = smtp_path_parse(&args, rules, arena, &out->recipient, refusal);
        if (code)
                return code;

        struct parsing parsing = {offers, arena, out};
        code = smtp_parameters_parse(args, parameter_apply, &parsing, refusal);
        return code;
}
