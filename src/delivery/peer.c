/* peer.c - a scripted server for tests */
#include "delivery/peer.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <unistd.h>

enum { PATIENCE_MS = 100000, LINE_MAX_BYTES = 8192 };

struct connection {
        struct list link;
        struct peer *peer;
        struct wire *wire;
        int fd;
        const char *script;
        struct task *task;
};

static int64_t patience(void)
{
        return loop_now_ms() + PATIENCE_MS;
}

static int await_hear(struct connection *c, struct str *line)
{
        struct wire_line l;
        int rc = await_wire_line(c->wire, LINE_MAX_BYTES, patience(), &l);
        if (rc == 0) {
                *line = l.text;
                buf_append_str(&c->peer->heard, l.text);
                buf_append_char(&c->peer->heard, '\n');
        }
        return rc;
}

static int await_data(struct connection *c)
{
        struct wire_line l;
        int rc;
        while ((rc = await_wire_line(c->wire, LINE_MAX_BYTES, patience(), &l)) == 0) {
                if (str_eq(l.text, STR(".")))
                        break;
                if (l.text.len && l.text.ptr[0] == '.')
                        l.text = str_tail(l.text, 1);
                buf_append_str(&c->peer->contents, l.text);
                buf_append_str(&c->peer->contents, STR("\r\n"));
        }
        c->peer->message_count += rc == 0;
        return rc;
}

static int say(struct connection *c, const char *text)
{
        wire_put(c->wire, str_from(text));
        return wire_put(c->wire, STR("\r\n"));
}

static int await_serve(struct connection *c, int64_t delay_ms)
{
        struct str line;
        int rc = 0;
        while (c->peer->is_held && rc == 0)
                rc = await_sleep(1);
        say(c, "220 peer.test ESMTP");
        while (rc == 0 && (rc = await_hear(c, &line)) == 0) {
                if (str_starts_nocase(line, STR("EHLO")))
                        say(c,
                            "250-peer.test\r\n250-PIPELINING\r\n250-SIZE 1000000\r\n250-8BITMIME\r\n"
                            "250-SMTPUTF8\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES");
                else if (str_starts_nocase(line, STR("DATA"))) {
                        say(c, "354 go");
                        rc = await_data(c);
                        if (rc == 0 && delay_ms)
                                rc = await_sleep(delay_ms);
                        say(c, "250 2.0.0 Ok: queued");
                } else if (str_starts_nocase(line, STR("QUIT"))) {
                        say(c, "221 2.0.0 Bye");
                        return -EPIPE;
                } else {
                        say(c, "250 2.1.0 Ok");
                }
        }
        return rc;
}

/* Content ends where a piece ends in a dot on its own line: good enough for a sender that waits. */
static int await_sink(struct connection *c)
{
        struct str line;
        struct str bytes;
        struct wire_line l;
        int rc = 0;
        say(c, "220 peer.test ESMTP");
        while ((rc = await_wire_line(c->wire, LINE_MAX_BYTES, CLOCK_NEVER, &l)) == 0) {
                line = l.text;
                if (str_starts(line, STR("EHLO"))) {
                        say(c, "250-peer.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES");
                } else if (str_starts(line, STR("DATA"))) {
                        say(c, "354 go");
                        do {
                                rc = await_wire_bytes(c->wire, CLOCK_NEVER, &bytes);
                                bool is_end = rc == 0 && str_ends(bytes, STR("\r\n.\r\n"));
                                if (rc == 0)
                                        wire_consume(c->wire, bytes.len);
                                if (is_end)
                                        break;
                        } while (rc == 0);
                        say(c, "250 2.0.0 Ok: queued as 4jXSSG12msz2");
                } else {
                        say(c, "250 2.1.0 Ok");
                }
        }
        return rc;
}

static int await_flood(struct connection *c)
{
        int rc = 0;
        while (rc == 0) {
                for (int i = 0; i < 100; i++)
                        say(c, "250-and more");
                rc = await_wire_flush(c->wire, patience());
        }
        return rc;
}

static int await_hang(struct connection *c)
{
        struct str bytes;
        int rc;
        while ((rc = await_wire_bytes(c->wire, patience(), &bytes)) == 0)
                wire_consume(c->wire, bytes.len);
        return rc;
}

static int await_some(struct connection *c, int64_t left)
{
        struct str bytes;
        while (left > 0) {
                int rc = await_wire_bytes(c->wire, patience(), &bytes);
                if (rc < 0)
                        return rc;
                left -= (int64_t)bytes.len;
                wire_consume(c->wire, bytes.len);
        }
        return 0;
}

