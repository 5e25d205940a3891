/*
 * service_ask.c - a policy server asked, over a connection that is kept
 *
 * Each loop keeps its own idle connections, by server. A kept one that fails says nothing about the server, which may have
 * closed it: the next is tried, and then a new one, at once. A new one that fails is tried again after retry_delay.
 */
#include "policy/service.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>

struct connection {
        struct list link;   /* in idle, while it is not used */
        struct timer timer; /* then it has idled enough */
        struct wire *wire;
        char *server;
        int64_t end_ms; /* max_ttl */
        int64_t requests;
};

/* The most lately used first: those behind it may grow old. */
static _Thread_local struct list idle;

static struct list *idle_list(void)
{
        if (!idle.next)
                list_init(&idle);
        return &idle;
}

static void connection_free(struct connection *c)
{
        if (loop_self())
                loop_timer_cancel(loop_self(), &c->timer);
        list_remove(&c->link);
        wire_free(&c->wire);
        free(c->server);
        free(c);
}

void policy_leave_loop(void)
{
        list_each (link, idle_list())
                connection_free(list_of(link, struct connection, link));
}

static void idle_is_over(struct timer *t)
{
        connection_free(list_of(t, struct connection, timer));
}

static bool is_of(const struct connection *c, const struct policy_service *service)
{
        return str_eq(str_from(c->server), service->endpoint.text);
}

/* One that is kept and still good; NULL: there is none. */
static struct connection *take_kept(const struct policy_service *service)
{
        list_each (link, idle_list()) {
                struct connection *c = list_of(link, struct connection, link);
                if (!is_of(c, service))
                        continue;
                bool is_used_up = service->request_limit && c->requests >= service->request_limit;
                /* a server that speaks unasked, or has hung up, is not to be talked to */
                if (is_used_up || c->end_ms <= loop_now_ms() || wire_poll_input(c->wire) ||
                    wire_is_broken(c->wire)) {
                        connection_free(c);
                        continue;
                }
                list_remove(&c->link);
                loop_timer_cancel(loop_self(), &c->timer);
                return c;
        }
        return NULL;
}

static void keep(struct connection *c, const struct policy_service *service)
{
        size_t count = 0;
        list_each (link, idle_list())
                count += is_of(list_of(link, struct connection, link), service);
        bool is_used_up = service->request_limit && c->requests >= service->request_limit;
        if (count >= SERVICE_IDLE_MAX || is_used_up || wire_has_input(c->wire)) {
                connection_free(c);
                return;
        }
        list_add_first(idle_list(), &c->link);
        loop_timer_set(loop_self(), &c->timer, loop_now_ms() + service->max_idle_ms);
}

static int await_connection(const struct policy_service *service, struct connection **out,
                            struct why *why)
{
        struct wire *wire;
        int rc = await_endpoint_connect(&service->endpoint, loop_now_ms() + service->timeout_ms,
                                        &wire, why);
        if (rc < 0)
                return rc;
        struct connection *c = calloc(1, sizeof(*c));
        check(c);
        list_init(&c->link);
        c->timer.due = idle_is_over;
        c->wire = wire;
        c->server = strndup(service->endpoint.text.ptr, service->endpoint.text.len);
        check(c->server);
        c->end_ms = loop_now_ms() + service->max_ttl_ms;
        *out = c;
        return 0;
}

static int await_exchange(struct connection *c, const struct policy_service *service,
                          struct str request, struct arena *arena, struct str *action,
                          struct why *why)
{
        struct policy_reply reply = {.lines = 0};
        int64_t deadline_ms = loop_now_ms() + service->timeout_ms;
        struct wire_line line;
        c->requests++;
        int rc = wire_put(c->wire, request);
        for (;;) {
                if (!rc)
                        rc = await_wire_line(c->wire, SERVICE_LINE_BYTES_MAX, deadline_ms, &line);
                if (rc < 0)
                        return why_set(why, rc, "%.*s: %s", STR_ARG(service->endpoint.text),
                                       rc == -EMSGSIZE ? "a line of the reply is too long"
                                       : rc == -EPIPE  ? "the server hung up"
                                                       : why_errno(rc));
                switch (policy_reply_line(&reply, line.text, arena, why)) {
                case POLICY_REPLY_MORE:
                        break;
                case POLICY_REPLY_DONE:
                        *action = reply.action;
                        return 0;
                case POLICY_REPLY_BAD:
                        return why_prefix(why, -EPROTO, "%.*s", STR_ARG(service->endpoint.text));
                }
        }
}

/* Kept connections one after the other, until one answers. -ENOTCONN: none did. */
static int await_kept(const struct policy_service *service, struct str request, struct arena *arena,
                      struct str *action, struct why *why)
{
        struct connection *c;
        while ((c = take_kept(service))) {
                int rc = await_exchange(c, service, request, arena, action, why);
                if (rc == 0) {
                        keep(c, service);
                        return 0;
                }
                connection_free(c);
                if (rc == -ETIMEDOUT || rc == -ECANCELED)
                        return rc;
        }
        return -ENOTCONN;
}

int await_policy_service(const struct policy_service *service, struct str request,
                         struct arena *arena, struct str *action, struct why *why)
{
        int rc = await_kept(service, request, arena, action, why);
        if (rc == 0 || rc == -ECANCELED)
                return rc;
        for (int64_t tries = rc == -ETIMEDOUT; tries < service->try_limit; tries++) {
                struct connection *c;
                if (tries > 0 && await_sleep(service->retry_delay_ms) == -ECANCELED)
                        return why_set(why, -ECANCELED, "%s", why_errno(-ECANCELED));
                rc = await_connection(service, &c, why);
                if (rc < 0)
                        continue;
                rc = await_exchange(c, service, request, arena, action, why);
                if (rc == 0) {
                        keep(c, service);
                        return 0;
                }
                connection_free(c);
                if (rc == -ECANCELED)
                        return rc;
        }
        return rc;
}
