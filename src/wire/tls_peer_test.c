/* tls_peer_test.c - what each side learns of the other: certificates, names, SNI, sessions that go on */
#include "wire/tls.h"

#include "base/unit.h"
#include "wire/tls_fixture.h"
#include "wire/wire.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct tls_fixture files;

/* One handshake and one line from the server, which brings TLS 1.3's ticket. */
struct meeting {
        struct tls_context *server, *client;
        struct tls_request request;
        struct str digest;
        struct str names[4]; /* asked of the server's certificate */
        bool is_named[4];
        bool star_is_many;
        struct tls_peer of_server, of_client; /* what the other side saw */
        struct loop *loop;
        int fds[2];
        int left;
};

static int64_t soon(void)
{
        return loop_now_ms() + 60000;
}

static void end_one(struct meeting *m)
{
        if (--m->left == 0)
                loop_stop(m->loop);
}

static void serve(void *arg)
{
        struct meeting *m = arg;
        struct why why;
        struct wire_line line;
        struct wire *w = wire_new(m->loop, m->fds[0]);
        assert_int_equal(await_wire_tls_accept(w, m->server, soon(), &why), 0);
        wire_tls_peer(w, m->digest, &m->of_client);
        wire_put(w, STR("hello\r\n"));
        assert_int_equal(await_wire_line(w, 100, soon(), &line), 0);
        wire_free(&w);
        end_one(m);
}

static void visit(void *arg)
{
        struct meeting *m = arg;
        struct why why;
        struct wire_line line;
        struct wire *w = wire_new(m->loop, m->fds[1]);
        assert_int_equal(await_wire_tls_connect(w, m->client, &m->request, soon(), &why), 0);
        wire_tls_peer(w, m->digest, &m->of_server);
        for (size_t i = 0; i < 4; i++)
                m->is_named[i] = wire_tls_peer_is(w, m->names[i], m->star_is_many);
        assert_int_equal(await_wire_line(w, 100, soon(), &line), 0);
        wire_put(w, STR("bye\r\n"));
        assert_int_equal(await_wire_flush(w, soon()), 0);
        wire_free(&w);
        end_one(m);
}

static void meet(struct meeting *m)
{
        struct why why;
        m->loop = loop_new(&why);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, m->fds),
                         0);
        m->left = 2;
        task_start(m->loop, serve, m);
        task_start(m->loop, visit, m);
        loop_run(m->loop);
        assert_int_equal(m->left, 0);
        loop_free(&m->loop);
}

static struct tls_context *make(struct tls_options o)
{
        struct why why;
        if (str_is_empty(o.protocols))
                o.protocols = STR(">=TLSv1.2");
        if (o.is_server && str_is_empty(o.chain_file)) {
                o.chain_file = str_from(files.cert);
                o.key_file = str_from(files.key);
        }
        struct tls_context *t = tls_context_new(&o, &why);
        if (!t)
                fail_msg("%s", why.text);
        return t;
}

static void part(struct meeting *m)
{
        tls_context_unref(&m->server);
        tls_context_unref(&m->client);
}

static void a_stranger_is_not_trusted(void **state)
{
        struct meeting m = {
                .server = make((struct tls_options){.is_server = true}),
                .client = make((struct tls_options){0}),
                .digest = STR("sha256"),
                .names = {STR("mx.example"), STR("MX.EXAMPLE"), STR("example"), STR("")}};
        meet(&m);
        assert_true(m.of_server.has_certificate);
        assert_false(m.of_server.is_trusted);
        assert_non_null(strstr(m.of_server.problem, "self-signed"));
        assert_string_equal(m.of_server.subject, "mx.example");
        assert_string_equal(m.of_server.issuer, "mx.example");
        assert_int_equal(strlen(m.of_server.fingerprint), 32 * 3 - 1);
        assert_int_equal(strlen(m.of_server.key_fingerprint), 32 * 3 - 1);
        assert_string_not_equal(m.of_server.fingerprint, m.of_server.key_fingerprint);
        assert_true(m.is_named[0] && m.is_named[1]);
        assert_false(m.is_named[2] || m.is_named[3]);
        assert_false(m.of_client.has_certificate);
        part(&m);
}

static void trust_comes_from_authorities(void **state)
{
        struct tls_options with[] = {{.ca_file = str_from(files.cert)},
                                     {.anchor_file = str_from(files.cert)}};
        for (size_t i = 0; i < 2; i++) {
                struct meeting m = {.server = make((struct tls_options){.is_server = true}),
                                    .client = make(with[i]),
                                    .digest = STR("sha1")};
                meet(&m);
                assert_true(m.of_server.is_trusted);
                assert_int_equal(strlen(m.of_server.fingerprint), 20 * 3 - 1);
                part(&m);
        }
}

