/*
 * bounce.c - what the sender is told: failures, delays and, when asked for, success (RFC 3461, RFC 3464)
 *
 * A notification is a message of our own with the null sender, committed to the spool like any other. The
 * null sender is never told anything, nor is double_bounce_sender: two mail systems must not answer each
 * other.
 *
 * notify_classes: the postmaster gets copies of failures and delays, with the header alone, and what the null sender would have
 * to be told (2bounce), as a whole. They come from double_bounce_sender, so that nobody hears of their own fate.
 *
 * A failure returns the whole message up to bounce_size_limit unless the sender said RET=HDRS; all other
 * notices return the header.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "config/notify_classes.h"
#include "delivery/bounce_template.h"
#include "delivery/delivery_private.h"
#include "delivery/notice.h"
#include "message/dsn.h"
#include "message/header.h"
#include "message/verp.h"

#include <errno.h>

enum {
        HEADER_BYTES_MAX = 256 * 1024,    /* of the original, in a notification */
        NOTICE_BYTES_SPARE = 1024 * 1024, /* what the text about the recipients may take */
        BYTES_FOR_RECIPIENT = 16 * 1024,
};

bool bounce_is_wanted(const struct recipient *r, enum dsn_action action)
{
        if (r->notify & SMTP_NOTIFY_NEVER)
                return false;
        switch (action) {
        case DSN_FAILED:
                return r->notify == 0 || (r->notify & SMTP_NOTIFY_FAILURE);
        case DSN_DELAYED:
                return r->notify == 0 || (r->notify & SMTP_NOTIFY_DELAY);
        case DSN_DELIVERED:
        case DSN_RELAYED:
        case DSN_EXPANDED:
                return r->notify & SMTP_NOTIFY_SUCCESS;
        case DSN_DELIVERABLE:
        case DSN_UNDELIVERABLE:
                return true;
        }
        return false;
}

bool bounce_has_reader(const struct delivery_attempt *a)
{
        const struct params *p = &routes_config(a->routes)->params;
        struct str sender = a->envelope.sender;
        return sender.len && !a->envelope.is_unanswered && !notice_is_double_bounce(p, sender);
}

bool bounce_is_verp(const struct delivery_attempt *a)
{
        return verp_is_wanted(&a->envelope) && bounce_has_reader(a) &&
               !routes_config(a->routes)->params.disable_verp_bounces;
}

/* ---- the original ---- */

struct original {
        struct buf bytes;
        size_t header_bytes;
        bool is_whole;
};

/* Its header, and with `wants_body` the rest. */
static int await_read(struct delivery_attempt *a, bool wants_body, struct original *o,
                      struct why *why)
{
        struct spool_reader reader;
        struct str piece;
        size_t from = 0;
        bool has_header = false;
        int rc;
        spool_reader_init(&reader, a->message);
        while ((rc = await_spool_reader_next(&reader, &piece, why)) == 0 && piece.len) {
                bool is_over = buf_append_str(&o->bytes, piece) < 0;
                if (!has_header)
                        has_header = header_find_end(buf_str(&o->bytes), &from, is_over,
                                                     &o->header_bytes);
                if (is_over || (has_header && !wants_body))
                        break;
        }
        o->is_whole = rc == 0 && piece.len == 0;
        if (rc == 0 && !has_header)
                header_find_end(buf_str(&o->bytes), &from, true, &o->header_bytes);
        spool_reader_done(&reader);
        return rc;
}

/* ---- the notice ---- */

static void fill_recipient(const struct delivery_attempt *a, size_t i, enum dsn_action action,
                           int64_t retry_until_us, struct dsn_recipient *out)
{
        const struct recipient_state *s = &a->states[i];
        *out = (struct dsn_recipient){
                .recipient = &a->envelope.recipients[i],
                .action = action,
                .status = str_from(s->dsn),
                .diagnostic = s->public,
                .is_smtp = s->is_reply,
                .remote_mta = s->remote_mta,
                .will_retry_until_us = retry_until_us,
        };
}

bool bounce_confirms(const struct delivery_attempt *a, size_t i)
{
        return routes_config(a->routes)->params.confirm_delay_cleared &&
               spool_message_is_delay_told(a->message) &&
               bounce_is_wanted(&a->envelope.recipients[i], DSN_DELAYED);
}

