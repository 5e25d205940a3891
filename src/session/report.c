/*
 * report.c - transcripts of sessions with errors, for the postmaster (notify_classes)
 *
 * What is said is written down while some class is asked for, since nobody knows beforehand that there will be an error;
 * what nearly all clients hear (greeting, reply to EHLO) but once for each listener. At
 * the end of the session, or when much was said and no message is under way, it is sent when an error was of such a class,
 * else forgotten. Of which class an error is follows from its reply: which rule refused, and RFC 3463's code.
 *
 * The notice goes the way of all notices of our own. It is dear only to who reads it: what cannot be sent is logged and
 * forgotten, and error_notice_rate_limit bounds it, since any stranger can make errors. No notice tells of what double_bounce_sender
 * writes or gets: it could be about another notice, or its bounce.
 *
 * Two differences from Postfix: a table of a restriction that cannot be asked is of class data (there: policy), as a table of recipients is;
 * and a transcript over smtpd_history_flush_threshold is sent after any command outside of a message.
 *
 * Not told of: postscreen's refusals, rehearsals, and users of this machine (all as in Postfix).
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/notify_classes.h"
#include "delivery/notice.h"
#include "message/transcript.h"
#include "session/session_private.h"

#include <errno.h>

enum { NOTICE_BYTES_MAX = TRANSCRIPT_BYTES_MAX + 8 * 1024 };

struct session_report {
        struct transcript transcript;
        unsigned wanted; /* classes that notify_classes asks for */
        unsigned errors; /* classes of the errors so far */
        bool is_muted;   /* nobody is told of this session */
        const char *reason;
};

void session_report_begin(struct session *s)
{
        unsigned wanted = notify_classes(s->params->notify_classes, NULL) & NOTIFY_SESSIONS;
        if (!wanted || s->is_local || s->is_check || s->service->parts.is_rehearsal)
                return;
        s->report = calloc(1, sizeof(*s->report));
        check(s->report);
        s->report->wanted = wanted;
        transcript_init(&s->report->transcript);
}

void session_report_free(struct session *s)
{
        if (!s->report)
                return;
        transcript_done(&s->report->transcript);
        free(s->report);
        s->report = NULL;
}

/* ---- what was said ---- */

void session_report_line(struct session *s, struct str line)
{
        session_debug_line(s, line);
        if (s->report)
                transcript_add(&s->report->transcript, TRANSCRIPT_IN, line);
}

/* ---- which errors there were ---- */

enum refuser { ANYBODY, A_RULE, WE_OURSELVES };

/* The first that fits; an error that none fits is one of policy. */
static const struct {
        const char *
                detail; /* the enhanced code, without its first part; what ends in "." begins all of its kind */
        enum refuser by;
        unsigned class;
} classes[] = {
        {"3.1", ANYBODY, NOTIFY_RESOURCE}, /* no room */
        {"3.2", WE_OURSELVES, 0},          /* we stop, or are full */
        {"3.5", ANYBODY, NOTIFY_SOFTWARE}, /* a mistake in the configuration */
        {"4.2", WE_OURSELVES, 0},          /* timeout */
        {"1.1", A_RULE, NOTIFY_BOUNCE},    /* no such user */
        {"1.3", WE_OURSELVES, NOTIFY_PROTOCOL},
        {"1.7", WE_OURSELVES, NOTIFY_PROTOCOL},
        {"5.3", ANYBODY, NOTIFY_POLICY}, /* too many recipients */
        {"5.", WE_OURSELVES, NOTIFY_PROTOCOL},
        {"6.", WE_OURSELVES, NOTIFY_PROTOCOL},
};

static bool has_text(const struct session *s)
{
        return strcmp(s->last_verb, "DATA") == 0 || strcmp(s->last_verb, "BDAT") == 0;
}

static unsigned class_of(const struct session *s, const struct smtp_reply *reply)
{
        enum refuser by = s->refusal_source.len ? A_RULE : WE_OURSELVES;
        struct str detail = str_from(reply->enhanced ? reply->enhanced : "");
        str_cut(&detail, '.');
        if (s->greeting == NOT_GREETED && strcmp(s->last_verb, "MAIL") == 0)
                return NOTIFY_POLICY;   /* smtpd_helo_required, as in Postfix */
        if (str_eq(detail, STR("3.0"))) /* the spool cannot write, or a table cannot be asked */
                return by == WE_OURSELVES && has_text(s) ? NOTIFY_RESOURCE : NOTIFY_DATA;
        if (by == WE_OURSELVES && reply->code >= 500 && reply->code <= 504)
                return NOTIFY_PROTOCOL; /* some have no enhanced code */
        for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
                struct str known = str_from(classes[i].detail);
                bool fits = str_ends(known, STR(".")) ? str_starts(detail, known)
                                                      : str_eq(detail, known);
                if (fits && (classes[i].by == ANYBODY || classes[i].by == by))
                        return classes[i].class;
        }
        return NOTIFY_POLICY;
}

