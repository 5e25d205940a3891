/*
 * mail.c - MAIL and its parameters; BDAT, which has a grammar of one line
 *
 *      mail = "MAIL FROM:" Reverse-path [SP Mail-parameters] CRLF      (RFC 5321 4.1.1.2)
 *      SIZE=   1*20DIGIT; said twice, the last one counts              (RFC 1870 6)
 *      BODY=   "7BIT" / "8BITMIME"                                     (RFC 6152 3)
 *      SMTPUTF8                                                        (RFC 6531 3.4)
 *      RET=    "FULL" / "HDRS"                                         (RFC 3461 4.3)
 *      ENVID=  xtext, at most 100 characters                           (RFC 3461 4.4)
 *      XREPORT=  "VERIFY" / "DELIVERY", our own, from sendmail(1) on this machine alone
 *      XVERP, XVERP=  two characters of those that verp_delimiter_filter allows (Postfix's VERP_README)
 *      AUTH=   taken and forgotten: here nobody is believed who vouches for a sender (RFC 4954 5)
 */
#include "smtp/grammar.h"

enum { ENVID_BYTES_MAX = 100, SIZE_DIGITS_MAX = 20 };
enum { SEEN_RET = 1, SEEN_ENVID = 2, SEEN_REPORT = 4 };

/* A size that no int64_t holds is larger than every limit: the largest number says so. */
static int size_parse(struct str value, int64_t *size)
{
        if (value.len == 0 || value.len > SIZE_DIGITS_MAX || !char_is_digit(value.ptr[0]))
                return -EBADMSG;
        int code = str_to_int64(value, 0, INT64_MAX, size);
        if (code == -ERANGE)
                *size = INT64_MAX;
        return code == -EINVAL ? -EBADMSG : 0;
}

bool smtp_verp_is_valid(struct str delimiters, struct str filter)
{
        return delimiters.len == SMTP_VERP_BYTES && str_find(filter, delimiters.ptr[0]) >= 0 &&
               str_find(filter, delimiters.ptr[1]) >= 0;
}

struct parsing {
        const struct smtp_offers *offers;
        struct arena *arena;
        struct smtp_mail_command *out;
};

/* Said twice, the last one counts. */
static int verp_apply(const struct str *value, const struct parsing *parsing,
                      struct smtp_reply *refusal)
{
        struct str filter = parsing->offers->verp_filter;
        if (!smtp_verp_is_valid(*value, filter))
                return smtp_refuse(refusal, 501, "5.5.4",
                                   arena_printf(parsing->arena,
                                                "Error: XVERP needs two characters from %.*s",
                                                STR_ARG(filter)));
        parsing->out->verp = arena_str(parsing->arena, *value);
        return 0;
}

