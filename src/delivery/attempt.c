/*
 * attempt.c - one message, tried once: its recipients are routed, gathered into jobs, and their results
 * written down
 *
 * Routing may wait (tables), so all routes are found first; then, without a pause, recipients with one
 * destination are put together, at most TRANSPORT_destination_recipient_limit in a job.
 *
 * Results that are final without the sender (sent, discarded) are recorded at once, so that a crash does not
 * send twice; those that the sender must hear of when the bounce is safe (closing.c).
 *
 * Attempts are used again, with their arenas: no allocation for an ordinary message.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "delivery/delivery_private.h"
#include "message/verp.h"

#include <errno.h>

enum { SPARE_MAX = 256, ARENA_KEPT_BYTES = 256 * 1024 };

/* ---- life ---- */

static struct delivery_attempt *attempt_new(struct delivery *d, struct spool_message *m)
{
        struct delivery_attempt *a;
        if (list_is_empty(&d->spare_attempts)) {
                a = calloc(1, sizeof(*a));
                check(a);
                arena_init(&a->arena, 0);
        } else {
                a = list_of(d->spare_attempts.next, struct delivery_attempt, link);
                list_remove(&a->link);
                d->spare_attempt_count--;
        }
        struct arena arena = a->arena;
        *a = (struct delivery_attempt){.delivery = d, .message = m, .arena = arena};
        a->routes = routes_ref(d->routes);
        a->begun_wall_us = clock_wall_us();
        a->begun_us = clock_mono_us();
        spool_message_envelope(m, &a->arena, &a->envelope);
        a->states = arena_array(&a->arena, struct recipient_state, a->envelope.recipient_count);
        list_add_last(&d->attempts, &a->link);
        d->attempt_count++;
        d->recipient_count += a->envelope.recipient_count;
        return a;
}

void attempt_free(struct delivery_attempt **ap)
{
        struct delivery_attempt *a = *ap;
        struct delivery *d = a->delivery;
        *ap = NULL;
        list_remove(&a->link);
        d->attempt_count--;
        d->recipient_count -= a->envelope.recipient_count;
        routes_unref(&a->routes);
        if (d->spare_attempt_count < SPARE_MAX && a->arena.used <= ARENA_KEPT_BYTES) {
                arena_clear(&a->arena);
                list_add_first(&d->spare_attempts, &a->link);
                d->spare_attempt_count++;
        } else {
                arena_done(&a->arena);
                free(a);
        }
        delivery_look_again(d);
}

bool attempt_is_probe(const struct delivery_attempt *a)
{
        return a->envelope.report == SMTP_REPORT_VERIFY;
}

bool attempt_wants_report(const struct delivery_attempt *a)
{
        return a->envelope.report != SMTP_REPORT_NONE && !spool_message_is_reported(a->message);
}

struct str attempt_verp_sender(struct delivery_attempt *a, size_t recipient)
{
        const struct envelope *e = &a->envelope;
        return verp_sender(e->sender, &e->recipients[recipient], e->verp, &a->arena);
}

/* ---- results ---- */

static const char *status_word(const struct delivery_attempt *a, enum delivery_status status)
{
        static const char *const words[] = {"sent", "deferred", "bounced", "sent"};
        if (!attempt_is_probe(a))
                return words[status];
        return status == DELIVERY_SENT || status == DELIVERY_DISCARDED ? "deliverable"
                                                                       : "undeliverable";
}

struct str attempt_log_address(struct delivery_attempt *a, struct str address)
{
        bool is_internal = routes_config(a->routes)->params.info_log_address_format == 1;
        return smtp_address_log(address, is_internal, &a->arena);
}

