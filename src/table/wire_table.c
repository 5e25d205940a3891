/* wire_table.c - what socketmap: and tcp: share: where the server is, and connections that are kept */
#include "table/wire_table.h"

#include "base/check.h"
#include "loop/pool.h"
#include "wire/wire.h"

#include <errno.h>
#include <netdb.h>
#include <stddef.h>
#include <sys/un.h>

enum { IDLE_MS = 10000, IDLE_MAX = 32 }; /* of one loop */

/* ---- where ---- */
int wire_place_parse_inet(struct wire_place *place, struct str text, struct why *why)
{
        ptrdiff_t colon = str_find_last(text, ':');
        struct str host = str_part(text, 0, colon < 0 ? 0 : (size_t)colon);
        struct str port = str_tail(text, (size_t)colon + 1);
        if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
                host = str_part(host, 1, host.len - 2);
        if (colon < 0 || host.len == 0 || port.len == 0 || host.len >= sizeof(place->host) ||
            port.len >= sizeof(place->port) || str_find(text, '\0') >= 0)
                return why_set(why, -EINVAL, "a server is written host:port");
        *place = (struct wire_place){.path = ""};
        snprintf(place->host, sizeof(place->host), "%.*s", STR_ARG(host));
        snprintf(place->port, sizeof(place->port), "%.*s", STR_ARG(port));
        snprintf(place->key, sizeof(place->key), "inet:%s:%s", place->host, place->port);
        return 0;
}

static int parse_unix(struct wire_place *place, struct str path, const struct table_text *of,
                      struct why *why)
{
        const struct config *c = table_set_config(of->set);
        struct str dir = c ? c->params.queue_directory : STR("");
        *place = (struct wire_place){.host = ""};
        bool is_relative = path.len && path.ptr[0] != '/' && dir.len;
        size_t len = path.len + (is_relative ? dir.len + 1 : 0);
        if (path.len == 0 || len > WIRE_TABLE_PATH_MAX || str_find(path, '\0') >= 0)
                return why_set(why, -EINVAL, "the path of a socket has 1 to %d bytes",
                               WIRE_TABLE_PATH_MAX);
        snprintf(place->path, sizeof(place->path), "%.*s%s%.*s", is_relative ? (int)dir.len : 0,
                 dir.ptr, is_relative ? "/" : "", STR_ARG(path));
        snprintf(place->key, sizeof(place->key), "unix:%s", place->path);
        return 0;
}

int wire_place_parse(struct wire_place *place, struct str text, const struct table_text *of,
                     struct why *why)
{
        if (str_starts(text, STR("unix:")))
                return parse_unix(place, str_tail(text, 5), of, why);
        if (str_starts(text, STR("inet:")))
                return wire_place_parse_inet(place, str_tail(text, 5), why);
        return why_set(why, -EINVAL, "a server is written inet:host:port or unix:path");
}

/* ---- connections that are kept ---- */
struct kept {
        struct list link;
        struct timer timer;
        struct loop *loop;
        struct wire *wire;
        char key[sizeof(((struct wire_place *)NULL)->key)];
};

/* Of this thread's loop; the longest unused is first. */
static __thread struct list kept_list;
static __thread size_t kept_count;

static struct wire *kept_take(struct kept *k)
{
        struct wire *w = k->wire;
        loop_timer_cancel(k->loop, &k->timer);
        list_remove(&k->link);
        kept_count--;
        free(k);
        return w;
}

static void kept_drop(struct kept *k)
{
        struct wire *w = kept_take(k);
        wire_free(&w);
}

static void kept_due(struct timer *timer)
{
        kept_drop(heap_of(timer, struct kept, timer));
}

static void keep(const struct wire_place *place, struct wire *w)
{
        if (!kept_list.next)
                list_init(&kept_list);
        if (kept_count >= IDLE_MAX)
                kept_drop(list_of(kept_list.next, struct kept, link));
        struct kept *k = calloc(1, sizeof(*k));
        check(k);
        k->loop = loop_self();
        k->wire = w;
        k->timer.due = kept_due;
        memcpy(k->key, place->key, sizeof(k->key));
        list_add_last(&kept_list, &k->link);
        kept_count++;
        loop_timer_set(k->loop, &k->timer, loop_now_ms() + IDLE_MS);
}

