/* rig.c - delivery put together for tests */
#include "delivery/rig.h"

#include "base/check.h"
#include "base/log.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longer than a busy machine makes anything take that must come. */
enum { TIMEOUT_MS = 60000, IDLE_MS = 2000 };

static struct rig *running; /* for the agent, which gets no context */

static void await_catch(struct delivery_job *job)
{
        struct rig *r = running;
        struct spool_reader reader;
        struct str piece;
        struct why why;
        for (size_t i = 0; i < job->recipient_count; i++)
                buf_printf(&r->caught, "<%.*s>\n",
                           STR_ARG(job->envelope->recipients[job->recipients[i]].address));
        spool_reader_init(&reader, job->message);
        while (await_spool_reader_next(&reader, &piece, &why) == 0 && piece.len)
                buf_append_str(&r->caught, piece);
        spool_reader_done(&reader);
        r->caught_count++;
        struct delivery_result result = {.status = DELIVERY_SENT,
                                         .dsn = "2.0.0",
                                         .relay = STR("virtual"),
                                         .text = STR("caught")};
        attempt_job_result_all(job, &result);
}

void rig_write(struct rig *r, const char *name, const char *text)
{
        char path[200];
        snprintf(path, sizeof(path), "%s/%s", r->dir, name);
        FILE *f = fopen(path, "w");
        check(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

/*
 * PEER and OTHER are two hosts with one server; CERTIFICATE is its file, FINGERPRINT its SHA-256; STRANGER is
 * the file of a certificate that has nothing to do with it.
 */
static void put_with_peers(struct buf *out, struct str text, const struct rig *r)
{
        while (text.len) {
                uint16_t port = r->peer.port;
                if (str_starts(text, STR("CERTIFICATE"))) {
                        buf_append_str(out, str_from(r->files.cert));
                        text = str_tail(text, 11);
                } else if (str_starts(text, STR("FINGERPRINT"))) {
                        buf_append_str(out, str_from(r->files.fingerprint));
                        text = str_tail(text, 11);
                } else if (str_starts(text, STR("STRANGER"))) {
                        buf_append_str(out, str_from(r->files.named_cert));
                        text = str_tail(text, 8);
                } else if (str_starts(text, STR("PEER"))) {
                        buf_printf(out, "[127.0.0.1]:%u", port);
                        text = str_tail(text, 4);
                } else if (str_starts(text, STR("OTHER"))) {
                        buf_printf(out, "[127.0.0.2]:%u", port);
                        text = str_tail(text, 5);
                } else {
                        buf_append_char(out, text.ptr[0]);
                        text = str_tail(text, 1);
                }
        }
}

/* Writes main.cf with the peer's address put in. */
static void write_main_cf(struct rig *r)
{
        static const char standard[] =
                "compatibility_level = 3.6\n"
                "myhostname = me.test\n"
                "myorigin = me.test\n"
                "mydestination = local.test\n"
                "local_recipient_maps =\n"
                "relay_domains = relay.test\n"
                "virtual_alias_domains = alias.test\n"
                "virtual_mailbox_domains = box.test\n"
                "transport_maps = inline:{ { dest.test = smtp:PEER } { relay.test = relay:PEER }"
                " { sender.test = virtual: } { nowhere.test = smtp:[127.0.0.1]:1 }"
                " { hidden.test = relay:[127.0.0.1]:1 }"
                " { both.test = smtp:[127.0.0.1]:1, PEER } { gone.test = error:5.1.6 it has gone }"
                " { later.test = retry:4.2.1 not today } { null.test = discard: } }\n";
        struct buf out;
        buf_init(&out, 1 << 20);
        put_with_peers(&out, str_from(standard), r);
        put_with_peers(&out, str_from(r->settings), r);
        buf_append_char(&out, '\0');
        rig_write(r, "main.cf", out.ptr);
        buf_done(&out);
        rig_write(r, "master.cf", r->master ? r->master : "smtp inet n - n - - smtpd\n");
}

static void shorten(struct params *p, int ms)
{
        p->smtp_connect_timeout = p->smtp_helo_timeout = p->smtp_starttls_timeout = ms;
        p->smtp_mail_timeout = p->smtp_rcpt_timeout = p->smtp_data_init_timeout = ms;
        p->smtp_data_xfer_timeout = p->smtp_data_done_timeout = p->smtp_rset_timeout = ms;
        p->smtp_connection_cache_time_limit = IDLE_MS;
}

static void load(struct rig *r)
{
        write_main_cf(r);
        r->config = config_load(r->dir, NULL, &r->findings);
        check(r->config);
        for (size_t i = 0; i < r->config->service_count; i++)
                shorten(&r->config->services[i].params, r->timeout_ms ? r->timeout_ms : TIMEOUT_MS);
        r->tables = table_set_new(r->dir);
        r->policy = policy_new(r->config, &r->config->params, r->tables, NULL, &r->findings);
        r->routes = routes_new(r->config, r->tables, r->policy, &r->findings);
}

static void peer_use_tls(struct rig *r)
{
        struct why why;
        check(tls_fixture_make(&r->files) == 0);
        struct tls_options options = {.is_server = true,
                                      .chain_file = str_from(r->files.cert),
                                      .key_file = str_from(r->files.key),
                                      .protocols = STR(">=TLSv1.2")};
        r->peer.tls = tls_context_new(&options, &why);
        check(r->peer.tls);
}

static void await_all(struct kit *k)
{
        struct rig *r = list_of(k, struct rig, kit);
        peer_start(&r->peer, k->loop, r->scripts, r->script_count);
        if (r->outer_port)
                r->peer.port = r->outer_port;
        for (size_t i = 0; i < r->script_count; i++)
                if (!r->peer.tls && strstr(r->scripts[i], "@tls"))
                        peer_use_tls(r);
        load(r);
        r->delivery =
                delivery_start(k->loop, k->spool, r->routes, r->loop_count ? r->loop_count : 1);
        r->test(r);
        int64_t deadline_ms = loop_now_ms() + 30000;
        if (r->delivery)
                await_delivery_stop(&r->delivery, deadline_ms);
        check(loop_now_ms() < deadline_ms); /* nobody had to be told twice */
        if (r->peer.wrong.len)
                fail_msg("the peer: %.*s", STR_ARG(buf_str(&r->peer.wrong)));
        await_peer_stop(&r->peer);
}

static void read_log(struct rig *r)
{
        char path[200];
        char chunk[4096];
        size_t n;
        snprintf(path, sizeof(path), "%s/log", r->dir);
        FILE *f = fopen(path, "r");
        check(f);
        while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
                buf_append(&r->log, chunk, n);
        fclose(f);
}

static void open_log(struct rig *r)
{
        char path[200];
        struct why why;
        snprintf(path, sizeof(path), "%s/log", r->dir);
        struct log_options options = {
                .target = LOG_TO_FILE, .path = path, .name = "forepost", .hostname = "me"};
        check(log_open(&options, &why) == 0);
}

void rig_run(struct rig *r, const char *settings, const char *const *scripts, size_t script_count,
             void (*await_test)(struct rig *r))
{
        struct why why;
        static bool is_registered;
        if (!is_registered) {
                delivery_agent_register("virtual", await_catch);
                is_registered = true;
        }
        snprintf(r->dir, sizeof(r->dir), "/tmp/forepost-delivery-XXXXXX");
        check(mkdtemp(r->dir));
        r->settings = settings;
        r->scripts = scripts;
        r->script_count = script_count;
        r->test = await_test;
        findings_init(&r->findings);
        buf_init(&r->caught, 64 << 20);
        buf_init(&r->log, 64 << 20);
        kit_init(&r->kit, NULL);
        open_log(r);
        running = r;
        if (kit_open(&r->kit, &why) < 0)
                fail_msg("no spool: %s", why.text);
        kit_run(&r->kit, await_all);
        kit_close(&r->kit);
        running = NULL;
        read_log(r);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void rig_done(struct rig *r)
{
        struct why why;
        struct log_options options = {
                .target = LOG_TO_STDERR, .name = "forepost", .hostname = "me"};
        log_open(&options, &why);
        routes_unref(&r->routes);
        policy_unref(&r->policy);
        table_set_free(&r->tables);
        config_unref(&r->config);
        findings_done(&r->findings);
        buf_done(&r->caught);
        buf_done(&r->log);
        if (r->files.dir[0])
                tls_fixture_remove(&r->files);
        kit_done(&r->kit);
        nftw(r->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void await_rig_send(struct rig *r, const struct envelope *e, struct str content,
                    char id[QUEUE_ID_BYTES_MAX])
{
        struct why why;
        struct spool_draft *draft = spool_draft_new(r->kit.spool);
        if (id)
                snprintf(id, QUEUE_ID_BYTES_MAX, "%s", spool_draft_id(draft));
        while (content.len) {
                struct str part = str_part(content, 0, 64 << 10);
                content = str_tail(content, part.len);
                check(buf_append_str(spool_draft_buf(draft), part) == 0);
                check(await_spool_draft_settle(draft, &why) == 0);
        }
        if (await_spool_commit(&draft, e, 0, &why) < 0)
                fail_msg("not committed: %s", why.text);
}

void await_rig_mail(struct rig *r, const char *from, const char *to)
{
        struct recipient list[200] = {0};
        struct envelope e = {.sender = str_from(from),
                             .recipients = list,
                             .arrival_us = clock_wall_us(),
                             .protocol = STR("ESMTP")};
        struct str rest = str_from(to);
        struct str word;
        while (str_next_word(&rest, " ", &word)) {
                check(e.recipient_count < 200);
                list[e.recipient_count++] = (struct recipient){.address = word, .original = word};
        }
        await_rig_send(r, &e, STR("Subject: a test\r\n\r\nHello\r\n.dot\r\n"), NULL);
}

void await_rig_quiet(struct rig *r)
{
        int still = 0;
        for (int i = 0; i < 20000 && still < 4; i++) {
                struct delivery_counts counts;
                check(await_sleep(5) == 0);
                delivery_count(r->delivery, &counts);
                still = counts.messages + counts.waiting == 0 ? still + 1 : 0;
        }
        check(still);
}

static size_t count(const struct buf *b, const char *text)
{
        struct str rest = buf_str(b);
        struct str needle = str_from(text);
        ptrdiff_t at;
        size_t n = 0;
        while ((at = str_find_str(rest, needle)) >= 0) {
                rest = str_tail(rest, (size_t)at + needle.len);
                n++;
        }
        return n;
}

bool rig_log_has(const struct rig *r, const char *text)
{
        return count(&r->log, text) > 0;
}

bool rig_caught_has(const struct rig *r, const char *text)
{
        return count(&r->caught, text) > 0;
}

size_t rig_log_count(const struct rig *r, const char *text)
{
        return count(&r->log, text);
}