static void log_result(struct delivery_attempt *a, const char *service, size_t recipient,
                       int64_t begun_us, int64_t ready_us, const struct delivery_result *r)
{
        const struct recipient *to = &a->envelope.recipients[recipient];
        int64_t now_us = clock_mono_us();
        int64_t before_us = a->begun_wall_us - a->envelope.arrival_us;
        if (before_us < 0)
                before_us = 0; /* the clock was set */
        char all[DELAY_BYTES], waited[DELAY_BYTES], queued[DELAY_BYTES], setup[DELAY_BYTES],
                sending[DELAY_BYTES];
        delay_format(before_us + now_us - a->begun_us, all);
        delay_format(before_us, waited);
        delay_format(begun_us - a->begun_us, queued);
        delay_format(ready_us - begun_us, setup);
        delay_format(now_us - ready_us, sending);
        bool has_other = to->original.len && !str_eq(to->original, to->address);
        struct str address = attempt_log_address(a, to->address);
        struct str original = attempt_log_address(a, to->original);
        log_mail(LOG_LEVEL_INFO, service, spool_message_id(a->message),
                 "to=<%.*s>, %s%.*s%srelay=%.*s, delay=%s, delays=%s/%s/%s/%s, dsn=%s, "
                 "status=%s (%.*s)",
                 STR_ARG(address), has_other ? "orig_to=<" : "", has_other ? (int)original.len : 0,
                 original.ptr, has_other ? ">, " : "", STR_ARG(r->relay), all, waited, queued,
                 setup, sending, r->dsn, status_word(a, r->status), STR_ARG(r->text));
}

/* What a notification will need later. */
static void keep_texts(struct delivery_attempt *a, struct recipient_state *s,
                       const struct delivery_result *r)
{
        s->is_reply = r->is_reply && r->public.len;
        s->text = arena_str(&a->arena, r->text);
        s->public = r->public.len ? arena_str(&a->arena, r->public) : s->text;
        s->remote_mta = arena_str(&a->arena, r->remote_mta);
}

static void note_result(struct delivery_attempt *a, size_t recipient,
                        const struct delivery_result *r)
{
        struct delivery *d = a->delivery;
        struct recipient_state *s = &a->states[recipient];
        struct spool_result record = {.recipient = recipient, .reason = STR("")};
        s->has_result = true;
        s->status = r->status;
        s->is_relayed = r->is_relayed;
        s->has_dsn = r->has_dsn;
        snprintf(s->dsn, sizeof(s->dsn), "%s", r->dsn);
        if (attempt_wants_report(a))
                keep_texts(a, s, r);
        if (attempt_is_probe(a))
                return; /* closing.c */
        switch (r->status) {
        case DELIVERY_SENT:
                d->counts.sent++;
                if (a->envelope.recipients[recipient].notify & SMTP_NOTIFY_SUCCESS ||
                    bounce_confirms(a, recipient))
                        keep_texts(a, s, r);
                record.state = SPOOL_DELIVERED;
                break;
        case DELIVERY_DISCARDED:
                d->counts.discarded++;
                if (a->envelope.recipients[recipient].notify & SMTP_NOTIFY_SUCCESS)
                        keep_texts(a, s, r);
                record.state = SPOOL_DISCARDED;
                break;
        case DELIVERY_DEFERRED:
                d->counts.deferred++;
                keep_texts(a, s, r);
                record.state = SPOOL_WAITING;
                record.reason = s->text;
                break;
        case DELIVERY_BOUNCED:
                d->counts.bounced++;
                keep_texts(a, s, r);
                return; /* closing.c */
        }
        spool_message_record(a->message, &record, 1);
}

void delivery_job_result(struct delivery_job *job, size_t recipient,
                         const struct delivery_result *result)
{
        struct delivery_attempt *a = job->attempt;
        char service[80];
        if (job->probe) {
                probe_job_result(job, result);
                return;
        }
        check(recipient < a->envelope.recipient_count && !a->states[recipient].has_result);
        snprintf(service, sizeof(service), "%.*s", STR_ARG(job->route->transport->log_name));
        log_result(a, service, recipient, job->begun_us, job->ready_us, result);
        note_result(a, recipient, result);
        if (!job->route->is_hidden && !str_eq(result->relay, STR("none")))
                a->states[recipient].relay = arena_str(&a->arena, result->relay);
}

