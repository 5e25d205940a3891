/*
 * smtp_agent.c - one job over SMTP or LMTP: which hosts are tried, and what each recipient's result is
 *
 * The connection that the worker kept is used first. Then the next hops in their order, and the hosts of
 * each in theirs, up to smtp_mx_address_limit addresses and smtp_mx_session_limit sessions a next hop; at
 * last smtp_fallback_relay.
 *
 * A recipient that a server refuses for good (5xx) is not tried elsewhere. One that must wait (4xx), or whose
 * connection broke, is tried at the next host with the others that are left; what the last host said is its
 * result. After a break behind the final dot nobody else is tried: the message may have arrived.
 *
 * A kept connection that turns out to be closed before it took anything is nobody's failure.
 */
#include "base/check.h"
#include "base/clock.h"
#include "delivery/delivery_private.h"
#include "delivery/hide.h"

#include <errno.h>

enum { TRIED_MAX = 64, NAMES_MAX = 32, KEPT_MAX = 3, DEFAULT_PORT = 25 };

struct tried {
        char address[HOST_TEXT_BYTES];
        uint16_t port;
};

/* What is known so far about a recipient that is not done. */
struct pending {
        struct trouble *trouble;
        struct str relay;
        struct str public;
        struct str remote_mta;
        bool is_reply;
};

struct work {
        struct delivery_job *job;
        struct worker *worker;
        const struct transport *transport;
        size_t *left; /* indices into the envelope of those that are not done */
        size_t left_count;
        struct pending *pending; /* beside `left` */
        struct client_result *results;
        struct tried *tried; /* NULL before the first */
        size_t tried_count;
        size_t session_count; /* at this next hop */
        struct str nexthop;   /* as it is written */
        bool is_canceled;
        bool has_talked;        /* some server dealt with the message, whatever it said */
        struct trouble *broken; /* the last failure to talk at all */
        struct str broken_public;
};

/* ---- what a bounce may show ---- */

static struct str domain_of(struct str address)
{
        ptrdiff_t at = str_find_last(address, '@');
        return at < 0 ? STR("") : str_tail(address, (size_t)at + 1);
}

/* "inet:host:port", as LMTP's next hops may be written */
static struct str without_inet(struct str text)
{
        return str_starts(text, STR("inet:")) ? str_tail(text, 5) : text;
}

static size_t hop_names(const struct work *w, const struct client *c, struct str *names)
{
        size_t count = 0;
        struct str list = w->job->route->nexthop;
        struct str text;
        struct nexthop hop;
        while (count + 2 + CLIENT_NAMES_MAX < NAMES_MAX && nexthop_next(&list, &text))
                if (nexthop_parse(without_inet(text), DEFAULT_PORT, &hop) == 0)
                        names[count++] = hop.host;
        if (!c)
                return count;
        names[count++] = str_from(c->host);
        names[count++] = str_from(c->address);
        for (size_t i = 0; i < CLIENT_NAMES_MAX; i++)
                if (strchr(c->named[i], '.')) /* "220 ESMTP ready" names nobody */
                        names[count++] = str_from(c->named[i]);
        return count;
}

static struct str hide_from(const struct work *w, const struct client *c, const struct recipient *r,
                            struct str text)
{
        struct str names[NAMES_MAX];
        const struct str kept[KEPT_MAX] = {
                domain_of(r->original),
                domain_of(r->original.len ? STR("") : r->address),
                domain_of(w->job->envelope->sender),
        };
        struct hide h = {names, hop_names(w, c, names), kept, KEPT_MAX};
        return hide_names(text, &h, w->job->arena);
}

/* Fills in what a bounce shows about this trouble: for a hidden next hop no name and no address. */
static void make_public(const struct work *w, const struct client *c, const struct recipient *r,
                        struct pending *p)
{
        const struct trouble *t = p->trouble;
        p->public = t->reply;
        p->is_reply = t->reply.len > 0;
        p->remote_mta = c ? arena_str(w->job->arena, str_from(c->host)) : STR("");
        if (!w->job->route->is_hidden)
                return;
        p->remote_mta = STR("");
        if (t->reply.len)
                p->public = hide_from(w, c, r, t->reply);
        else if (t->dsn[2] == '4')
                p->public = STR("the destination's mail system cannot be reached at the moment");
        else
                p->public = hide_from(w, c, r, t->text);
}

/* ---- results ---- */

static void note_trouble(struct work *w, size_t at, const struct client *c, struct trouble *t)
{
        struct pending *p = &w->pending[at];
        const struct recipient *r = &w->job->envelope->recipients[w->left[at]];
        *p = (struct pending){.trouble = t, .relay = STR("none")};
        if (c)
                p->relay = arena_str(w->job->arena, str_from(c->relay));
        make_public(w, c, r, p);
}

