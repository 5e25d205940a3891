/*
 * resolver.c - libunbound on each loop that asks
 *
 * A question first looks into the cache that all loops share. What is not there is handed to this loop's own
 * libunbound context, by a chore: libunbound needs more stack than a task has. It runs on the loop's epoll, sends
 * from the loop's thread, and remembers delegations, keys and servers for its loop.
 *
 * Why a context a loop and one cache of answers above them: doc/decisions/0040-dns.md. The options that are set here,
 * and why, stand beside them.
 *
 * What a context has on a loop is freed on the loop's thread: when the struct dns ends, a letter goes to each loop;
 * when the loop ends first, dns_leave_loop() does it.
 */
#include "dns/dns_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "dns/ub_events.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unbound-event.h>
#include <unbound.h>
#include <unistd.h>

enum { CLASS_IN = 1, UB_BOGUS = 1, UB_SECURE = 2 };

struct resolver {
        struct list of_dns;   /* in dns->resolvers */
        struct list of_all;   /* in all_resolvers */
        struct letter letter; /* tells it to end */
        struct dns *dns;      /* while somebody asks */
        struct loop *loop;
        struct ub_event_base *events;
        bool has_tried;
        struct ub_ctx *ctx; /* NULL: could not be made; `trouble` says why */
        struct why trouble;
        struct chore chore;
        struct list fresh; /* queries that the chore is to begin */
};

struct query {
        struct list link; /* in fresh */
        struct resolver *resolver;
        struct question *question; /* NULL: nobody waits any more */
        struct timer timer;
        int id;
        bool is_begun;
        bool is_beginning; /* inside ub_resolve_event() */
        bool is_done;
};

/* Also keeps libunbound's contexts from being made, finished and ended by two threads at once: it has a few globals. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all_resolvers = {&all_resolvers, &all_resolvers};

/* ---- a context's options ---- */

static int option(struct ub_ctx *ctx, const char *name, const char *value, struct why *why)
{
        int rc = ub_ctx_set_option(ctx, name, value);
        return rc ? why_set(why, -EINVAL, "libunbound: %s %s: %s", name, value, ub_strerror(rc))
                  : 0;
}

static int byte_option(struct ub_ctx *ctx, const char *name, int64_t bytes, struct why *why)
{
        char text[32];
        snprintf(text, sizeof(text), "%lld", (long long)bytes);
        return option(ctx, name, text, why);
}

static int set_options(struct ub_ctx *ctx, const struct settings *s, struct why *why)
{
        static const struct {
                const char *name;
                const char *value;
        } always[] = {
                /*
                 * A dead server costs two seconds (300 ms, 600 ms, 1 s) and not seventeen. One that was quick
                 * so far is given as long: a resolver that is asked for something new is slow once.
                 */
                {"outbound-msg-retry:", "3"},
                {"infra-cache-min-rtt:", "250"},
                {"infra-cache-max-rtt:", "1000"},
                {"unknown-server-time-limit:", "300"},
                /* a server that was dead is tried again so many seconds later; by default after 15 minutes */
                {"infra-host-ttl:", "10"},
                {"edns-buffer-size:", "1232"},
                /* at most so many descriptors on each loop; what is more waits its turn */
                {"outgoing-range:", "512"},
                {"num-queries-per-thread:", "4096"},
                /* a list would be asked once for each label of an address */
                {"qname-minimisation:", "no"},
                {"trust-anchor-signaling:", "no"},
                /* a client with several names that do not lead back is to have the same reverse name each time */
                {"rrset-roundrobin:", "no"},
        };
        int rc = 0;
        for (size_t i = 0; rc == 0 && i < sizeof(always) / sizeof(*always); i++)
                rc = option(ctx, always[i].name, always[i].value, why);
        if (rc == 0)
                rc = option(ctx, "module-config:",
                            s->wants_validation ? "validator iterator" : "iterator", why);
        long loops = sysconf(_SC_NPROCESSORS_ONLN);
        int64_t share = s->cache_bytes_max / 2 / (loops > 0 ? loops : 1);
        /*
         * A forwarder has a cache, and ours is above: between them only keys are worth remembering. Who goes to the
         * name servers of the world also needs to know where they are.
         */
        int64_t answers_share = s->forward.server_count ? share / 8 : share;
        if (rc == 0)
                rc = byte_option(ctx, "msg-cache-size:", answers_share / 4, why);
        if (rc == 0)
                rc = byte_option(ctx, "rrset-cache-size:", answers_share / 2, why);
        if (rc == 0)
                rc = byte_option(ctx, "key-cache-size:", share / 8, why);
        if (rc == 0)
                rc = byte_option(ctx, "neg-cache-size:", share / 8, why);
        for (size_t i = 0; rc == 0 && i < s->insecure_count; i++)
                rc = option(ctx, "domain-insecure:", s->insecure_zones[i], why);
        return rc;
}