void await_delivery_job_result(struct delivery_job *job, size_t recipient,
                               const struct delivery_result *result)
{
        struct delivery_result filtered = *result;
        char dsn[DSN_BYTES];
        await_status_filter(job, &filtered, dsn);
        delivery_job_result(job, recipient, &filtered);
}

void attempt_job_result_all(struct delivery_job *job, const struct delivery_result *result)
{
        for (size_t i = 0; i < job->recipient_count; i++)
                delivery_job_result(job, job->recipients[i], result);
}

/* ---- the end of a job ---- */

static void job_left(struct delivery_attempt *a)
{
        check(a->jobs_left > 0);
        if (--a->jobs_left == 0)
                attempt_close(a);
}

void attempt_job_done(struct delivery_job *job)
{
        struct delivery_attempt *a = job->attempt;
        if (job->probe) {
                probe_job_done(job);
                return;
        }
        for (size_t i = 0; i < job->recipient_count; i++)
                if (!a->states[job->recipients[i]].has_result)
                        a->is_interrupted = true;
        job_left(a);
}

void attempt_job_drop(struct delivery_job *job)
{
        if (job->probe) {
                probe_job_done(job);
                return;
        }
        job->attempt->is_interrupted = true;
        job_left(job->attempt);
}

void attempt_job_park(struct delivery_job *job)
{
        job->attempt->is_parked = true;
        job_left(job->attempt);
}

/* ---- the beginning ---- */

struct routed {
        size_t recipient;
        struct route route;
        struct delivery_job *job;
};

/* It goes to no destination: Postfix's error(8) would say this. */
static void defer_here(struct delivery_attempt *a, size_t recipient,
                       const struct delivery_result *result)
{
        int64_t now_us = clock_mono_us();
        log_result(a, "error", recipient, now_us, now_us, result);
        note_result(a, recipient, result);
}

static void defer_unrouted(struct delivery_attempt *a, size_t recipient, const struct why *why)
{
        const struct delivery_result result = {
                .status = DELIVERY_DEFERRED,
                .dsn = "4.3.0",
                .relay = STR("none"),
                .text = str_from(why->text),
                .public = STR("mail system lookup error"),
        };
        defer_here(a, recipient, &result);
}

const struct delivery_result attempt_waits_for_flush = {
        .status = DELIVERY_DEFERRED,
        .dsn = "4.3.2",
        .relay = STR_INIT("none"),
        .text = STR_INIT("deferred transport"),
};

/* Its members are recipients of their own: all that is left is to say so. */
static void note_expanded(struct delivery_attempt *a, size_t recipient)
{
        struct recipient_state *s = &a->states[recipient];
        struct spool_result record = {
                .recipient = recipient, .state = SPOOL_DELIVERED, .reason = STR("")};
        *s = (struct recipient_state){.has_result = true,
                                      .status = DELIVERY_SENT,
                                      .text = STR("alias expanded"),
                                      .public = STR("alias expanded")};
        snprintf(s->dsn, sizeof(s->dsn), "2.0.0");
        spool_message_record(a->message, &record, 1);
}

