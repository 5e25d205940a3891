/*
 * probe.c - would this address take mail? (verify(8))
 *
 * A task for each address that is asked about. It makes of the address what would become of a message's recipient
 * (canonical maps, aliases), finds the route of each result, and hands the next hop's queue a job without a message; so
 * a probe keeps to the windows, pauses and rests of its next hop, and takes connections that are open. The agents give the
 * job its result as they would a message's: SMTP asks the server, `virtual` looks for the mailbox, error: and its kin say what they
 * always say.
 *
 * One of several results that takes mail is enough: the message would arrive somewhere. They are asked one after the other.
 */
#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "delivery/delivery_private.h"

enum {
        TARGETS_MAX =
                10 /* of the addresses behind an alias: who has more is taken for deliverable */
};

struct probe {
        struct delivery *delivery;
        struct verify_probe *asked;
        struct task *task;
        struct routes *routes;
        struct arena arena;
        struct envelope envelope; /* sender, and what became of the address */
        struct policy_facts facts;
        struct policy_effects effects;
        int64_t begun_us;

        /* of the job that is under way */
        bool is_done;
        enum verify_status status;
        struct str text;
};

/* ---- results ---- */

/*
 * What a client may see. A server that is not hidden is named as Postfix would; of one that is, only its words are shown, made fit
 * to leave (smtp_agent.c).
 */
static struct str shown(struct probe *p, const struct delivery_job *job,
                        const struct delivery_result *r)
{
        if (r->public.len == 0 || r->status == DELIVERY_SENT ||
            (r->is_reply && !job->route->is_hidden))
                return arena_str(&p->arena, r->text);
        if (r->is_reply)
                return arena_printf(&p->arena, "the destination's mail system said: %.*s",
                                    STR_ARG(r->public));
        return arena_str(&p->arena, r->public);
}

static void log_result(struct probe *p, const struct delivery_job *job,
                       const struct delivery_result *r)
{
        char delay[DELAY_BYTES];
        struct str address = job->envelope->recipients[job->recipients[0]].address;
        bool is_internal = routes_config(p->routes)->params.info_log_address_format == 1;
        delay_format(clock_mono_us() - p->begun_us, delay);
        log_info("verify", "to=<%.*s>, relay=%.*s, delay=%s, dsn=%s, status=%sdeliverable (%.*s)",
                 STR_ARG(smtp_address_log(address, is_internal, &p->arena)), STR_ARG(r->relay),
                 delay, r->dsn, p->status == VERIFY_DELIVERABLE ? "" : "un", STR_ARG(r->text));
}

void probe_job_result(struct delivery_job *job, const struct delivery_result *r)
{
        static const enum verify_status statuses[] = {
                [DELIVERY_SENT] = VERIFY_DELIVERABLE,
                [DELIVERY_DISCARDED] = VERIFY_DELIVERABLE,
                [DELIVERY_DEFERRED] = VERIFY_DEFERRED,
                [DELIVERY_BOUNCED] = VERIFY_UNDELIVERABLE,
        };
        struct probe *p = job->probe;
        p->status = statuses[r->status];
        p->text = shown(p, job, r);
        log_result(p, job, r);
}

void probe_job_done(struct delivery_job *job)
{
        job->probe->is_done = true;
        task_wake(job->probe->task);
}

/* ---- one address ---- */

static struct delivery_job *job_new(struct probe *p, size_t target, const struct route *route)
{
        struct delivery_job *job = arena_new(&p->arena, struct delivery_job);
        list_init(&job->link);
        job->delivery = p->delivery;
        job->envelope = &p->envelope;
        job->recipients = arena_array(&p->arena, size_t, 1);
        job->recipients[0] = target;
        job->recipient_count = 1;
        job->route = route;
        job->arena = &p->arena;
        job->routes = p->routes;
        job->probe = p;
        job->is_probe = true;
        return job;
}