/* One that is still whole, or NULL. */
static struct wire *find_kept(const struct wire_place *place)
{
        if (!kept_list.next)
                return NULL;
        list_each (link, &kept_list) {
                struct kept *k = list_of(link, struct kept, link);
                if (strcmp(k->key, place->key) != 0)
                        continue;
                struct wire *w = kept_take(k);
                /* A server that speaks unasked is not where we left it. */
                if (!wire_is_broken(w) && !wire_poll_input(w))
                        return w;
                wire_free(&w);
        }
        return NULL;
}

void wire_table_close_idle(void)
{
        while (kept_list.next && !list_is_empty(&kept_list))
                kept_drop(list_of(kept_list.next, struct kept, link));
}

/* ---- connecting ---- */
struct search {
        const struct wire_place *place;
        struct addrinfo *found;
};

static int search(void *arg)
{
        struct search *s = arg;
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
        return getaddrinfo(s->place->host, s->place->port, &hints, &s->found);
}

/* Addresses that are written in digits need no pool. */
static int await_search(struct search *s)
{
        const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                       .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
        if (getaddrinfo(s->place->host, s->place->port, &hints, &s->found) == 0)
                return 0;
        if (!pool_is_started())
                return search(s);
        return await_pool_run_if_wanted("looking up", str_from(s->place->host), search, s);
}

static int await_connect_inet(const struct wire_place *place, int64_t deadline_ms, struct wire **w,
                              struct why *why)
{
        struct search s = {.place = place};
        int rc = await_search(&s);
        if (rc)
                return why_set(why, -EHOSTUNREACH, "%s: %s", place->key, gai_strerror(rc));
        rc = -EHOSTUNREACH;
        for (struct addrinfo *a = s.found; a && rc < 0 && rc != -ECANCELED; a = a->ai_next)
                rc = await_wire_connect(a->ai_addr, a->ai_addrlen, NULL, deadline_ms, w, why);
        freeaddrinfo(s.found);
        return rc;
}

static int await_connect(const struct wire_place *place, int64_t deadline_ms, struct wire **w,
                         struct why *why)
{
        int rc;
        if (place->path[0]) {
                struct sockaddr_un to = {.sun_family = AF_UNIX};
                memcpy(to.sun_path, place->path, strlen(place->path) + 1);
                rc = await_wire_connect((const struct sockaddr *)&to, sizeof(to), NULL, deadline_ms,
                                        w, why);
        } else {
                rc = await_connect_inet(place, deadline_ms, w, why);
        }
        if (rc < 0)
                why_set(why, rc, "%s: %s", place->key, why_errno(rc));
        return rc;
}

/* ---- asking ---- */
static int await_exchange(struct wire *w, struct str question, await_reply_read *await_read,
                          int64_t deadline_ms, struct server_reply *reply)
{
        int rc = wire_put(w, question);
        if (rc == 0)
                rc = await_wire_flush(w, deadline_ms);
        return rc == 0 ? await_read(w, deadline_ms, reply) : rc;
}

int await_wire_table_ask(const struct wire_place *place, struct str question,
                         await_reply_read *await_read, int64_t deadline_ms,
                         struct server_reply *reply)
{
        struct wire *w = find_kept(place);
        int rc = -EPIPE;
        if (w) {
                rc = await_exchange(w, question, await_read, deadline_ms, reply);
                if (rc)
                        wire_free(&w);
        }
        if (rc == -EPIPE || rc == -ECONNRESET) { /* nothing kept, or it has gone away */
                rc = await_connect(place, deadline_ms, &w, &reply->why);
                if (rc < 0) {
                        reply->outcome = SERVER_DOWN;
                        return rc;
                }
                rc = await_exchange(w, question, await_read, deadline_ms, reply);
                if (rc)
                        wire_free(&w);
        }
        if (rc == 0) {
                keep(place, w);
                return 0;
        }
        reply->outcome = SERVER_FAILED;
        if (rc == -EBADMSG || rc == -EMSGSIZE)
                return why_set(&reply->why, rc, "%s: the reply is %s", place->key,
                               rc == -EBADMSG ? "not understood" : "too long");
        return why_set(&reply->why, rc, "%s: %s", place->key, why_errno(rc));
}