/* Finds the routes of all that wait. How many there are; those that have none are deferred. */
static size_t await_routes(struct delivery_attempt *a, struct routed *out)
{
        size_t count = 0;
        struct why why;
        for (size_t i = 0; i < a->envelope.recipient_count; i++) {
                if (spool_message_state(a->message, i) != SPOOL_WAITING)
                        continue;
                if (a->envelope.recipients[i].is_expanded) {
                        note_expanded(a, i);
                        continue;
                }
                struct routed *r = &out[count];
                struct smtp_address address;
                struct str text = a->envelope.recipients[i].address;
                struct route_query query = {.recipient = &address,
                                            .sender = a->envelope.sender,
                                            .filter = a->envelope.filter};
                if (smtp_address_parse(text, &a->arena, &address) < 0)
                        why_set(&why, -EINVAL, "\"%.*s\" is no address", STR_ARG(text));
                else if (await_route_find(a->routes, &query, &a->arena, &r->route, &why) == 0) {
                        r->recipient = i;
                        if (r->route.transport->waits_for_flush &&
                            !spool_message_is_asked(a->message))
                                defer_here(a, i, &attempt_waits_for_flush);
                        else
                                count++;
                        continue;
                }
                defer_unrouted(a, i, &why);
        }
        return count;
}

/* A sender for this recipient alone; who else is in the envelope is not in the job. */
static const struct envelope *verp_envelope(struct delivery_attempt *a, size_t recipient)
{
        struct envelope *e = arena_new(&a->arena, struct envelope);
        *e = a->envelope;
        e->sender = attempt_verp_sender(a, recipient);
        return e;
}

static struct delivery_job *job_new(struct delivery_attempt *a, const struct routed *first)
{
        struct delivery_job *job = arena_new(&a->arena, struct delivery_job);
        list_init(&job->link);
        job->delivery = a->delivery;
        job->message = a->message;
        job->envelope =
                verp_is_wanted(&a->envelope) ? verp_envelope(a, first->recipient) : &a->envelope;
        job->route = &first->route;
        job->arena = &a->arena;
        job->routes = a->routes;
        job->attempt = a;
        job->is_probe = attempt_is_probe(a);
        a->jobs_left++;
        return job;
}

static bool is_full(const struct delivery_job *job)
{
        bool is_single = job->is_probe || verp_is_wanted(job->envelope);
        int64_t limit = is_single ? 1 : job->route->transport->recipient_limit;
        return limit && job->recipient_count >= (size_t)limit;
}

/* Nothing here waits: destinations stay as they are, and `filling` is ours. */
static void hand_out(struct delivery_attempt *a, struct routed *routed, size_t count)
{
        struct delivery *d = a->delivery;
        struct destination **to = arena_array(&a->arena, struct destination *, count);
        for (size_t i = 0; i < count; i++) {
                struct destination *dest = destination_find(d, a->routes, &routed[i].route);
                if (!dest->filling || is_full(dest->filling))
                        dest->filling = job_new(a, &routed[i]);
                to[i] = dest;
                routed[i].job = dest->filling;
                routed[i].job->recipient_count++;
        }
        for (size_t i = 0; i < count; i++) {
                struct delivery_job *job = routed[i].job;
                to[i]->filling = NULL;
                if (!job->recipients) {
                        job->recipients = arena_array(&a->arena, size_t, job->recipient_count);
                        job->recipient_count = 0;
                } else {
                        to[i] = NULL; /* it is handed over with its first */
                }
                job->recipients[job->recipient_count++] = routed[i].recipient;
        }
        for (size_t i = 0; i < count; i++)
                if (to[i])
                        destination_push(to[i], routed[i].job);
}

void await_attempt_begin(struct delivery *d, struct spool_message *m)
{
        struct delivery_attempt *a = attempt_new(d, m);
        const struct envelope *e = &a->envelope;
        log_mail(LOG_LEVEL_INFO, "qmgr", spool_message_id(m),
                 "from=<%.*s>, size=%lld, nrcpt=%zu (queue active)",
                 STR_ARG(attempt_log_address(a, e->sender)), (long long)spool_message_bytes(m),
                 e->recipient_count);
        struct routed *routed = arena_array(&a->arena, struct routed, e->recipient_count);
        a->jobs_left = 1; /* until all are handed out */
        if (spool_message_is_expired(m))
                attempt_expire(a);
        else
                hand_out(a, routed, await_routes(a, routed));
        job_left(a);
}