/* For the sender, or (`is_copy`) for a postmaster, whom the sender's wishes do not concern. */
static size_t recipients_for(struct delivery_attempt *a, enum dsn_action action, bool is_copy,
                             const size_t *which, size_t count, struct dsn_recipient *out)
{
        const struct params *p = &routes_config(a->routes)->params;
        int64_t until_us = action == DSN_DELAYED ? spool_message_arrival_us(a->message) +
                                                           p->maximal_queue_lifetime * 1000
                                                 : 0;
        bool is_success = action == DSN_DELIVERED || action == DSN_RELAYED;
        size_t kept = 0;
        for (size_t i = 0; i < count; i++)
                if (is_copy || bounce_is_wanted(&a->envelope.recipients[which[i]], action) ||
                    (is_success && bounce_confirms(a, which[i])))
                        fill_recipient(a, which[i], action, until_us, &out[kept++]);
        return kept;
}

static int await_send(struct delivery_attempt *a, const struct dsn *d, struct str text,
                      struct spool_draft **draft, struct why *why)
{
        const struct params *p = &routes_config(a->routes)->params;
        bool is_copy = d->postmaster.len > 0;
        const struct notice n = {
                .class = INTERNAL_MAIL_BOUNCE,
                .sender = is_copy ? notice_copy_sender(p, &a->arena) : STR(""),
                .reader = is_copy ? d->postmaster : d->original->sender,
                .text = text,
                .is_smtputf8 = a->envelope.smtputf8,
        };
        return await_notice_send(draft, a->routes, &n, &a->arena, why);
}

static const char *name_of(const struct dsn *d)
{
        if (d->postmaster.len)
                return d->recipients[0].action == DSN_DELAYED
                               ? "postmaster delay notification"
                               : "postmaster non-delivery notification";
        if (d->is_report)
                return "sender delivery status notification";
        switch (d->recipients[0].action) {
        case DSN_FAILED:
                return "sender non-delivery notification";
        case DSN_DELAYED:
                return "sender delay notification";
        default:
                return "sender delivery status notification";
        }
}

static int await_write(struct delivery_attempt *a, struct dsn *d, struct why *why)
{
        char id[QUEUE_ID_BYTES_MAX];
        struct spool_draft *draft = spool_draft_new(a->delivery->spool);
        snprintf(id, sizeof(id), "%s", spool_draft_id(draft));
        d->boundary_id = str_from(id);
        struct buf text;
        buf_init(&text, d->header.len + d->body.len + NOTICE_BYTES_SPARE +
                                d->recipient_count * BYTES_FOR_RECIPIENT);
        int rc = dsn_format(d, &text);
        if (rc < 0)
                why_set(why, rc, "the notification is too large");
        else
                rc = await_send(a, d, buf_str(&text), &draft, why);
        buf_done(&text);
        spool_draft_free(&draft);
        if (rc == 0)
                log_mail(LOG_LEVEL_INFO, "bounce", spool_message_id(a->message), "%s: %s",
                         name_of(d), id);
        return rc;
}

/* With the original, or its header, behind what *d says about the recipients. */
static int await_write_notice(struct delivery_attempt *a, struct dsn *d, bool wants_body,
                              struct why *why)
{
        const struct params *p = &routes_config(a->routes)->params;
        wants_body = wants_body && spool_message_bytes(a->message) <= p->bounce_size_limit;
        struct original o = {0};
        buf_init(&o.bytes, wants_body ? (size_t)p->bounce_size_limit + 1 : HEADER_BYTES_MAX);
        int rc = await_read(a, wants_body, &o, why);
        struct str all = buf_str(&o.bytes);
        bool has_body = wants_body && o.is_whole;
        if (!d->original)
                d->original = &a->envelope;
        d->original_id = str_from(spool_message_id(a->message));
        d->reporting_mta = p->outside_name;
        d->from = notice_from(p, &a->arena);
        d->mail_name = p->mail_name;
        d->now_us = clock_wall_us();
        d->header = str_part(all, 0, o.header_bytes);
        d->body = has_body ? str_tail(all, o.header_bytes) : STR("");
        d->returns_body = has_body;
        d->is_threaded = p->enable_threaded_bounces;
        if (rc == 0)
                rc = await_write(a, d, why);
        buf_done(&o.bytes);
        return rc;
}