static void await_give_up_on(struct work *w, size_t at)
{
        const struct pending *p = &w->pending[at];
        struct delivery_result result = {
                .status = p->trouble->is_permanent ? DELIVERY_BOUNCED : DELIVERY_DEFERRED,
                .dsn = p->trouble->dsn,
                .relay = p->relay,
                .text = p->trouble->text,
                .public = p->public,
                .is_reply = p->is_reply,
                .remote_mta = p->remote_mta,
                .is_relayed = true,
        };
        await_delivery_job_result(w->job, w->left[at], &result);
}

static void await_sent(struct work *w, size_t at, const struct client *c,
                       const struct client_result *r)
{
        bool is_hidden = w->job->route->is_hidden;
        const struct recipient *to = &w->job->envelope->recipients[w->left[at]];
        struct delivery_result result = {
                .status = DELIVERY_SENT,
                .dsn = r->dsn,
                .relay = str_from(c->relay),
                .text = r->reply,
                .public = is_hidden ? hide_from(w, c, to, r->reply) : r->reply,
                .is_reply = true,
                .remote_mta = is_hidden ? STR("") : str_from(c->host),
                .is_relayed = !c->is_lmtp || !w->job->route->transport->params->lmtp_assume_final,
                .has_dsn = c->has_dsn,
        };
        await_delivery_job_result(w->job, w->left[at], &result);
}

/* Keeps in `left` those that another host may still take. */
static void await_sort_out(struct work *w, const struct client *c)
{
        size_t kept = 0;
        for (size_t i = 0; i < w->left_count; i++) {
                const struct client_result *r = &w->results[i];
                if (r->verdict == CLIENT_SENT) {
                        await_sent(w, i, c, r);
                        continue;
                }
                note_trouble(w, i, c, r->trouble);
                if (r->trouble->is_permanent || r->is_final) {
                        await_give_up_on(w, i);
                        continue;
                }
                w->left[kept] = w->left[i];
                w->pending[kept] = w->pending[i];
                kept++;
        }
        w->left_count = kept;
}

/*
 * No host was found, or none talked: all that are left get this, unless a later one does better. What is
 * permanent here (no such host) counts only while nothing better is known.
 */
static void note_failure(struct work *w, const struct trouble *trouble)
{
        struct trouble *t = arena_new(w->job->arena, struct trouble);
        *t = *trouble;
        for (size_t i = 0; i < w->left_count; i++) {
                const struct trouble *before = w->pending[i].trouble;
                if (!t->is_permanent || !before || before->is_permanent)
                        note_trouble(w, i, NULL, t);
        }
        w->broken = t;
        if (w->left_count)
                w->broken_public = w->pending[0].public;
}

/* ---- a session ---- */

static bool may_keep(const struct params *p, const struct client *c)
{
        if (!p->smtp_tls_connection_reuse && wire_has_tls(c->wire))
                return false;
        return p->smtp_connection_cache_on_demand || p->smtp_connection_cache_destinations.len;
}

static void keep_client(struct work *w, struct client **c)
{
        struct worker *worker = w->worker;
        worker_close_client(worker);
        worker->client = *c;
        worker->client_routes = routes_ref(w->job->routes);
        *c = NULL;
}

static bool was_tried(const struct work *w, const char *address, uint16_t port)
{
        for (size_t i = 0; i < w->tried_count; i++)
                if (w->tried[i].port == port && strcmp(w->tried[i].address, address) == 0)
                        return true;
        return false;
}

static void note_tried(struct work *w, const char *address, uint16_t port)
{
        if (!w->tried)
                w->tried = arena_array(w->job->arena, struct tried, TRIED_MAX);
        if (w->tried_count == TRIED_MAX)
                return;
        struct tried *t = &w->tried[w->tried_count++];
        t->port = port;
        snprintf(t->address, sizeof(t->address), "%s", address);
}

/* How many of those from `from` on one transaction takes (RFC 9422 4.2: RCPTMAX). */
static size_t transaction_size(const struct work *w, const struct client *c, size_t from)
{
        size_t left = w->left_count - from;
        return c->rcpt_max && (size_t)c->rcpt_max < left ? (size_t)c->rcpt_max : left;
}

/* The connection does not take another transaction: for those from `from` on it is later. */
static void leave_rest(struct work *w, size_t from, size_t count)
{
        struct trouble *t = w->results[from - 1].trouble;
        if (!t || t->is_permanent)
                t = client_trouble_say(false, "4.5.3",
                                       STR("the server takes fewer recipients at once"),
                                       w->job->arena);
        for (size_t i = from; i < from + count; i++)
                w->results[i] = (struct client_result){.verdict = CLIENT_REFUSED, .trouble = t};
}

