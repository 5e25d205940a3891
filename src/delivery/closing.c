/*
 * closing.c - the end of an attempt: the sender is told, results that wait for that are recorded, and the
 * message is done or waits for its next time
 *
 * A failure is recorded only when its bounce is in the spool, or when nobody wants one: a crash in between
 * tries the recipient again, and is refused again. A bounce that cannot be stored (disk full) leaves its
 * recipients waiting.
 *
 * A message that is older than maximal_queue_lifetime (bounce_queue_lifetime for the null sender) is not
 * tried again: who still waits has failed, with 4.4.7 and the last reason. So has who waits in one that an administrator
 * has given up; no attempt says then what of that reason a stranger may see, so the bounce does not show it.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "delivery/delivery_private.h"

enum { PARKED_US = 300 * 1000 * 1000 }; /* one that nobody calls comes back after this */

static const struct params *params_of(const struct delivery_attempt *a)
{
        return &routes_config(a->routes)->params;
}

static int64_t arrival_us(const struct delivery_attempt *a)
{
        return spool_message_arrival_us(a->message);
}

static int64_t expires_us(const struct delivery_attempt *a)
{
        const struct params *p = params_of(a);
        int64_t lifetime_ms =
                a->envelope.sender.len ? p->maximal_queue_lifetime : p->bounce_queue_lifetime;
        return arrival_us(a) + lifetime_ms * 1000;
}

static bool is_deferred(const struct recipient_state *s)
{
        return s->has_result && s->status == DELIVERY_DEFERRED;
}

static bool wants_success(const struct delivery_attempt *a, size_t i)
{
        const struct recipient_state *s = &a->states[i];
        if (!s->has_result || (s->status != DELIVERY_SENT && s->status != DELIVERY_DISCARDED))
                return false;
        bool is_asked =
                !s->has_dsn && bounce_is_wanted(&a->envelope.recipients[i],
                                                s->is_relayed ? DSN_RELAYED : DSN_DELIVERED);
        return is_asked || bounce_confirms(a, i);
}

/* What there is to do beside waiting. */
struct agenda {
        size_t failed;
        size_t deferred;
        size_t succeeded; /* and want to tell */
        bool has_expired;
        bool tells_delay;
        bool reports;
};

static struct agenda agenda_of(const struct delivery_attempt *a)
{
        struct agenda g = {.reports = attempt_wants_report(a)};
        if (attempt_is_probe(a))
                return g; /* there is nothing but the report */
        for (size_t i = 0; i < a->envelope.recipient_count; i++) {
                const struct recipient_state *s = &a->states[i];
                g.failed += s->has_result && s->status == DELIVERY_BOUNCED;
                g.deferred += is_deferred(s);
                g.succeeded += wants_success(a, i);
        }
        int64_t now_us = clock_wall_us();
        int64_t warn_ms = params_of(a)->delay_warning_time;
        g.has_expired =
                g.deferred && (now_us >= expires_us(a) || spool_message_is_expired(a->message));
        g.tells_delay = g.deferred && !g.has_expired && warn_ms > 0 &&
                        now_us >= arrival_us(a) + warn_ms * 1000 &&
                        !spool_message_is_delay_told(a->message);
        return g;
}

/* ---- notices ---- */

enum which { WHICH_FAILED, WHICH_DEFERRED, WHICH_EXPANDED, WHICH_RELAYED, WHICH_DELIVERED };

static bool is_one_of(const struct delivery_attempt *a, size_t i, enum which which)
{
        const struct recipient_state *s = &a->states[i];
        bool is_expanded = a->envelope.recipients[i].is_expanded;
        switch (which) {
        case WHICH_FAILED:
                return s->has_result && s->status == DELIVERY_BOUNCED;
        case WHICH_DEFERRED:
                return is_deferred(s);
        case WHICH_EXPANDED:
                return wants_success(a, i) && is_expanded;
        case WHICH_RELAYED:
                return wants_success(a, i) && s->is_relayed;
        case WHICH_DELIVERED:
                return wants_success(a, i) && !s->is_relayed && !is_expanded;
        }
        return false;
}

static size_t *choose(struct delivery_attempt *a, enum which which, size_t *count)
{
        size_t *chosen = arena_array(&a->arena, size_t, a->envelope.recipient_count);
        *count = 0;
        for (size_t i = 0; i < a->envelope.recipient_count; i++)
                if (is_one_of(a, i, which))
                        chosen[(*count)++] = i;
        return chosen;
}

static int await_tell_about(struct delivery_attempt *a, enum dsn_action action, const size_t *which,
                            size_t count)
{
        struct why why;
        int rc = await_bounce_send(a, action, which, count, &why);
        if (rc < 0)
                log_mail(LOG_LEVEL_WARNING, "bounce", spool_message_id(a->message),
                         "cannot tell the sender: %s", why.text);
        return rc;
}

static int await_tell(struct delivery_attempt *a, enum which which, enum dsn_action action)
{
        size_t count;
        size_t *chosen = choose(a, which, &count);
        return count ? await_tell_about(a, action, chosen, count) : 0;
}

static void expire(struct delivery_attempt *a)
{
        log_mail(LOG_LEVEL_INFO, "qmgr", spool_message_id(a->message),
                 "from=<%.*s>, status=%s, returned to sender",
                 STR_ARG(attempt_log_address(a, a->envelope.sender)),
                 spool_message_is_expired(a->message) ? "force-expired" : "expired");
        for (size_t i = 0; i < a->envelope.recipient_count; i++) {
                struct recipient_state *s = &a->states[i];
                if (!is_deferred(s))
                        continue;
                s->status = DELIVERY_BOUNCED;
                snprintf(s->dsn, sizeof(s->dsn), "4.4.7");
        }
}