void session_report_error(struct session *s, unsigned class)
{
        if (s->report)
                s->report->errors |= class;
}

void session_report_reply(struct session *s, const struct smtp_reply *reply, struct str lines)
{
        session_debug_reply(s, lines);
        if (!s->report)
                return;
        bool is_common =
                reply->code == 220 || (reply->code == 250 && str_find(reply->text, '\n') >= 0);
        transcript_add_reply(&s->report->transcript, is_common ? listener_texts(s->listener) : NULL,
                             lines);
        if (smtp_reply_refuses(reply))
                session_report_error(s, class_of(s, reply));
}

void session_report_reason(struct session *s, const char *reason)
{
        if (s->report)
                s->report->reason = reason;
}

void session_report_address(struct session *s, struct str address)
{
        if (s->report && notice_is_double_bounce(s->params, address))
                s->report->is_muted = true;
}

/* ---- the notice ---- */

static int await_write(struct session *s, size_t untold, struct arena *arena,
                       struct spool_draft **draft, struct why *why)
{
        const struct params *p = s->params;
        struct str to = notice_address(p, p->error_notice_recipient, arena);
        struct str client = arena_printf(arena, "%.*s[%.*s]", STR_ARG(s->facts.client_name),
                                         STR_ARG(s->facts.client_address));
        const struct transcript_notice notice = {
                .id = str_from(spool_draft_id(*draft)),
                .by = p->outside_name,
                .from = notice_from(p, arena),
                .to = to,
                .mail_name = p->mail_name,
                .client = client,
                .reason = str_from(s->report->reason ? s->report->reason : ""),
                .untold = untold,
                .now_us = clock_wall_us(),
        };
        struct buf text;
        buf_init(&text, NOTICE_BYTES_MAX);
        int rc = transcript_format(&s->report->transcript, &notice, &text);
        if (rc < 0)
                why_set(why, rc, "the notice is too large");
        else
                rc = await_notice_send(draft, s->service->parts.routes,
                                       &(struct notice){
                                               .class = INTERNAL_MAIL_NOTIFY,
                                               .sender = notice_copy_sender(p, arena),
                                               .reader = to,
                                               .text = buf_str(&text),
                                       },
                                       arena, why);
        buf_done(&text);
        return rc;
}

static void await_tell(struct session *s)
{
        size_t untold;
        if (spool_check_room(s->service->parts.spool, NOTICE_BYTES_MAX) < 0)
                return; /* what is left is for mail */
        if (!front_door_may_tell(listener_door(s->listener), s->params->error_notice_rate_limit,
                                 s->params->anvil_rate_time_unit, loop_now_ms(), &untold))
                return;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        struct spool_draft *draft = spool_draft_new(s->service->parts.spool);
        char id[QUEUE_ID_BYTES_MAX];
        snprintf(id, sizeof(id), "%s", spool_draft_id(draft));
        int rc = await_write(s, untold, &arena, &draft, &why);
        spool_draft_free(&draft);
        arena_done(&arena);
        if (rc == 0)
                log_mail(LOG_LEVEL_INFO, "smtpd", id,
                         "postmaster notification: errors from %.*s[%.*s]",
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
        else if (rc != -ECANCELED)
                log_warning("smtpd", "cannot tell the postmaster of errors from %.*s[%.*s]: %s",
                            STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address),
                            why.text);
}

static void await_end_part(struct session *s)
{
        struct session_report *r = s->report;
        if ((r->errors & r->wanted) && !r->is_muted && !s->screen.has_failed)
                await_tell(s);
        r->errors = 0;
        transcript_clear(&r->transcript);
}

void await_session_report_part(struct session *s)
{
        if (s->report &&
            s->report->transcript.count > (size_t)s->params->smtpd_history_flush_threshold)
                await_end_part(s);
}

void await_session_report_end(struct session *s)
{
        if (s->report)
                await_end_part(s);
}
