/* transaction.c - from MAIL to the end of data, RSET, or the end of the session */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "session/session_private.h"

enum { ARENA_BYTES_MAX = 16 * 1024 * 1024 }; /* some ten thousand long recipients */

void session_transaction_begin(struct session *s, const struct smtp_mail_command *mail)
{
        check(!s->transaction);
        struct transaction *t = calloc(1, sizeof(*t));
        check(t);
        arena_init(&t->arena, ARENA_BYTES_MAX);
        struct arena *a = &t->arena;
        t->sender = (struct smtp_address){
                .text = arena_str(a, mail->sender.text),
                .local = arena_str(a, mail->sender.local),
                .domain = arena_str(a, mail->sender.domain),
        };
        char port[8];
        snprintf(port, sizeof(port), "%u", s->peer.port);
        t->envelope = (struct envelope){
                .sender = t->sender.text,
                .body = mail->body,
                .smtputf8 = mail->smtputf8,
                .ret = mail->ret,
                .report = mail->report,
                .envid = arena_str(a, mail->envid),
                .verp = arena_str(a, mail->verp),
                .client_name = s->facts.client_name,
                .client_address = s->facts.client_address,
                .client_port = arena_str(a, str_from(port)),
                .helo = s->facts.helo,
                .protocol = session_protocol(s, mail->smtputf8),
                .arrival_us = clock_wall_us(),
        };
        if (s->early)
                t->effects = s->early->greeting;
        s->facts.sender = t->sender;
        s->facts.has_sender = true;
        session_report_address(s, t->sender.text);
        s->facts.declared_bytes = mail->size;
        s->transaction = t;
        const struct cleanup_work work = {
                .rules = s->service->parts.cleanup,
                .facts = &s->facts,
                .effects = &t->effects,
                .envelope = &t->envelope,
                .arena = a,
                .refuses = session_explain_content,
                .context = s,
        };
        t->cleanup = cleanup_new(&work);
}

static void log_client(struct session *s)
{
        struct str name = s->facts.client_name;
        struct str address = s->facts.client_address;
        const char *id = s->transaction->proxy ? "NOQUEUE" : spool_draft_id(s->transaction->draft);
        struct str forwarded = session_forward_log(s);
        if (s->is_local) {
                log_mail(LOG_LEVEL_INFO, "pickup", id, "uid=%u from=<%.*s>", s->local_uid,
                         STR_ARG(smtp_address_log(s->transaction->sender.text,
                                                  s->facts.logs_internal, &s->arena)));
                return;
        }
        if (s->params->smtpd_client_port_logging)
                log_mail(LOG_LEVEL_INFO, "smtpd", id, "client=%.*s[%.*s]:%u%.*s", STR_ARG(name),
                         STR_ARG(address), s->peer.port, STR_ARG(forwarded));
        else
                log_mail(LOG_LEVEL_INFO, "smtpd", id, "client=%.*s[%.*s]%.*s", STR_ARG(name),
                         STR_ARG(address), STR_ARG(forwarded));
}

void session_open_draft(struct session *s)
{
        struct transaction *t = s->transaction;
        if (t->draft)
                return;
        t->draft = spool_draft_new(s->service->parts.spool);
        if (!t->proxy) /* that message has an id of the filter's, or of who is behind it */
                s->facts.queue_id = arena_str(&t->arena, str_from(spool_draft_id(t->draft)));
        log_client(s);
}

void session_transaction_end(struct session *s)
{
        struct transaction *t = s->transaction;
        session_forward_end(s);
        s->has_lost_chunk = false;
        if (!t)
                return;
        s->transaction = NULL;
        milters_end_message(s->milters);
        s->facts.sender = s->facts.recipient = (struct smtp_address){0};
        s->facts.has_sender = false;
        s->facts.recipient_count = 0;
        s->facts.message_bytes = s->facts.declared_bytes = 0;
        session_new_instance(s);
        s->facts.queue_id = STR("");
        cleanup_free(&t->cleanup);
        intake_free(&t->intake);
        session_proxy_free(&t->proxy);
        spool_draft_free(&t->draft);
        arena_done(&t->arena);
        free(t);
}