void attempt_expire(struct delivery_attempt *a)
{
        static const char given_up[] = "message is administratively expired";
        for (size_t i = 0; i < a->envelope.recipient_count; i++) {
                if (spool_message_state(a->message, i) != SPOOL_WAITING)
                        continue;
                struct str reason = spool_message_reason(a->message, i);
                a->states[i] = (struct recipient_state){
                        .has_result = true,
                        .status = DELIVERY_DEFERRED,
                        .dsn = "4.4.7",
                        .text = arena_str(&a->arena, reason.len ? reason : str_from(given_up)),
                        .public = str_from(given_up),
                };
        }
}

static void record_failed(struct delivery_attempt *a, const size_t *which, size_t count,
                          bool is_told)
{
        for (size_t i = 0; i < count; i++) {
                struct spool_result r = {
                        .recipient = which[i],
                        .state = is_told ? SPOOL_BOUNCED : SPOOL_WAITING,
                        .reason = a->states[which[i]].text,
                };
                spool_message_record(a->message, &r, 1);
        }
}

/* All in one bounce; with VERP each in its own: then those behind one that cannot be stored wait with it. */
static void await_fail(struct delivery_attempt *a)
{
        size_t count;
        size_t *failed = choose(a, WHICH_FAILED, &count);
        size_t step = bounce_is_verp(a) ? 1 : count;
        bool is_told = true;
        for (size_t i = 0; i < count; i += step) {
                is_told = is_told && await_tell_about(a, DSN_FAILED, failed + i, step) == 0;
                record_failed(a, failed + i, step, is_told);
        }
}

/*
 * The report that sendmail -v asked for is made once, about the first attempt; one that cannot be stored is made about the next. With -bv
 * it is all there is to do: then the recipients are done.
 */
static void await_report(struct delivery_attempt *a)
{
        struct why why;
        int rc = await_report_send(a, &why);
        if (rc < 0)
                log_mail(LOG_LEVEL_WARNING, "bounce", spool_message_id(a->message),
                         "cannot send the report that was asked for: %s", why.text);
        else
                spool_message_set_reported(a->message);
        bool is_over = rc == 0 || clock_wall_us() >= expires_us(a);
        for (size_t i = 0; attempt_is_probe(a) && i < a->envelope.recipient_count; i++) {
                const struct spool_result r = {
                        .recipient = i,
                        .state = is_over ? SPOOL_DISCARDED : SPOOL_WAITING,
                        .reason = is_over ? STR("") : str_from(why.text),
                };
                if (a->states[i].has_result)
                        spool_message_record(a->message, &r, 1);
        }
}

/* ---- the end ---- */

static bool has_results(const struct delivery_attempt *a)
{
        for (size_t i = 0; i < a->envelope.recipient_count; i++)
                if (a->states[i].has_result)
                        return true;
        return false;
}

static void settle(struct delivery_attempt *a)
{
        const struct params *p = params_of(a);
        bool is_done = true;
        for (size_t i = 0; is_done && i < a->envelope.recipient_count; i++)
                is_done = spool_message_state(a->message, i) != SPOOL_WAITING;
        if (is_done)
                log_mail(LOG_LEVEL_INFO, "qmgr", spool_message_id(a->message), "removed");
        int64_t min_ms = p->minimal_backoff_time > p->queue_run_delay ? p->minimal_backoff_time
                                                                      : p->queue_run_delay;
        int64_t max_ms = p->maximal_backoff_time > min_ms ? p->maximal_backoff_time : min_ms;
        int64_t next_us =
                backoff_next_us(clock_wall_us(), arrival_us(a), expires_us(a), min_ms, max_ms);
        if (a->is_parked && !has_results(a))
                spool_message_postpone(&a->message, clock_wall_us() + PARKED_US);
        else
                spool_message_settle(&a->message, next_us);
        attempt_free(&a);
}

static void closing_main(void *arg)
{
        struct delivery_attempt *a = arg;
        struct delivery *d = a->delivery;
        struct delivery_task me;
        delivery_task_begin(d, &me);
        struct agenda g = agenda_of(a);
        if (g.has_expired)
                expire(a);
        if (g.reports)
                await_report(a);
        if (g.failed || g.has_expired)
                await_fail(a);
        if (g.succeeded) { /* sent is sent, whether the sender hears of it or not */
                await_tell(a, WHICH_EXPANDED, DSN_EXPANDED);
                await_tell(a, WHICH_RELAYED, DSN_RELAYED);
                await_tell(a, WHICH_DELIVERED, DSN_DELIVERED);
        }
        if (g.tells_delay && await_tell(a, WHICH_DEFERRED, DSN_DELAYED) == 0)
                spool_message_set_delay_told(a->message);
        settle(a);
        d->closer_count--;
        delivery_task_end(&me);
        delivery_look_again(d);
}

void attempt_close(struct delivery_attempt *a)
{
        struct delivery *d = a->delivery;
        if (a->is_interrupted) { /* stopping: the spool keeps the message as it is */
                attempt_free(&a);
                return;
        }
        struct agenda g = agenda_of(a);
        if (g.failed || g.succeeded || g.has_expired || g.tells_delay || g.reports) {
                d->closer_count++;
                task_start(d->loop, closing_main, a);
        } else {
                settle(a);
        }
}