static int add_servers(struct ub_ctx *ctx, const struct stub *stub, bool is_forward,
                       struct why *why)
{
        for (size_t i = 0; i < stub->server_count; i++) {
                const char *server = stub->servers[i];
                char zone[DNS_NAME_BYTES_MAX + 1];
                snprintf(zone, sizeof(zone), "%.*s.", STR_ARG(stub->zone));
                int rc = is_forward ? ub_ctx_set_fwd(ctx, server)
                                    : ub_ctx_set_stub(ctx, zone, server, 0);
                if (rc)
                        return why_set(why, -EINVAL, "libunbound: the server %s of %s: %s", server,
                                       zone, ub_strerror(rc));
        }
        return 0;
}

/*
 * libunbound answers for some zones itself, so that the root servers are left in peace. Where the administrator has
 * named who knows them, it must not.
 */
static void remove_own_zones(struct ub_ctx *ctx, const struct settings *s)
{
        static const char *const own[] = {"localhost", "127.in-addr.arpa", "home.arpa", "onion",
                                          "test",      "invalid"};
        for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
                struct str zone = str_from(own[i]);
                const struct stub *stub = settings_stub_of(s, zone);
                /* what a forwarder says of loopback is worth less than what we know */
                bool is_ours = i > 1 && stub;
                for (size_t k = 0; k < s->stub_count; k++)
                        is_ours = is_ours || str_eq(s->stubs[k].zone, zone) ||
                                  (str_ends(s->stubs[k].zone, zone) &&
                                   str_ends(str_part(s->stubs[k].zone, 0,
                                                     s->stubs[k].zone.len - zone.len),
                                            STR(".")));
                char name[64];
                snprintf(name, sizeof(name), "%s.", own[i]);
                if (is_ours)
                        ub_ctx_zone_remove(ctx, name);
        }
}

static int configure(struct ub_ctx *ctx, const struct settings *s, struct why *why)
{
        ub_ctx_debugout(ctx,
                        NULL); /* it would write to stderr; what matters comes with the answers */
        int rc = set_options(ctx, s, why);
        if (s->forward.server_count || s->stub_count) {
                /* the administrator's servers know private addresses, and may be on this machine */
                if (rc == 0)
                        rc = option(ctx, "do-not-query-localhost:", "no", why);
                if (rc == 0)
                        rc = option(ctx, "unblock-lan-zones:", "yes", why);
        }
        if (rc == 0)
                rc = add_servers(ctx, &s->forward, true, why);
        for (size_t i = 0; rc == 0 && i < s->stub_count; i++)
                rc = add_servers(ctx, &s->stubs[i], false, why);
        for (size_t i = 0; rc == 0 && i < s->anchor_count; i++) {
                int error = ub_ctx_add_ta(ctx, s->anchors[i]);
                if (error)
                        rc = why_set(why, -EINVAL, "libunbound: the trust anchor %s: %s",
                                     s->anchors[i], ub_strerror(error));
        }
        if (rc == 0)
                remove_own_zones(ctx, s); /* after all options: it makes them take effect */
        return rc;
}

int resolver_try(const struct settings *s, struct why *why)
{
        pthread_mutex_lock(&lock);
        struct ub_ctx *ctx = ub_ctx_create();
        int rc = ctx ? configure(ctx, s, why)
                     : why_set(why, -ENOMEM, "libunbound: no context can be made");
        if (ctx)
                ub_ctx_delete(ctx);
        pthread_mutex_unlock(&lock);
        return rc;
}

