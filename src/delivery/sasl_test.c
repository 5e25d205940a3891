/* sasl_test.c - who we are at a next hop, which mechanism is used, and what it says */
#include "delivery/sasl.h"

#include "base/unit.h"

#include <errno.h>

#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static struct arena arena;
static struct params params;
static struct findings findings;
static struct table_set *tables;
static struct transport transport;

static void open_transport(const char *passwords, const char *filter)
{
        params = (struct params){
                .smtp_sasl_auth_enable = true,
                .smtp_sasl_password_maps = str_from(passwords),
                .smtp_sasl_password_result_delimiter = STR(":"),
                .smtp_sasl_mechanism_filter = str_from(filter),
                .smtp_sasl_security_options = STR("noplaintext, noanonymous"),
                .smtp_sasl_tls_security_options = STR("noanonymous"),
                .smtp_sasl_tls_verified_security_options = STR("noanonymous mutual_auth"),
        };
        transport =
                (struct transport){.name = STR("smtp"), .command = STR("smtp"), .params = &params};
        tables = table_set_new("/");
        findings_init(&findings);
        sasl_read(&transport, tables, (struct place){0}, (struct place){0}, &findings);
}

static void close_transport(void)
{
        findings_done(&findings);
        table_set_free(&tables);
        arena_clear(&arena);
}

static bool has_finding(const char *code)
{
        for (const struct finding *f = findings.first; f; f = f->next)
                if (strcmp(f->code, code) == 0)
                        return true;
        return false;
}

static void offers_are_read(void **state)
{
        assert_int_equal(sasl_offered(STR("")), 0);
        assert_int_equal(sasl_offered(STR("GSSAPI NTLM XOAUTH2")), 0);
        assert_int_equal(sasl_offered(STR("plain\tLOGIN  GSSAPI")),
                         1 << SASL_PLAIN | 1 << SASL_LOGIN);
        assert_int_equal(sasl_offered(STR("SCRAM-SHA-1 SCRAM-SHA-1-PLUS CRAM-MD5")),
                         1 << SASL_SCRAM_SHA_1 | 1 << SASL_CRAM_MD5);
}

static void logins_are_found(void **state)
{
        static const struct {
                bool by_sender;
                const char *sender, *host, *nexthop;
                const char *expected; /* "user password", or the reason */
        } rows[] = {
                {false, "a@one.test", "mx.test", "[mx.test]:587", "host secret"},
                {false, "a@one.test", "other.test", "[next.test]:587", "hop se:cret"},
                {false, "a@one.test", "other.test", "other.test", ""},
                {true, "a@one.test", "mx.test", "x", "ann p1"},
                {true, "a+tag@one.test", "mx.test", "x", "ann p1"},
                {true, "b@one.test", "mx.test", "x", "one p2"},
                {true, "c@two.test", "mx.test", "x", "host secret"},
                {true, "", "mx.test", "x", "host secret"},
                {false, "", "bare.test", "x", "bare "},
                {false, "", "empty.test", "x", "smtp_sasl_password_maps: an entry without a user"},
        };
        open_transport("inline:{ mx.test=host:secret, [next.test]:587=hop:se:cret,"
                       " a@one.test=ann:p1, @one.test=one:p2, bare.test=bare, empty.test=:x }",
                       "");
        params.recipient_delimiter = STR("+");
        assert_int_equal(findings.count[SEVERITY_ERROR], 0);
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct sasl_login login;
                struct why why = {""};
                struct str found = STR("");
                params.smtp_sender_dependent_authentication = rows[i].by_sender;
                int rc = await_sasl_login(&transport, str_from(rows[i].sender),
                                          str_from(rows[i].host), str_from(rows[i].nexthop), &arena,
                                          &login, &why);
                if (rc == 0 && login.user.len)
                        found = arena_printf(&arena, "%.*s %.*s", STR_ARG(login.user),
                                             STR_ARG(login.password));
                assert_int_equal(rc, why.text[0] ? -EAGAIN : 0);
                if (!str_eq(rc ? str_from(why.text) : found, str_from(rows[i].expected)))
                        fail_msg("%zu: \"%.*s\" \"%s\"", i, STR_ARG(found), why.text);
        }
        params.smtp_sasl_auth_enable = false;
        struct sasl_login login;
        struct why why;
        assert_int_equal(await_sasl_login(&transport, STR(""), STR("mx.test"), STR("x"), &arena,
                                          &login, &why),
                         0);
        assert_int_equal(login.user.len, 0);
        close_transport();
}