/* In as many transactions as the server's limit asks for, mostly one. */
static void await_transactions(struct work *w, struct client *c)
{
        size_t count;
        for (size_t from = 0; from < w->left_count; from += count) {
                struct client_message m = {
                        .message = w->job->message,
                        .envelope = w->job->envelope,
                        .recipients = w->left + from,
                        .recipient_count = count = transaction_size(w, c, from),
                        .arena = w->job->arena,
                        .results = w->results + from,
                };
                if (from && (c->is_dead || (c->mail_max && c->message_count >= c->mail_max))) {
                        leave_rest(w, from, count);
                        continue;
                }
                if (w->job->is_probe)
                        await_client_probe(c, &m);
                else
                        await_client_send(c, &m);
                if (from)
                        c->is_stale = false; /* it has served already */
                else if (c->is_stale)
                        return;
                if (w->results[from].verdict == CLIENT_NONE)
                        return; /* cancelled */
        }
}

/* Sends to all that are left. False: the kept connection was stale, nothing happened. */
static bool await_session(struct work *w, struct client *c)
{
        for (size_t i = 0; i < w->left_count; i++)
                w->results[i] = (struct client_result){.verdict = CLIENT_NONE};
        await_transactions(w, c);
        if (c->is_stale)
                return false;
        for (size_t i = 0; i < w->left_count; i++) {
                if (w->results[i].verdict == CLIENT_NONE) { /* some may have been refused before */
                        w->is_canceled = true;
                        return true;
                }
        }
        struct trouble *first =
                w->results[0].verdict == CLIENT_REFUSED ? w->results[0].trouble : NULL;
        await_sort_out(w, c);
        if (c->is_lost && first) {
                w->broken = first;
                w->broken_public = w->pending[0].public;
        } else {
                w->has_talked = true;
        }
        return true;
}

static void await_kept_client(struct work *w)
{
        struct worker *worker = w->worker;
        if (!worker->client)
                return;
        if (worker->client->transport != w->transport || !client_is_usable(worker->client)) {
                worker_close_client(worker);
                return;
        }
        struct client *c = worker->client;
        if (await_session(w, c) && w->left_count)
                note_tried(w, c->address, c->port);
        if (c->is_dead)
                worker_close_client(worker);
}

/* ---- hosts ---- */

/* TLS is wished for and does not come about: then without, where that is allowed. */
static bool may_go_without_tls(const struct work *w, const struct tls_rule *rule)
{
        return rule->level == TLS_LEVEL_MAY && w->transport->tls &&
               !w->transport->params->smtp_tls_wrappermode;
}

static void await_host(struct work *w, const struct host_address *a, uint16_t port,
                       const struct tls_rule *rule)
{
        struct client *c = NULL;
        struct trouble trouble;
        struct sasl_login login;
        struct client_terms terms = {rule, &login, routes_policy(w->job->routes)};
        struct why why;
        if (await_sasl_login(w->transport, w->job->envelope->sender, a->name, w->nexthop,
                             w->job->arena, &login, &why) < 0) {
                struct str said = arena_str(w->job->arena, str_from(why.text));
                note_failure(w, client_trouble_say(false, "4.7.0", said, w->job->arena));
                return;
        }
        int rc = await_client_open(w->transport, a, &terms, w->job->arena, &c, &trouble);
        if (rc == -EPROTO && may_go_without_tls(w, rule)) {
                struct tls_rule plain = *rule;
                plain.level = TLS_LEVEL_NONE;
                terms.rule = &plain;
                rc = await_client_open(w->transport, a, &terms, w->job->arena, &c, &trouble);
        }
        if (rc == -ECANCELED) {
                w->is_canceled = true;
                return;
        }
        note_tried(w, a->text, port);
        w->session_count += rc != -ENOTCONN;
        if (rc < 0) {
                note_failure(w, &trouble);
                return;
        }
        w->job->ready_us = clock_mono_us();
        await_session(w, c);
        if (!c->is_dead && !w->is_canceled && may_keep(w->transport->params, c))
                keep_client(w, &c);
        client_close(&c);
}

static void await_hosts(struct work *w, const struct nexthop *hop, const struct tls_rule *rule)
{
        const struct params *p = w->transport->params;
        struct host_address *hosts;
        size_t count;
        struct host_failure failure;
        int rc = await_hosts_find(routes_policy(w->job->routes), hop, p, w->transport->dns_filter,
                                  w->job->arena, &hosts, &count, &failure);
        if (rc == -ECANCELED) {
                w->is_canceled = true;
                return;
        }
        if (rc < 0) {
                struct str text = arena_str(w->job->arena, str_from(failure.why.text));
                note_failure(w, client_trouble_say(failure.is_permanent, failure.dsn, text,
                                                   w->job->arena));
                if (failure.is_permanent)
                        w->has_talked = true; /* a wrong name is no sign of a dead server */
                return;
        }
        int64_t address_max = p->smtp_mx_address_limit ? p->smtp_mx_address_limit : INT64_MAX;
        int64_t session_max = p->smtp_mx_session_limit ? p->smtp_mx_session_limit : INT64_MAX;
        w->session_count = 0;
        for (size_t i = 0;
             i < count && (int64_t)i < address_max && (int64_t)w->session_count < session_max &&
             w->left_count && !w->is_canceled;
             i++)
                if (!was_tried(w, hosts[i].text, host_address_port(&hosts[i])))
                        await_host(w, &hosts[i], host_address_port(&hosts[i]), rule);
}