static int parameter_apply(void *context, const struct smtp_parameter *p, unsigned *bit,
                           struct smtp_reply *refusal)
{
        const struct parsing *parsing = context;
        const struct smtp_offers *offers = parsing->offers;
        struct arena *arena = parsing->arena;
        struct smtp_mail_command *out = parsing->out;
        if (offers->size && smtp_parameter_has(p, STR("SIZE"))) {
                if (size_parse(p->value, &out->size))
                        return smtp_refuse(refusal, 501, "5.5.4", STR("Bad message size syntax"));
        } else if (offers->eightbitmime && smtp_parameter_has(p, STR("BODY"))) {
                bool is_8bit = str_eq_nocase(p->value, STR("8BITMIME"));
                if (!is_8bit && !str_eq_nocase(p->value, STR("7BIT")))
                        return smtp_parameter_refuse(p, arena, refusal);
                out->body = is_8bit ? SMTP_BODY_8BITMIME : SMTP_BODY_7BIT;
        } else if (offers->smtputf8 && smtp_parameter_is_flag(p, STR("SMTPUTF8"))) {
                out->smtputf8 = true;
        } else if (offers->dsn && smtp_parameter_has(p, STR("RET"))) {
                *bit = SEEN_RET;
                if (str_eq_nocase(p->value, STR("FULL")))
                        out->ret = SMTP_RET_FULL;
                else if (str_eq_nocase(p->value, STR("HDRS")))
                        out->ret = SMTP_RET_HDRS;
                else
                        return smtp_refuse(refusal, 501, "5.5.4", STR("Bad RET parameter syntax"));
        } else if (offers->dsn && smtp_parameter_has(p, STR("ENVID"))) {
                *bit = SEEN_ENVID;
                if (!smtp_xtext_is_printable(p->value, ENVID_BYTES_MAX))
                        return smtp_refuse(refusal, 501, "5.5.4",
                                           STR("Bad ENVID parameter syntax"));
                out->envid = smtp_xtext_keep(p->value, arena);
        } else if (offers->refuses_dsn &&
                   (smtp_parameter_has(p, STR("RET")) || smtp_parameter_has(p, STR("ENVID")))) {
                return smtp_refuse(refusal, 501, "5.7.1", STR("DSN is not for this client"));
        } else if (offers->report && smtp_parameter_has(p, STR("XREPORT"))) {
                *bit = SEEN_REPORT;
                if (str_eq_nocase(p->value, STR("VERIFY")))
                        out->report = SMTP_REPORT_VERIFY;
                else if (str_eq_nocase(p->value, STR("DELIVERY")))
                        out->report = SMTP_REPORT_DELIVERY;
                else
                        return smtp_parameter_refuse(p, arena, refusal);
        } else if (offers->verp && smtp_parameter_is_flag(p, STR("XVERP"))) {
                return verp_apply(&offers->verp_delimiters, parsing, refusal);
        } else if (offers->verp && smtp_parameter_has(p, STR("XVERP"))) {
                return verp_apply(&p->value, parsing, refusal);
        } else if (!smtp_parameter_has(p, STR("AUTH"))) {
                return smtp_parameter_refuse(p, arena, refusal);
        }
        return 0;
}

int smtp_mail_parse(struct str args, const struct smtp_path_rules *rules,
                    const struct smtp_offers *offers, struct arena *arena,
                    struct smtp_mail_command *out, struct smtp_reply *refusal)
{
        *out = (struct smtp_mail_command){0};
        if (!smtp_take_path_keyword(&args, STR("FROM:")))
                return smtp_refuse(refusal, 501, "5.5.4", STR("Syntax: MAIL FROM:<address>"));

        /* Whether UTF-8 was announced is known only when the parameters are read. */
        struct smtp_path_rules with_utf8 = *rules;
        with_utf8.allows_utf8 = true;
        with_utf8.refuses_u_labels = false;
        int code = smtp_path_parse(&args, &with_utf8, arena, &out->sender, refusal);
        if (code)
                return code;

        struct parsing parsing = {offers, arena, out};
        code = smtp_parameters_parse(args, parameter_apply, &parsing, refusal);
        if (code)
                return code;
        if (!rules->allows_utf8 && !out->smtputf8 && !smtp_text_is_ascii(out->sender.text))
                return smtp_refuse(refusal, 553, "5.6.7",
                                   STR("Must declare SMTPUTF8 to send unicode address"));
        if (rules->refuses_u_labels && !out->smtputf8 && !smtp_text_is_ascii(out->sender.domain))
                return smtp_refuse(refusal, 501, "5.1.7", STR("Bad sender address syntax"));
        return 0;
}

/* bdat-cmd = "BDAT" SP chunk-size [ SP end-marker ] CRLF; chunk-size = 1*DIGIT (RFC 3030 2) */
int smtp_bdat_parse(struct str args, int64_t *bytes, bool *is_last, struct smtp_reply *refusal)
{
        struct str number, marker, more;
        bool has_number = str_next_word(&args, " \t", &number);
        bool has_marker = str_next_word(&args, " \t", &marker);
        if (!has_number || !char_is_digit(number.ptr[0]) ||
            str_to_int64(number, 0, INT64_MAX, bytes) ||
            (has_marker && !str_eq_nocase(marker, STR("LAST"))) ||
            str_next_word(&args, " \t", &more))
                return smtp_refuse(refusal, 521, "5.5.4", STR("Syntax: BDAT count [LAST]"));
        *is_last = has_marker;
        return 0;
}
