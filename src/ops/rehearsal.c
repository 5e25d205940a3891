/*
 * rehearsal.c - a made-up session through the real code
 *
 * Two tasks on one loop: the session's own, behind a listener on a loopback port, and the client's. The client sends what a
 * well-behaved one would, goes on after refused recipients, and ends where nothing is left to do.
 */
#include "ops/rehearsal.h"

#include "base/check.h"
#include "base/clock.h"
#include "core/core.h"
#include "loop/pool.h"
#include "ops/verifier.h"
#include "smtp/reply.h"
#include "wire/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

enum { POOL_THREADS = 4, STEP_MS = 120 * 1000, STOP_MS = 5000, LINE_BYTES_MAX = 8192 };

struct rehearsal {
        struct config *config;
        size_t service; /* in config->services */
        struct site *site;
        struct spool *spool;
        struct verify *verify;
        struct delivery *delivery; /* for probes alone, while a session is held */
        struct loop *loop;
        struct front_door *door;
        struct tls_context *tls;
        char dir[64];
        bool has_pool;
        bool is_offline;

        /* the session under way */
        const struct rehearsal_client *client;
        rehearsal_hear *hear;
        void *hear_context;
        uint16_t port;
        int listening;
        struct listener *listener;
        struct wire *wire;
        struct smtp_reply_reader reader;
        int result;
        struct why *why;
};

/* ---- the stage ---- */

static void hear(void *context, const struct session_judged *judged)
{
        struct rehearsal *r = context;
        if (!r->hear)
                return;
        struct buf record;
        buf_init(&record, EXPLANATION_BYTES_MAX);
        explanation_write(&record, judged, clock_wall_us());
        r->hear(r->hear_context, buf_str(&record));
        buf_done(&record);
}

/* What belongs to a real network and not to the question. */
static void prepare(struct params *p)
{
        p->smtpd_upstream_proxy_protocol = p->postscreen_upstream_proxy_protocol = 1; /* haproxy */
        p->smtpd_upstream_proxy_networks = STR("127.0.0.0/8");
        p->smtpd_error_sleep_time = 0;
        p->smtpd_client_connection_count_limit = p->smtpd_client_connection_rate_limit = 0;
        p->smtpd_client_message_rate_limit = p->smtpd_client_recipient_rate_limit = 0;
        p->smtpd_client_new_tls_session_rate_limit = 0;
        p->network_connection_count_limit = p->network_connection_rate_limit = 0;
        p->postscreen_greet_wait = 0;
        p->smtpd_hard_error_limit = 1000;
        p->refusal_code = false;
}

static bool find_service(struct rehearsal *r, struct str name)
{
        for (size_t i = 0; i < r->config->service_count; i++) {
                const struct service *s = &r->config->services[i];
                if (s->is_inet && (name.len == 0 || str_eq(s->name, name))) {
                        r->service = i;
                        return true;
                }
        }
        return false;
}

static int open_spool(struct rehearsal *r, struct why *why)
{
        const struct params *p = &r->config->params;
        snprintf(r->dir, sizeof(r->dir), "/tmp/forepost-rehearsal-XXXXXX");
        if (!mkdtemp(r->dir)) {
                int error = errno;
                r->dir[0] = 0;
                return why_set(why, -error, "cannot make a directory in /tmp: %s",
                               why_errno(error));
        }
        const struct spool_options options = {
                .directory = str_from(r->dir),
                .loops = &r->loop,
                .loop_count = 1,
                .segment_bytes = p->spool_segment_size,
                .large_bytes = p->large_message_threshold,
                .hot_bytes_max = p->spool_memory_limit,
        };
        return spool_open(&options, &r->spool, why);
}

/* What the server knows of addresses is read, and probes are made as it would make them; what they show is forgotten. */
static void open_verify(struct rehearsal *r)
{
        static bool is_registered;
        if (!is_registered)
                core_register();
        is_registered = true;
        core_mailboxes_use(r->site->mailboxes);
        r->verify = verifier_new(r->config);
}

static void open_service(struct rehearsal *r)
{
        const struct site_hearing hearing = {.hear = hear,
                                             .context = r,
                                             .hears_all = true,
                                             .is_rehearsal = true,
                                             .is_offline = r->is_offline};
        site_open(r->site, r->spool, r->verify, NULL, NULL, &hearing);
}