static void await_target(struct probe *p, size_t target)
{
        struct smtp_address address;
        struct route *route = arena_new(&p->arena, struct route);
        struct why why;
        struct str text = p->envelope.recipients[target].address;
        const struct route_query query = {
                .recipient = &address, .sender = p->envelope.sender, .is_probe = true};
        p->status = VERIFY_DEFERRED;
        p->text = STR("mail system lookup error");
        if (smtp_address_parse(text, &p->arena, &address) < 0) {
                why_set(&why, 0, "it is no address");
        } else if (await_route_find(p->routes, &query, &p->arena, route, &why) == 0) {
                p->status = VERIFY_PENDING; /* until there is a result */
                p->is_done = false;
                struct delivery_job *job = job_new(p, target, route);
                if (route->transport->waits_for_flush) {
                        probe_job_result(job, &attempt_waits_for_flush);
                        return;
                }
                destination_push(destination_find(p->delivery, p->routes, route), job);
                while (!p->is_done)
                        await_wake_always("probing", text, CLOCK_NEVER);
                return;
        }
        log_warning("verify", "no route for <%.*s>: %s", STR_ARG(text), why.text);
}

/* What becomes of the address goes into the envelope. */
static bool await_recipients(struct probe *p)
{
        struct smtp_rcpt_command rcpt = {0};
        struct smtp_reply refusal;
        const struct cleanup_work work = {.rules = p->delivery->cleanup,
                                          .facts = &p->facts,
                                          .effects = &p->effects,
                                          .envelope = &p->envelope,
                                          .arena = &p->arena};
        p->status = VERIFY_DEFERRED;
        p->text = STR("mail system lookup error");
        if (smtp_address_parse(verify_probe_address(p->asked), &p->arena, &rcpt.recipient) < 0)
                return false;
        struct cleanup *c = cleanup_new(&work);
        bool is_good = await_cleanup_recipient(c, &rcpt, &refusal);
        cleanup_free(&c);
        return is_good;
}

static void await_probe(struct probe *p)
{
        const struct params *params = &routes_config(p->routes)->params;
        p->envelope.sender = verify_sender(params, clock_wall_us() / 1000000, &p->arena);
        if (!await_recipients(p))
                return;
        enum verify_status status = VERIFY_UNDELIVERABLE;
        struct str text = {0};
        for (size_t i = 0; i < p->envelope.recipient_count && i < TARGETS_MAX; i++) {
                await_target(p, i);
                if (p->status == VERIFY_DELIVERABLE || p->status == VERIFY_PENDING)
                        return;
                if (i == 0 || p->status == VERIFY_DEFERRED) {
                        status = p->status;
                        text = p->text;
                }
        }
        p->status = p->envelope.recipient_count > TARGETS_MAX ? VERIFY_DELIVERABLE : status;
        p->text = text;
}

/* ---- many ---- */

static void probe_main(void *arg)
{
        struct probe *p = arg;
        struct delivery *d = p->delivery;
        struct delivery_task me;
        p->task = task_self();
        delivery_task_begin(d, &me);
        await_probe(p);
        verify_probe_done(p->asked, p->status, p->text);
        delivery_task_end(&me);
        arena_done(&p->arena);
        routes_unref(&p->routes);
        free(p);
        d->probe_count--;
        delivery_look_again(d);
}

static void start(void *context, struct verify_probe *asked)
{
        struct delivery *d = context;
        struct probe *p = calloc(1, sizeof(*p));
        check(p);
        p->delivery = d;
        p->asked = asked;
        p->routes = routes_ref(d->routes);
        p->begun_us = clock_mono_us();
        arena_init(&p->arena, 0);
        d->probe_count++;
        task_start(d->loop, probe_main, p);
}

void delivery_serve_probes(struct delivery *d, struct verify *v, struct cleanup_rules *rules)
{
        struct cleanup_rules *before = d->cleanup;
        d->cleanup = cleanup_rules_ref(rules);
        d->verify = v;
        if (before)
                cleanup_rules_unref(&before);
        verify_serve(v, d->loop, start, d);
}

void probes_stop(struct delivery *d)
{
        if (d->verify)
                verify_serve(d->verify, d->loop, NULL, NULL);
}