static void the_best_that_is_allowed_is_used(void **state)
{
        static const struct {
                const char *filter, *offer;
                enum sasl_cover cover;
                int expected; /* -1: none */
        } rows[] = {
                {"", "PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256", SASL_IN_CLEAR, SASL_SCRAM_SHA_256},
                {"", "PLAIN LOGIN CRAM-MD5", SASL_IN_CLEAR, SASL_CRAM_MD5},
                {"", "PLAIN LOGIN", SASL_IN_CLEAR, -1},
                {"", "PLAIN LOGIN", SASL_UNDER_TLS, SASL_PLAIN},
                {"", "LOGIN", SASL_UNDER_TLS, SASL_LOGIN},
                {"", "LOGIN SCRAM-SHA-1 CRAM-MD5", SASL_UNDER_VERIFIED_TLS, SASL_SCRAM_SHA_1},
                {"", "LOGIN CRAM-MD5", SASL_UNDER_VERIFIED_TLS, -1},
                {"", "", SASL_UNDER_TLS, -1},
                {"!cram-md5, static:all", "PLAIN CRAM-MD5", SASL_UNDER_TLS, SASL_PLAIN},
                {"login", "PLAIN LOGIN CRAM-MD5", SASL_UNDER_TLS, SASL_LOGIN},
                {"login", "PLAIN", SASL_UNDER_TLS, -1},
        };
        for (size_t i = 0; i < COUNT(rows); i++) {
                enum sasl_mechanism m;
                struct why why;
                open_transport("inline:{x=y}", rows[i].filter);
                int rc = await_sasl_choose(&transport, sasl_offered(str_from(rows[i].offer)),
                                           rows[i].cover, &arena, &m, &why);
                if (rc == 0 ? (int)m != rows[i].expected : rc != -ENOENT || rows[i].expected != -1)
                        fail_msg("%zu: %d %s", i, rc, rc ? "" : sasl_name(m));
                close_transport();
        }
}

static void mistakes_are_found(void **state)
{
        open_transport("", "");
        assert_true(has_finding("sasl-without-passwords"));
        assert_false(has_finding("password-in-clear"));
        close_transport();
        open_transport("inline:{x=y}", "");
        params.smtp_sasl_security_options = STR("noplain");
        params.smtp_tls_security_level = TLS_LEVEL_MAY;
        sasl_read(&transport, tables, (struct place){0}, (struct place){0}, &findings);
        assert_true(has_finding("bad-sasl-option"));
        assert_true(has_finding("password-in-clear"));
        close_transport();
        open_transport("inline:{x=y}", "");
        params.smtp_sasl_security_options = STR("noanonymous");
        params.smtp_tls_security_level = TLS_LEVEL_ENCRYPT;
        sasl_read(&transport, tables, (struct place){0}, (struct place){0}, &findings);
        assert_false(has_finding("password-in-clear"));
        close_transport();
}

/* ---- exchanges ---- */

static const struct sasl_login tim = {STR_INIT("tim"), STR_INIT("tanstaaftanstaaf")};

static void exchange(enum sasl_mechanism m, const char *const *steps)
{
        struct why why = {""};
        struct str answer;
        struct sasl_exchange *x = sasl_exchange_new(m, &tim, &why);
        assert_non_null(x);
        for (; steps[0]; steps += 2) {
                assert_int_equal(sasl_exchange_step(x, str_from(steps[0]), &answer, &why), 0);
                assert_str_equal(answer, steps[1]);
        }
        sasl_exchange_free(&x);
        assert_null(x);
}

static void plain_login_and_cram_md5(void **state)
{
        exchange(SASL_PLAIN,
                 (const char *[]){"", "AHRpbQB0YW5zdGFhZnRhbnN0YWFm", NULL}); /* \0tim\0tan... */
        exchange(SASL_LOGIN, (const char *[]){"", "", "VXNlcm5hbWU6", "dGlt", "UGFzc3dvcmQ6",
                                              "dGFuc3RhYWZ0YW5zdGFhZg==", NULL});
        /* the example of RFC 2195 */
        exchange(SASL_CRAM_MD5,
                 (const char *[]){"", "",
                                  "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+",
                                  "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw", NULL});
}

