/* command_fuzz.c - a command line, as a session reads it; the first byte chooses what is offered */
#include "fuzz.h"

#include "smtp/command.h"

static void check_refusal(const struct smtp_reply *refusal)
{
        struct buf out;
        check(refusal->code == 500 || refusal->code == 501 || refusal->code == 553 ||
              refusal->code == 555 || refusal->code == 521);
        buf_init(&out, 4096);
        check(smtp_reply_format(refusal, &out) == 0);
        /* one line, whatever the client's words were */
        check(str_find(buf_str(&out), '\n') == (ptrdiff_t)out.len - 1);
        check(out.len <= SMTP_REPLY_LINE_BYTES_MAX);
        buf_done(&out);
}

static void check_xtext(struct str text, size_t bytes_max, struct arena *arena)
{
        check(str_find(text, '=') < 0 && text.len <= 3 * bytes_max);
        check(!fuzz_has_control(text));
        check(!fuzz_has_control(smtp_xtext_decode(text, arena)));
}

static void mail(struct str args, const struct smtp_path_rules *rules,
                 const struct smtp_offers *offers, struct arena *arena)
{
        struct smtp_mail_command m;
        struct smtp_reply refusal = {0};
        if (smtp_mail_parse(args, rules, offers, arena, &m, &refusal)) {
                check_refusal(&refusal);
                return;
        }
        check(m.size >= 0 && (offers->size || m.size == 0));
        check(offers->dsn || (m.ret == SMTP_RET_UNSET && m.envid.len == 0));
        check(offers->smtputf8 || !m.smtputf8);
        check(m.verp.len == 0 || (offers->verp && smtp_verp_is_valid(m.verp, offers->verp_filter)));
        check(rules->allows_utf8 || m.smtputf8 || smtp_text_is_ascii(m.sender.text));
        check(!fuzz_has_control(m.sender.text));
        check(smtp_xtext_is_valid(m.envid));
        check_xtext(m.envid, 100, arena);
}

static void rcpt(struct str args, const struct smtp_path_rules *rules,
                 const struct smtp_offers *offers, struct arena *arena)
{
        struct smtp_rcpt_command r;
        struct smtp_reply refusal = {0};
        if (smtp_rcpt_parse(args, rules, offers, arena, &r, &refusal)) {
                check_refusal(&refusal);
                return;
        }
        check(r.recipient.text.len && !fuzz_has_control(r.recipient.text));
        check(!(r.notify & SMTP_NOTIFY_NEVER) || r.notify == SMTP_NOTIFY_NEVER);
        check(r.orcpt.len == 0 || str_find(r.orcpt, ';') > 0);
        check_xtext(r.orcpt, 500, arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str line = fuzz_str(data, size);
        unsigned flags = fuzz_byte(&line);
        struct smtp_path_rules rules = {flags & 1, true, true, flags & 2};
        struct smtp_offers offers = {flags & 4, flags & 8, flags & 16, flags & 32};
        offers.verp = flags & 64;
        offers.verp_delimiters = STR("+=");
        offers.verp_filter = STR("-=+");
        struct smtp_reply refusal = {0};
        struct arena arena;
        int64_t bytes;
        bool is_last;
        arena_init(&arena, 0);

        struct smtp_command c = smtp_command_parse(line);
        check(c.word.len + c.args.len <= line.len);
        check(c.verb == SMTP_UNKNOWN || str_eq_nocase(c.word, str_from(smtp_verb_name(c.verb))));
        check(!smtp_command_is_foreign(line) || c.verb == SMTP_UNKNOWN);
        switch (c.verb) {
        case SMTP_MAIL:
                mail(c.args, &rules, &offers, &arena);
                break;
        case SMTP_RCPT:
                rules.allows_null = false;
                rcpt(c.args, &rules, &offers, &arena);
                break;
        case SMTP_BDAT:
                if (smtp_bdat_parse(c.args, &bytes, &is_last, &refusal) == 0)
                        check(bytes >= 0);
                else
                        check_refusal(&refusal);
                break;
        default:
                break;
        }
        struct str armoured = smtp_xtext_encode(c.args, &arena);
        check(smtp_xtext_is_valid(armoured));
        check(str_eq(smtp_xtext_decode(armoured, &arena), c.args));
        arena_done(&arena);
        return 0;
}