/* A socket of this machine; a relative path begins in queue_directory, as Postfix has it. */
static void await_local_socket(struct work *w, struct str path, const struct tls_rule *rule)
{
        const struct params *p = w->transport->params;
        struct host_address a = {.name = p->myhostname};
        struct str whole = path;
        if (path.len && path.ptr[0] != '/')
                whole = arena_printf(w->job->arena, "%.*s/%.*s", STR_ARG(p->queue_directory),
                                     STR_ARG(path));
        if (path.len == 0 || whole.len >= sizeof(a.to.un.sun_path) || path.len >= sizeof(a.text)) {
                struct str said =
                        arena_printf(w->job->arena, "bad socket path \"%.*s\"", STR_ARG(whole));
                note_failure(w, client_trouble_say(false, "4.3.5", said, w->job->arena));
                return;
        }
        a.to.un.sun_family = AF_UNIX;
        memcpy(a.to.un.sun_path, whole.ptr, whole.len);
        a.to_len = sizeof(a.to.un);
        memcpy(a.text, path.ptr, path.len);
        if (!was_tried(w, a.text, 0))
                await_host(w, &a, 0, rule);
}

static void await_nexthop(struct work *w, struct str text, uint16_t port)
{
        bool is_lmtp = str_eq(w->transport->command, STR("lmtp"));
        struct tls_rule rule;
        struct why why;
        struct nexthop hop;
        w->nexthop = text;
        if (await_tls_rule(w->transport, text, w->job->arena, &rule, &why) < 0) {
                struct str said = arena_str(w->job->arena, str_from(why.text));
                note_failure(w, client_trouble_say(false, "4.7.5", said, w->job->arena));
                return;
        }
        if (is_lmtp && str_starts(text, STR("unix:"))) {
                await_local_socket(w, str_tail(text, 5), &rule);
                return;
        }
        if (is_lmtp)
                text = without_inet(text);
        if (nexthop_parse(text, port, &hop) == 0) {
                hop.wants_mx = hop.wants_mx && !is_lmtp;
                if (hop.service.len == 0)
                        hop.service = w->transport->params->smtp_tcp_port;
                await_hosts(w, &hop, &rule);
                return;
        }
        struct str said = arena_printf(w->job->arena, "bad next hop \"%.*s\"", STR_ARG(text));
        note_failure(w, client_trouble_say(false, "4.3.5", said, w->job->arena));
}

static void await_nexthops(struct work *w, struct str list)
{
        struct str text;
        uint16_t port = DEFAULT_PORT;
        nexthop_port_parse(w->transport->params->smtp_tcp_port, &port);
        while (w->left_count && !w->is_canceled && nexthop_next(&list, &text))
                await_nexthop(w, text, port);
}

/* ---- the job ---- */

static void work_init(struct work *w, struct delivery_job *job)
{
        struct arena *arena = job->arena;
        *w = (struct work){.job = job, .worker = job->worker, .transport = job->route->transport};
        w->left_count = job->recipient_count;
        w->left = arena_array(arena, size_t, w->left_count);
        w->pending = arena_array(arena, struct pending, w->left_count);
        w->results = arena_array(arena, struct client_result, w->left_count);
        memcpy(w->left, job->recipients, w->left_count * sizeof(*w->left));
}

static void tell_destination(const struct work *w)
{
        struct destination *dest = w->worker->destination;
        if (w->has_talked)
                destination_succeeded(dest);
        else if (w->broken)
                destination_failed(dest, w->job, w->broken->dsn, w->broken->text, w->broken_public);
}

void await_smtp_deliver(struct delivery_job *job)
{
        struct work w;
        work_init(&w, job);
        await_kept_client(&w);
        if (!w.is_canceled)
                await_nexthops(&w, job->route->nexthop);
        if (!w.is_canceled)
                await_nexthops(&w, w.transport->params->smtp_fallback_relay);
        if (w.is_canceled)
                return;
        for (size_t i = 0; i < w.left_count; i++) {
                if (!w.pending[i].trouble)
                        note_trouble(&w, i, NULL,
                                     client_trouble_say(false, "4.4.4", STR("no host to try"),
                                                        job->arena));
                await_give_up_on(&w, i);
        }
        tell_destination(&w);
}