static void a_client_shows_its_certificate_when_asked(void **state)
{
        struct tls_options client = {.chain_file = str_from(files.cert),
                                     .key_file = str_from(files.key)};
        struct tls_options server = {.is_server = true, .ca_file = str_from(files.cert)};
        for (int asks = 0; asks < 2; asks++) {
                server.asks_certificate = asks;
                struct meeting m = {.server = make(server), .client = make(client)};
                meet(&m);
                assert_int_equal(m.of_client.has_certificate, asks);
                assert_int_equal(m.of_client.is_trusted, asks);
                part(&m);
        }
        /* asked, and it has none: no reason to fail here */
        struct meeting m = {.server = make(server), .client = make((struct tls_options){0})};
        meet(&m);
        assert_false(m.of_client.has_certificate || m.of_client.is_trusted);
        part(&m);
}

static void the_name_asked_for_chooses_the_certificate(void **state)
{
        static const struct {
                struct str asked;
                const char *subject;
        } cases[] = {{STR_INIT("other.example"), "cn.example"},
                     {STR_INIT("OTHER.example"), "cn.example"},
                     {STR_INIT("a.b.below.example"), "cn.example"},
                     {STR_INIT("below.example"), "mx.example"},
                     {STR_INIT("unknown.example"), "mx.example"},
                     {STR_INIT(""), "mx.example"}};
        char chain[200];
        snprintf(chain, sizeof(chain), "%s, %s", files.other_key, files.named_cert);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct why why;
                struct meeting m = {.server = make((struct tls_options){.is_server = true}),
                                    .client = make((struct tls_options){0}),
                                    .request = {.name = cases[i].asked},
                                    .names = {STR("a.below.example"), STR("a.b.below.example"),
                                              STR("cn.example"), STR(".example")}};
                assert_int_equal(
                        tls_context_add_name(m.server, STR("other.example"), str_from(chain), &why),
                        0);
                assert_int_equal(tls_context_add_name(m.server, STR(".Below.example"),
                                                      str_from(chain), &why),
                                 0);
                assert_true(tls_context_add_name(m.server, STR(""), str_from(chain), &why) < 0);
                assert_true(tls_context_add_name(m.server, STR("x"), STR("/nonexistent"), &why) <
                            0);
                meet(&m);
                assert_string_equal(m.of_server.subject, cases[i].subject);
                if (strcmp(cases[i].subject, "cn.example") == 0) {
                        assert_true(m.is_named[0]);
                        assert_false(m.is_named[1]); /* "*" is one label */
                        m.star_is_many = true;
                        meet(&m);
                        assert_true(m.is_named[1]);
                        assert_false(
                                m.is_named[2]); /* DNS names are there: the common name is none */
                        assert_true(m.is_named[3]); /* any host below .example */
                }
                part(&m);
        }
}

static void a_session_goes_on_elsewhere(void **state)
{
        static const struct str protocols[] = {STR_INIT("TLSv1.2"), STR_INIT("TLSv1.3")};
        for (size_t i = 0; i < 2; i++) {
                struct tls_options client = {.protocols = protocols[i]};
                struct meeting m = {.server = make((struct tls_options){.is_server = true}),
                                    .client = make(client),
                                    .request = {.session = protocols[i]}};
                meet(&m);
                assert_false(m.of_server.is_resumed);
                /* another context, as after a reload */
                tls_context_unref(&m.server);
                m.server = make((struct tls_options){.is_server = true});
                meet(&m);
                assert_true(m.of_server.is_resumed && m.of_client.is_resumed);
                assert_string_equal(m.of_server.subject, "mx.example");
                /* another place: nothing to resume */
                m.request.session = STR("elsewhere");
                meet(&m);
                assert_false(m.of_server.is_resumed);
                /* a service that asks for certificates does not take a session without one */
                tls_context_unref(&m.server);
                m.server = make((struct tls_options){.is_server = true, .asks_certificate = true});
                m.request.session = protocols[i];
                meet(&m);
                assert_false(m.of_server.is_resumed);
                part(&m);
        }
}

static void a_request_narrows_the_context(void **state)
{
        struct meeting m = {.server = make((struct tls_options){.is_server = true}),
                            .client = make((struct tls_options){0}),
                            .request = {.protocols = STR("TLSv1.2"),
                                        .ciphers = STR("HIGH"),
                                        .excluded = STR("AES256")}};
        meet(&m);
        assert_true(m.of_server.has_certificate);
        part(&m);
        assert_true(tls_knows_digest(STR("sha256")));
        assert_false(tls_knows_digest(STR("sha1000")));
}

static void ends_are_known(void **state)
{
        struct tls_context *t = make((struct tls_options){.is_server = true});
        assert_in_range(tls_context_expires(t), time(NULL) + 3600, time(NULL) + 25 * 3600);
        tls_context_unref(&t);
        t = make((struct tls_options){0});
        assert_true(tls_context_expires(t) == INT64_MAX);
        tls_context_unref(&t);
}

static int make_files(void **state)
{
        return tls_fixture_make(&files);
}

static int remove_files(void **state)
{
        tls_fixture_remove(&files);
        return 0;
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_stranger_is_not_trusted),
                cmocka_unit_test(trust_comes_from_authorities),
                cmocka_unit_test(a_client_shows_its_certificate_when_asked),
                cmocka_unit_test(the_name_asked_for_chooses_the_certificate),
                cmocka_unit_test(a_session_goes_on_elsewhere),
                cmocka_unit_test(a_request_narrows_the_context),
                cmocka_unit_test(ends_are_known),
        };
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