/* To the sender, or to the postmaster when there is one. */
static int await_notify(struct delivery_attempt *a, enum dsn_action action, const size_t *which,
                        size_t count, struct str postmaster, bool wants_body, struct why *why)
{
        struct dsn_recipient *list = arena_array(&a->arena, struct dsn_recipient, count);
        size_t kept = recipients_for(a, action, postmaster.len > 0, which, count, list);
        if (kept == 0)
                return 0;
        struct envelope single = a->envelope;
        if (action == DSN_FAILED && bounce_is_verp(a)) {
                check(count == 1);
                single.sender = attempt_verp_sender(a, which[0]);
        }
        struct dsn d = {
                .original = &single,
                .template = bounce_template_for(routes_bounce_templates(a->routes), action),
                .postmaster = postmaster,
                .recipients = list,
                .recipient_count = kept,
        };
        return await_write_notice(a, &d, wants_body, why);
}

/* ---- reports ---- */

static enum dsn_action action_of(const struct delivery_attempt *a, const struct recipient_state *s)
{
        bool is_taken = s->status == DELIVERY_SENT || s->status == DELIVERY_DISCARDED;
        if (attempt_is_probe(a))
                return is_taken ? DSN_DELIVERABLE : DSN_UNDELIVERABLE;
        if (is_taken)
                return s->is_relayed ? DSN_RELAYED : DSN_DELIVERED;
        return s->status == DELIVERY_BOUNCED ? DSN_FAILED : DSN_DELAYED;
}

/* What stands in our own log, where the next hop may be named. */
static struct str words_of(struct delivery_attempt *a, const struct recipient_state *s)
{
        return s->relay.len ? arena_printf(&a->arena, "delivery via %.*s: %.*s", STR_ARG(s->relay),
                                           STR_ARG(s->text))
                            : STR("");
}

int await_report_send(struct delivery_attempt *a, struct why *why)
{
        size_t count = a->envelope.recipient_count;
        struct dsn_recipient *list = arena_array(&a->arena, struct dsn_recipient, count);
        struct dsn d = {.recipients = list, .is_report = true};
        for (size_t i = 0; i < count; i++) {
                if (!a->states[i].has_result)
                        continue;
                struct dsn_recipient *one = &list[d.recipient_count++];
                fill_recipient(a, i, action_of(a, &a->states[i]), 0, one);
                one->words = words_of(a, &a->states[i]);
        }
        if (d.recipient_count == 0 || !bounce_has_reader(a))
                return 0;
        return await_write_notice(a, &d, false, why);
}

/* The postmaster's copy; what becomes of it changes nothing for the message. */
static void await_copy(struct delivery_attempt *a, enum dsn_action action, const size_t *which,
                       size_t count)
{
        const struct params *p = &routes_config(a->routes)->params;
        bool is_double = !bounce_has_reader(a);
        unsigned classes = notify_classes(p->notify_classes, NULL);
        struct str to = is_double ? p->double_bounce_notice_recipient : p->bounce_notice_recipient;
        struct why why;
        if (is_double && a->envelope.sender.len)
                return; /* it is such a copy itself */
        if (action == DSN_DELAYED && (classes & NOTIFY_DELAY))
                to = p->delay_notice_recipient;
        else if (action != DSN_FAILED || !(classes & (is_double ? NOTIFY_2BOUNCE : NOTIFY_BOUNCE)))
                return;
        if (await_notify(a, action, which, count, notice_address(p, to, &a->arena), is_double,
                         &why) < 0)
                log_mail(LOG_LEVEL_WARNING, "bounce", spool_message_id(a->message),
                         "cannot tell the postmaster: %s", why.text);
}

int await_bounce_send(struct delivery_attempt *a, enum dsn_action action, const size_t *which,
                      size_t count, struct why *why)
{
        bool wants_body = action == DSN_FAILED && a->envelope.ret != SMTP_RET_HDRS;
        int rc = 0;
        if (bounce_has_reader(a))
                rc = await_notify(a, action, which, count, STR(""), wants_body, why);
        if (rc == 0)
                await_copy(a, action, which, count);
        return rc;
}