/* ---- a loop's resolver ---- */

static void end_resolver(struct resolver *r)
{
        check(list_is_empty(&r->fresh));
        list_remove(&r->chore.link);
        if (r->ctx) {
                pthread_mutex_lock(&lock);
                ub_ctx_delete(r->ctx);
                pthread_mutex_unlock(&lock);
        }
        ub_events_free(&r->events);
        free(r);
}

static void end_by_letter(struct letter *letter)
{
        end_resolver(list_of(letter, struct resolver, letter));
}

static void run_fresh(struct chore *c);

/* With the lock held. */
static struct resolver *resolver_new(struct dns *d, struct loop *l)
{
        struct resolver *r = calloc(1, sizeof(*r));
        check(r);
        r->dns = d;
        r->loop = l;
        r->letter.open = end_by_letter;
        r->chore.run = run_fresh;
        list_init(&r->chore.link);
        list_init(&r->fresh);
        r->events = ub_events_new(l);
        list_add_last(&d->resolvers, &r->of_dns);
        list_add_last(&all_resolvers, &r->of_all);
        return r;
}

/* Makes the options take effect now, and not in the first question: that would be without the lock. */
static int finish(struct ub_ctx *ctx, struct why *why)
{
        int rc = ub_ctx_zone_remove(ctx, "nothing.invalid.");
        return rc ? why_set(why, -EINVAL, "libunbound: %s", ub_strerror(rc)) : 0;
}

/* Takes more stack than a task has: for the chore. */
static void make_context(struct resolver *r)
{
        pthread_mutex_lock(&lock);
        r->has_tried = true;
        r->ctx = ub_ctx_create_ub_event(r->events);
        if (!r->ctx) {
                why_set(&r->trouble, -ENOMEM, "libunbound: no context can be made");
        } else if (configure(r->ctx, &r->dns->settings, &r->trouble) < 0 ||
                   finish(r->ctx, &r->trouble) < 0) {
                ub_ctx_delete(r->ctx);
                r->ctx = NULL;
        }
        pthread_mutex_unlock(&lock);
}

static struct resolver *resolver_here(struct dns *d)
{
        struct loop *here = loop_self();
        check(here);
        pthread_mutex_lock(&lock);
        struct resolver *found = NULL;
        list_each (link, &d->resolvers) {
                struct resolver *r = list_of(link, struct resolver, of_dns);
                if (r->loop == here)
                        found = r;
        }
        if (!found)
                found = resolver_new(d, here);
        pthread_mutex_unlock(&lock);
        return found;
}

void resolver_end(struct dns *d)
{
        pthread_mutex_lock(&lock);
        list_each (link, &d->resolvers) {
                struct resolver *r = list_of(link, struct resolver, of_dns);
                list_remove(&r->of_dns);
                list_remove(&r->of_all);
                loop_post(r->loop, &r->letter);
        }
        pthread_mutex_unlock(&lock);
}

void dns_leave_loop(void)
{
        struct list mine = {&mine, &mine};
        pthread_mutex_lock(&lock);
        list_each (link, &all_resolvers) {
                struct resolver *r = list_of(link, struct resolver, of_all);
                if (r->loop != loop_self())
                        continue;
                list_remove(&r->of_dns);
                list_remove(&r->of_all);
                list_add_last(&mine, &r->of_all);
        }
        pthread_mutex_unlock(&lock);
        list_each (link, &mine) {
                end_resolver(list_of(link, struct resolver, of_all));
        }
}

/* ---- questions ---- */

static void query_free(struct query *q)
{
        list_remove(&q->link);
        loop_timer_cancel(q->resolver->loop, &q->timer);
        free(q);
}

/* Where a question counts: the servers that the administrator gave, else its own name. */
static void count(struct dns *d, const struct question *question, bool has_timed_out)
{
        const struct stub *stub = settings_stub_of(&d->settings, question->name);
        figures_count(d->figures, stub ? stub->label : question->name, &question->answer,
                      has_timed_out);
}