static int open_all(struct rehearsal *r, struct dns *dns, struct findings *findings,
                    struct why *why)
{
        struct keys keys;
        keys_make(&keys, r->config, NULL, findings);
        r->site = site_new_with_dns(r->config, &keys, dns, findings);
        if (findings_has_errors(findings))
                return why_set(why, -EINVAL, "the configuration has errors: see forepost check");
        r->loop = loop_new(why);
        if (!r->loop)
                return -ENOMEM;
        int rc = pool_start(POOL_THREADS, why);
        r->has_pool = rc == 0;
        if (rc == 0)
                rc = open_spool(r, why);
        const struct tls_options options = {.protocols = STR(">=TLSv1.2")};
        if (rc == 0 && !(r->tls = tls_context_new(&options, why)))
                rc = -EINVAL;
        if (rc < 0)
                return rc;
        r->door = front_door_new();
        if (!r->is_offline)
                open_verify(r);
        open_service(r);
        return 0;
}

struct rehearsal *rehearsal_new(const struct rehearsal_options *options, struct findings *findings,
                                struct why *why)
{
        struct str service = options->service;
        struct rehearsal *r = calloc(1, sizeof(*r));
        check(r);
        r->listening = -1;
        r->is_offline = options->is_offline;
        r->config = config_load(options->dir, options->overrides, findings);
        int rc = 0;
        if (!r->config)
                rc = why_set(why, -ENOENT, "the configuration cannot be read");
        else if (!find_service(r, service))
                rc = why_set(why, -ENOENT, "master.cf has no smtpd%s%.*s",
                             service.len ? " called " : "", STR_ARG(service));
        if (rc == 0) {
                prepare(&r->config->services[r->service].params);
                rc = open_all(r, options->dns, findings, why);
        }
        if (rc < 0)
                rehearsal_free(&r);
        return r;
}

static int remove_one(const char *path, const struct stat *s, int kind, struct FTW *walk)
{
        return remove(path);
}

void rehearsal_free(struct rehearsal **rp)
{
        struct rehearsal *r = *rp;
        *rp = NULL;
        if (!r)
                return;
        core_mailboxes_use(NULL);
        if (r->spool)
                spool_close(&r->spool);
        if (r->has_pool)
                pool_stop();
        if (r->site)
                site_unref(&r->site);
        if (r->door)
                front_door_free(&r->door);
        if (r->loop)
                loop_free(&r->loop);
        verify_free(&r->verify);
        tls_context_unref(&r->tls);
        if (r->config)
                config_unref(&r->config);
        if (r->dir[0])
                nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(r);
}

/* ---- the client ---- */

static int64_t soon(void)
{
        return loop_now_ms() + STEP_MS;
}

/* The next reply's code, or an error. */
static int await_reply(struct rehearsal *r)
{
        struct wire_line line;
        int rc;
        do {
                rc = await_wire_line(r->wire, LINE_BYTES_MAX, soon(), &line);
                if (rc == 0)
                        rc = smtp_reply_reader_feed(&r->reader, line.text);
        } while (rc == 0);
        return rc < 0 ? rc : r->reader.code;
}

/* A line that may hold what the administrator wrote, but no line end. */
static int await_say(struct rehearsal *r, const char *command, struct str value, const char *end)
{
        if (str_find(value, '\r') >= 0 || str_find(value, '\n') >= 0)
                return -EINVAL;
        wire_put(r->wire, str_from(command));
        wire_put(r->wire, value);
        wire_put(r->wire, str_from(end));
        wire_put(r->wire, STR("\r\n"));
        return await_reply(r);
}

static int await_tls(struct rehearsal *r)
{
        const struct tls_request request = {0};
        return await_wire_tls_connect(r->wire, r->tls, &request, soon(), r->why);
}

/* The text with its dots, and the final one. */
static int await_message(struct rehearsal *r)
{
        struct str rest = r->client->message;
        while (rest.len) {
                struct str line = str_cut(&rest, '\n');
                if (str_ends(line, STR("\r")))
                        line.len--;
                if (str_starts(line, STR(".")))
                        wire_put(r->wire, STR("."));
                wire_put(r->wire, line);
                wire_put(r->wire, STR("\r\n"));
                int rc = wire_out(r->wire)->len > 32768 ? await_wire_flush(r->wire, soon()) : 0;
                if (rc < 0)
                        return rc;
        }
        wire_put(r->wire, STR(".\r\n"));
        return await_reply(r);
}

