/* refusal_log.c - Postfix's line about a refusal, the one place that writes it (log_whatsup()) */
#include "base/log.h"
#include "policy/policy_private.h"

/* Longer texts add nothing that a person would read; the line has its own ceiling. */
enum { FIELD_BYTES_MAX = 300 };

const char *policy_event_words(enum policy_event event, const struct policy_facts *facts)
{
        switch (event) {
        case POLICY_AT_CONNECT:
                return "CONNECT";
        case POLICY_AT_HELO:
                return str_eq(facts->protocol, STR("SMTP")) ? "HELO" : "EHLO";
        case POLICY_AT_MAIL:
                return "MAIL";
        case POLICY_AT_RCPT:
                return "RCPT";
        case POLICY_AT_DATA:
                return "DATA";
        case POLICY_AT_END_OF_DATA:
                return "END-OF-MESSAGE";
        case POLICY_AT_ETRN:
                return "ETRN";
        case POLICY_AT_VRFY:
                return "VRFY";
        }
        return "?";
}

/* " from=<a@b>", or nothing */
static void add_field(struct buf *line, bool has_it, const char *name, struct str value,
                      const char *end)
{
        if (has_it)
                buf_printf(line, " %s%.*s%s", name, STR_ARG(str_part(value, 0, FIELD_BYTES_MAX)),
                           end);
}

void policy_log_refusal(const char *what, enum policy_event event, const struct policy_facts *facts,
                        const struct smtp_reply *reply)
{
        struct buf line;
        buf_init(&line, LOG_LINE_BYTES_MAX);
        buf_printf(&line, "%s: %s from %.*s[%.*s]:", what, policy_event_words(event, facts),
                   STR_ARG(str_part(facts->client_name, 0, FIELD_BYTES_MAX)),
                   STR_ARG(str_part(facts->client_address, 0, FIELD_BYTES_MAX)));
        if (reply->code)
                buf_printf(&line, " %d", reply->code);
        if (reply->code && reply->enhanced)
                buf_printf(&line, " %s", reply->enhanced);
        buf_printf(&line, " %.*s;", STR_ARG(str_part(reply->text, 0, 2 * FIELD_BYTES_MAX)));
        struct arena arena;
        arena_init(&arena, 0);
        add_field(&line, facts->has_sender, "from=<",
                  smtp_address_log(facts->sender.text, facts->logs_internal, &arena), ">");
        add_field(&line, facts->recipient.text.len > 0, "to=<",
                  smtp_address_log(facts->recipient.text, facts->logs_internal, &arena), ">");
        arena_done(&arena);
        add_field(&line, facts->protocol.len > 0, "proto=", facts->protocol, "");
        add_field(&line, facts->helo.len > 0, "helo=<", facts->helo, ">");
        add_field(&line, facts->refusal_code.len > 0, "code=", facts->refusal_code, "");

        char queue_id[32] = "NOQUEUE";
        if (facts->queue_id.len > 0 && facts->queue_id.len < sizeof(queue_id)) {
                memcpy(queue_id, facts->queue_id.ptr, facts->queue_id.len);
                queue_id[facts->queue_id.len] = '\0';
        }
        log_mail(LOG_LEVEL_INFO, "smtpd", queue_id, "%.*s", STR_ARG(buf_str(&line)));
        buf_done(&line);
}