/* Gives the question its answer, and takes the box. */
static void answer(struct query *q, struct box *b, bool has_timed_out)
{
        struct question *question = q->question;
        q->question = NULL;
        if (!question) {
                box_unref(&b);
                return;
        }
        if (b->answer.result != DNS_FAILED)
                cache_put(q->resolver->dns->cache, question->name, question->type, b);
        question_answer(question, b, false);
        count(q->resolver->dns, question, has_timed_out);
}

/*
 * rcode is not zero where libunbound itself could find nothing out: the packet is rubbish then. A wrong signature comes
 * with rcode zero and all the data.
 */
static struct box *box_of(const struct question *question, int rcode, const void *packet, int len,
                          int security, const char *why_bogus)
{
        if (rcode != 0 || len <= 0)
                return box_failed("no name server of %.*s gives a usable answer (rcode %d)",
                                  STR_ARG(question->name), rcode);
        if (security == UB_BOGUS) {
                struct box *b = box_failed("the signature is wrong: %s",
                                           why_bogus ? why_bogus : "nobody says how");
                b->answer.is_bogus = true;
                return b;
        }
        struct wire_bytes bytes = {packet, (size_t)len};
        struct box *b = packet_read(bytes, question->name, question->type);
        if (b->answer.result == DNS_FAILED)
                return b;
        b->answer.is_secure = security == UB_SECURE;
        return box_seal(&b);
}

static void is_answered(void *arg, int rcode, void *packet, int len, int security, char *why_bogus,
                        int was_limited)
{
        struct query *q = arg;
        if (q->question)
                answer(q, box_of(q->question, rcode, packet, len, security, why_bogus), false);
        q->is_done = true;
        if (!q->is_beginning)
                query_free(q);
}

static void is_too_late(struct timer *t)
{
        struct query *q = list_of(t, struct query, timer);
        struct question *question = q->question;
        answer(q, box_failed(DNS_TIMED_OUT), true);
        check(question && !question->query);
        if (q->is_begun)
                ub_cancel(q->resolver->ctx, q->id);
        query_free(q);
}

static void begin(struct query *q)
{
        struct resolver *r = q->resolver;
        char name[DNS_NAME_BYTES_MAX + 1];
        list_remove(&q->link);
        if (!r->ctx) {
                answer(q, box_failed("%s", r->trouble.text), false);
                query_free(q);
                return;
        }
        snprintf(name, sizeof(name), "%.*s.", STR_ARG(q->question->name));
        q->is_beginning = true;
        int rc = ub_resolve_event(r->ctx, name, (int)q->question->type, CLASS_IN, q, is_answered,
                                  &q->id);
        q->is_beginning = false;
        q->is_begun = true;
        if (rc && !q->is_done) {
                answer(q, box_failed("libunbound: %s", ub_strerror(rc)), false);
                q->is_done = true;
        }
        if (q->is_done)
                query_free(q);
}

static void run_fresh(struct chore *c)
{
        struct resolver *r = list_of(c, struct resolver, chore);
        if (!r->has_tried)
                make_context(r);
        while (!list_is_empty(&r->fresh))
                begin(list_of(r->fresh.next, struct query, link));
}

void resolver_ask(struct dns *d, struct question *question)
{
        struct box *b = cache_find(d->cache, question->name, question->type);
        if (b) {
                question_answer(question, b, true);
                /* by the clock of cache_put(): a loop's own may be behind it, and the answer grow older than it was */
                int64_t left_ms = b->until_ms - clock_mono_ms();
                question->answer.ttl_ms = left_ms > 0 ? left_ms : 0;
                count(d, question, false);
                return;
        }
        struct resolver *r = resolver_here(d);
        struct query *q = calloc(1, sizeof(*q));
        check(q);
        q->resolver = r;
        q->question = question;
        q->timer.due = is_too_late;
        question->query = q;
        list_add_last(&r->fresh, &q->link);
        loop_timer_set(r->loop, &q->timer, clock_mono_ms() + d->settings.timeout_ms);
        loop_chore_add(r->loop, &r->chore);
}

void resolver_cancel(struct question *question)
{
        struct query *q = question->query;
        question->query = NULL;
        q->question = NULL;
        if (q->is_begun)
                ub_cancel(q->resolver->ctx, q->id);
        query_free(q);
}