static void challenges_may_be_wrong(void **state)
{
        static const struct {
                enum sasl_mechanism mechanism;
                const char *challenge, *expected;
        } rows[] = {
                {SASL_CRAM_MD5, "%%%", "a challenge that is no base64: "},
                {SASL_SCRAM_SHA_1, "eA==", "a challenge that makes no sense: "},
                /* r=x,s=eA==,i=4294967295 */
                {SASL_SCRAM_SHA_256, "cj14LHM9ZUE9PSxpPTQyOTQ5NjcyOTU=",
                 "the server asks for more than 100000 iterations"},
        };
        for (size_t i = 0; i < COUNT(rows); i++) {
                struct why why = {""};
                struct str answer;
                struct sasl_exchange *x = sasl_exchange_new(rows[i].mechanism, &tim, &why);
                assert_int_equal(sasl_exchange_step(x, STR(""), &answer, &why), 0);
                assert_int_equal(sasl_exchange_step(x, str_from(rows[i].challenge), &answer, &why),
                                 -EPROTO);
                assert_memory_equal(why.text, rows[i].expected, strlen(rows[i].expected));
                assert_null(strstr(why.text, "tanstaaf"));
                sasl_exchange_free(&x);
        }
}

static bool is_refused(const char *host, const char *user, const char *password, int64_t now_us)
{
        const struct sasl_login login = {str_from(user), str_from(password)};
        struct sasl_refusal found;
        if (!sasl_refusal_find(&params, str_from(host), &login, now_us, &arena, &found))
                return false;
        assert_string_equal(found.dsn, "5.7.8");
        assert_str_equal(found.text, "535 5.7.8 no");
        return true;
}

static void refuse(const char *host, const char *user, const char *password, int64_t now_us)
{
        const struct sasl_login login = {str_from(user), str_from(password)};
        const struct sasl_refusal no = {.dsn = "5.7.8", .text = STR("535 5.7.8 no")};
        sasl_refusal_note(&params, str_from(host), &login, &no, now_us);
}

static void refusals_are_remembered(void **state)
{
        const int64_t ms = 1000;
        params = (struct params){.smtp_sasl_auth_cache_name = STR(""),
                                 .smtp_sasl_auth_cache_time = 100};
        refuse("a.test", "u", "p", 0);
        assert_false(is_refused("a.test", "u", "p", 0));
        params.smtp_sasl_auth_cache_name = STR("proxy:btree:one");
        assert_false(is_refused("a.test", "u", "p", 0));
        refuse("a.test", "u", "p", 0);
        assert_true(is_refused("a.test", "u", "p", 0));
        assert_true(is_refused("a.test", "u", "p", 100 * ms));
        assert_false(is_refused("b.test", "u", "p", 0));
        assert_false(is_refused("a.test", "v", "p", 0));

        /* another password is tried, and what was known of the old one is forgotten with it */
        assert_false(is_refused("a.test", "u", "q", 0));
        assert_false(is_refused("a.test", "u", "p", 0));
        /* the time is over; or the clock was set back */
        refuse("a.test", "u", "p", 1000 * ms);
        assert_false(is_refused("a.test", "u", "p", 1101 * ms));
        refuse("a.test", "u", "p", 1000 * ms);
        assert_false(is_refused("a.test", "u", "p", 999 * ms));
        /* another table */
        refuse("a.test", "u", "p", 0);
        params.smtp_sasl_auth_cache_name = STR("two");
        assert_false(is_refused("a.test", "u", "p", 0));
        arena_clear(&arena);
}

static void refusals_have_a_ceiling(void **state)
{
        char host[32];
        char text[2000];
        const struct sasl_login login = {STR("u"), STR("p")};
        struct sasl_refusal found, no = {.dsn = "5.7.8", .text = str_make(text, sizeof(text))};
        params = (struct params){.smtp_sasl_auth_cache_name = STR("three"),
                                 .smtp_sasl_auth_cache_time = 100};
        for (int i = 0; i <= SASL_REFUSALS_MAX; i++) {
                snprintf(host, sizeof(host), "%d.test", i);
                refuse(host, "u", "p", 0);
        }
        assert_false(is_refused("0.test", "u", "p", 0));
        assert_true(is_refused("1.test", "u", "p", 0));
        assert_true(is_refused(host, "u", "p", 0));

        memset(text, 'x', sizeof(text));
        sasl_refusal_note(&params, STR("long.test"), &login, &no, 0);
        assert_true(sasl_refusal_find(&params, STR("long.test"), &login, 0, &arena, &found));
        assert_int_equal(found.text.len, 512);
        arena_clear(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(offers_are_read),
                cmocka_unit_test(logins_are_found),
                cmocka_unit_test(the_best_that_is_allowed_is_used),
                cmocka_unit_test(mistakes_are_found),
                cmocka_unit_test(plain_login_and_cram_md5),
                cmocka_unit_test(challenges_may_be_wrong),
                cmocka_unit_test(refusals_are_remembered),
                cmocka_unit_test(refusals_have_a_ceiling),
        };
        arena_init(&arena, 0);
        int failed = cmocka_run_group_tests(tests, NULL, NULL);
        arena_done(&arena);
        return failed;
}