static int reset(struct connection *c)
{
        struct linger now = {.l_onoff = 1};
        await_wire_flush(c->wire, patience());
        setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
        /* wire_free() says farewell first; a reset does not */
        struct sockaddr none = {.sa_family = AF_UNSPEC};
        connect(c->fd, &none, sizeof(none));
        return -ECONNRESET;
}

static int await_special(struct connection *c, struct str line)
{
        struct str argument = line;
        struct str word = str_cut(&argument, ' ');
        struct why why;
        int64_t ms = 0;
        if (argument.len)
                check(str_to_int64(argument, 0, INT64_MAX, &ms) == 0);
        if (str_eq(word, STR("@data")))
                return await_data(c);
        if (str_eq(word, STR("@some")))
                return await_some(c, ms);
        if (str_eq(word, STR("@serve")))
                return await_serve(c, ms);
        if (str_eq(word, STR("@sink")))
                return await_sink(c);
        if (str_eq(word, STR("@flood")))
                return await_flood(c);
        if (str_eq(word, STR("@hang")))
                return await_hang(c);
        if (str_eq(word, STR("@reset")))
                return reset(c);
        if (str_eq(word, STR("@half"))) {
                await_wire_flush(c->wire, patience());
                return shutdown(c->fd, SHUT_WR);
        }
        if (str_eq(word, STR("@tls"))) {
                await_wire_flush(c->wire, patience());
                return await_wire_tls_accept(c->wire, c->peer->tls, patience(), &why);
        }
        if (str_eq(word, STR("@long"))) {
                static char a[10001];
                memset(a, 'a', sizeof(a) - 1);
                return say(c, a);
        }
        check(str_eq(word, STR("@wait")));
        await_wire_flush(c->wire, patience());
        return await_sleep(ms);
}

static int await_line(struct connection *c, struct str line)
{
        struct str heard;
        struct str text = str_tail(line, 1);
        if (line.len == 0)
                return 0;
        if (line.ptr[0] == '>') {
                wire_put(c->wire, text);
                return wire_put(c->wire, STR("\r\n"));
        }
        if (line.ptr[0] == '@')
                return await_special(c, line);
        check(line.ptr[0] == '<');
        int rc = await_hear(c, &heard);
        if (rc == 0 && !str_starts(heard, text)) {
                buf_printf(&c->peer->wrong, "wanted <%.*s> and heard <%.*s>\n", STR_ARG(text),
                           STR_ARG(heard));
                return -EBADMSG;
        }
        return rc;
}

static void connection_main(void *arg)
{
        struct connection *c = arg;
        struct peer *p = c->peer;
        struct str script = str_from(c->script);
        c->wire = wire_new(p->loop, c->fd);
        while (script.len && await_line(c, str_cut(&script, '\n')) == 0)
                ;
        wire_free(&c->wire);
        list_remove(&c->link);
        free(c);
        if (p->stopper)
                task_wake(p->stopper);
}

static void accept_ready(struct watch *w, uint32_t events)
{
        struct peer *p = list_of(w, struct peer, watch);
        for (;;) {
                int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0)
                        return;
                struct connection *c = calloc(1, sizeof(*c));
                size_t at = p->connection_count++;
                c->peer = p;
                c->fd = fd;
                c->script = p->scripts[at < p->script_count ? at : p->script_count - 1];
                list_add_last(&p->connections, &c->link);
                c->task = task_start(p->loop, connection_main, c);
        }
}

void peer_start(struct peer *p, struct loop *l, const char *const *scripts, size_t count)
{
        struct sockaddr_in a = {.sin_family = AF_INET}; /* all of 127/8: several hosts */
        socklen_t len = sizeof(a);
        *p = (struct peer){.loop = l, .scripts = scripts, .script_count = count};
        list_init(&p->connections);
        buf_init(&p->contents, 64 << 20);
        buf_init(&p->heard, 64 << 20);
        buf_init(&p->wrong, 1 << 20);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        check(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && listen(fd, 128) == 0);
        check(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
        p->port = ntohs(a.sin_port);
        p->watch = (struct watch){.fd = fd, .ready = accept_ready};
        check(loop_watch_add(l, &p->watch, EPOLLIN) == 0);
}

void await_peer_stop(struct peer *p)
{
        loop_watch_remove(p->loop, &p->watch);
        close(p->watch.fd);
        p->stopper = task_self();
        list_each (link, &p->connections) {
                task_cancel(list_of(link, struct connection, link)->task);
        }
        while (!list_is_empty(&p->connections))
                await_wake_always("waiting for", STR("the peer"), CLOCK_NEVER);
        tls_context_unref(&p->tls);
        buf_done(&p->contents);
        buf_done(&p->heard);
        buf_done(&p->wrong);
}