/* From the greeting to the end; an error only when the conversation broke. */
static int await_dialogue(struct rehearsal *r)
{
        const struct rehearsal_client *c = r->client;
        struct str helo = c->helo.len ? c->helo : STR("client.invalid");
        int code = await_reply(r);
        if (code / 100 != 2)
                return code;
        code = await_say(r, "EHLO ", helo, "");
        if (code / 100 == 2 && c->wants_tls && !wire_has_tls(r->wire)) {
                code = await_say(r, "STARTTLS", STR(""), "");
                if (code == 220)
                        code = await_tls(r) < 0 ? -EPROTO : await_say(r, "EHLO ", helo, "");
        }
        if (code / 100 != 2 || !c->has_sender)
                return code;
        code = await_say(r, "MAIL FROM:<", c->sender, ">");
        if (code / 100 != 2)
                return code;
        bool has_recipient = false;
        for (size_t i = 0; i < c->recipient_count && code > 0 && code != 421 && code != 521; i++) {
                code = await_say(r, "RCPT TO:<", c->recipients[i], ">");
                has_recipient = has_recipient || code / 100 == 2;
        }
        if (!has_recipient || !c->has_message)
                return code;
        code = await_say(r, "DATA", STR(""), "");
        return code == 354 ? await_message(r) : code;
}

static int await_connect(struct rehearsal *r)
{
        struct sockaddr_in to = {.sin_family = AF_INET,
                                 .sin_port = htons(r->port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        const struct service *service = &r->config->services[r->service];
        int rc = await_wire_connect((struct sockaddr *)&to, sizeof(to), NULL, soon(), &r->wire,
                                    r->why);
        if (rc < 0)
                return rc;
        bool is_v6 = str_find(r->client->address, ':') >= 0;
        char line[256];
        snprintf(line, sizeof(line), "PROXY %s %.*s %s %u 25\r\n", is_v6 ? "TCP6" : "TCP4",
                 STR_ARG(r->client->address), is_v6 ? "::1" : "127.0.0.1",
                 r->client->port ? r->client->port : 49152);
        wire_put(r->wire, str_from(line));
        rc = await_wire_flush(r->wire, soon());
        if (rc == 0 && service->params.smtpd_tls_wrappermode && r->site->keys.tls[r->service])
                rc = await_tls(r);
        return rc;
}

static void await_client(void *arg)
{
        struct rehearsal *r = arg;
        smtp_reply_reader_init(&r->reader);
        r->result = await_connect(r);
        if (r->result == 0)
                r->result = await_dialogue(r);
        if (r->result < 0 && r->result != -EPROTO)
                why_set(r->why, r->result, "the session broke: %s", why_errno(r->result));
        if (r->wire && r->result > 0) {
                wire_put(r->wire, STR("QUIT\r\n"));
                await_wire_flush(r->wire, soon());
        }
        wire_free(&r->wire);
        smtp_reply_reader_done(&r->reader);
        await_listener_stop(&r->listener, loop_now_ms() + STOP_MS);
        if (r->delivery)
                await_delivery_stop(&r->delivery, loop_now_ms());
        loop_stop(r->loop);
}

static int listen_somewhere(struct rehearsal *r, struct why *why)
{
        struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(at);
        r->listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (r->listening < 0 || bind(r->listening, (struct sockaddr *)&at, sizeof(at)) < 0 ||
            listen(r->listening, 1) < 0 ||
            getsockname(r->listening, (struct sockaddr *)&at, &len) < 0) {
                int error = errno;
                if (r->listening >= 0)
                        close(r->listening);
                r->listening = -1;
                return why_set(why, -error, "cannot listen on loopback: %s", why_errno(error));
        }
        r->port = ntohs(at.sin_port);
        return 0;
}

int rehearsal_hold(struct rehearsal *r, const struct rehearsal_client *client,
                   rehearsal_hear *hear_one, void *context, struct why *why)
{
        int rc = listen_somewhere(r, why);
        if (rc < 0)
                return rc;
        r->client = client;
        r->hear = hear_one;
        r->hear_context = context;
        r->why = why;
        r->listener = listener_start(r->loop, r->listening, r->site->services[r->service].session,
                                     r->door);
        r->listening = -1; /* the listener's now */
        if (r->verify) {
                r->delivery = delivery_start(r->loop, NULL, r->site->routes, 1);
                delivery_serve_probes(r->delivery, r->verify, r->site->cleanup);
        }
        task_start(r->loop, await_client, r);
        loop_run(r->loop);
        r->hear = NULL;
        return r->result < 0 ? r->result : 0;
}
