/*
 * screen.c - postscreen's tests, made in the real session (postscreen(8))
 *
 * A service that master.cf calls postscreen looks at strangers before it talks to them: does the client wait for the
 * greeting, is it on lists in the DNS; and then, while it talks: does it pipeline where it must not, does it speak
 * SMTP at all, does it end its lines properly. Who passes is remembered (screen_cache.h) and not tested
 * again until that lapses. Nobody has to hang up and come again, as with Postfix, where mail of large senders
 * comes hours late or not at all: a session that passes its tests goes on.
 *
 * "ignore" logs, "enforce" lets the client talk and refuses each recipient, "drop" ends the session at once.
 *
 * Other than in Postfix the lists are looked at as soon as they have answered: who is refused by them, or permitted
 * by postscreen_dnsbl_allowlist_threshold, does not wait out postscreen_greet_wait.
 */
#include "base/log.h"
#include "session/session_private.h"

#include <errno.h>

enum action_word { ACTION_IGNORE, ACTION_ENFORCE, ACTION_DROP };

enum { SHOWN_BYTES_MAX = 100 }; /* of what a client sent, in the log */

#define PORT_ARGS(s) STR_ARG((s)->facts.client_address), (unsigned)(s)->peer.port

static int64_t wall_s(void)
{
        return clock_wall_us() / 1000000;
}

/* ---- which tests ---- */

static bool is_enabled(const struct session *s, enum screen_test test)
{
        const struct params *p = s->params;
        switch (test) {
        case SCREEN_PREGREET:
                return true;
        case SCREEN_DNSBL:
                return policy_has_screen_sites(s->policy);
        case SCREEN_PIPELINING:
                return p->postscreen_pipelining_enable;
        case SCREEN_NON_SMTP:
                return p->postscreen_non_smtp_command_enable;
        case SCREEN_BARE_NEWLINE:
                return p->postscreen_bare_newline_enable;
        case SCREEN_TESTS:
                break;
        }
        return false;
}

static int64_t ttl_ms(const struct session *s, enum screen_test test)
{
        const struct params *p = s->params;
        switch (test) {
        case SCREEN_PREGREET:
                return p->postscreen_greet_ttl;
        case SCREEN_DNSBL:
                return s->screen.dnsbl_ttl_ms;
        case SCREEN_PIPELINING:
                return p->postscreen_pipelining_ttl;
        case SCREEN_NON_SMTP:
                return p->postscreen_non_smtp_command_ttl;
        case SCREEN_BARE_NEWLINE:
                return p->postscreen_bare_newline_ttl;
        case SCREEN_TESTS:
                break;
        }
        return 0;
}

/* ---- for those who explain ---- */

static const char *parameter_of(enum screen_test test)
{
        static const char *const names[SCREEN_TESTS + 1] = {
                [SCREEN_PREGREET] = "postscreen_greet_action",
                [SCREEN_DNSBL] = "postscreen_dnsbl_action",
                [SCREEN_PIPELINING] = "postscreen_pipelining_action",
                [SCREEN_NON_SMTP] = "postscreen_non_smtp_command_action",
                [SCREEN_BARE_NEWLINE] = "postscreen_bare_newline_action",
                [SCREEN_TESTS] = "postscreen_denylist_action",
        };
        return names[test];
}

/* A test is a step: how it went, and what came of it. */
static void explain(struct session *s, enum screen_test test, const char *outcome,
                    const char *result, struct str said)
{
        static const char *const words[SCREEN_TESTS + 1] = {
                [SCREEN_PREGREET] = "waits for the greeting",
                [SCREEN_DNSBL] = "lists in the DNS",
                [SCREEN_PIPELINING] = "pipelines only where it may",
                [SCREEN_NON_SMTP] = "speaks SMTP",
                [SCREEN_BARE_NEWLINE] = "ends lines in CR LF",
                [SCREEN_TESTS] = "postscreen_access_list",
        };
        const struct trace_look look = {
                .kind = "client", .asked = str_from(words[test]), .said = said, .result = result};
        session_explain_step(s, parameter_of(test), outcome, &look);
}

/* What the cache has not vouched for has to be tested. True: there is something. */
static bool choose_tests(struct session *s)
{
        struct screen_passes known = {{0}};
        struct screen *screen = &s->screen;
        screen->is_old = screen_cache_find(front_door_known(listener_door(s->listener)),
                                           s->facts.client_bits, &known);
        bool has_any = false;
        for (int i = 0; i < SCREEN_TESTS; i++) {
                bool is_wanted = is_enabled(s, (enum screen_test)i);
                screen->needs[i] = is_wanted && known.until_s[i] <= wall_s();
                has_any |= screen->needs[i];
                if (is_wanted && !screen->needs[i])
                        explain(s, (enum screen_test)i, "dunno", "passed before", STR(""));
        }
        return has_any;
}

static void pass(struct session *s, enum screen_test test)
{
        if (!s->screen.needs[test])
                return;
        bool is_skipped = test == SCREEN_PREGREET && s->service->parts.is_rehearsal;
        s->screen.needs[test] = false;
        explain(s, test, "dunno", is_skipped ? "not tested" : "passed", STR(""));
        int64_t until_s = wall_s() + ttl_ms(s, test) / 1000;
        s->screen.passed.until_s[test] = until_s < UINT32_MAX ? (uint32_t)until_s : UINT32_MAX;
}

static bool needs_any(const struct session *s)
{
        for (int i = 0; i < SCREEN_TESTS; i++)
                if (s->screen.needs[i])
                        return true;
        return false;
}

static void remember(struct session *s)
{
        if (s->screen.is_vetoed)
                return;
        screen_cache_put(front_door_known(listener_door(s->listener)), s->facts.client_bits,
                         &s->screen.passed, wall_s(),
                         s->params->postscreen_cache_retention_time / 1000);
        s->screen.passed = (struct screen_passes){{0}};
}

/* All tests are over, none is failed. */
static void come_in(struct session *s)
{
        s->screen.is_on = false;
        if (!s->screen.is_vetoed)
                log_info("postscreen", "PASS %s [%.*s]:%u", s->screen.is_old ? "OLD" : "NEW",
                         PORT_ARGS(s));
}

/* ---- failures ---- */

/*
 * A test has failed. The refusal is for later (enforce), or the last word now: true, with *reply. A failed test is not
 * passed, whatever its action says: it is made again the next time.
 */
static bool fail(struct session *s, enum screen_test test, int action, int code,
                 const char *enhanced, struct str text, struct smtp_reply *reply)
{
        if (test < SCREEN_TESTS)
                s->screen.needs[test] = false;
        s->screen.has_failed = true;
        explain(s, test, action == ACTION_IGNORE ? "warn" : "refuse", "failed", text);
        if (action == ACTION_IGNORE)
                return false;
        if (action == ACTION_ENFORCE) {
                if (!s->screen.is_denied) {
                        s->screen.is_denied = true;
                        s->screen.denied_by = parameter_of(test);
                        s->screen.denial = smtp_reply_make(code, enhanced,
                                                           arena_str(&s->connection_arena, text));
                }
                return false;
        }
        *reply = smtp_reply_make(521, enhanced, text);
        s->is_closing = true;
        listener_counts(s->listener)->refused++;
        session_explain_refusal(s, session_rule_name(s, parameter_of(test)));
        log_info("postscreen",
                 "NOQUEUE: reject: CONNECT from [%.*s]:%u: 521 %s %.*s; proto=SMTP%s%s",
                 PORT_ARGS(s), enhanced, STR_ARG(text), s->refusal_code[0] ? " code=" : "",
                 s->refusal_code);
        return true;
}

static bool fail_protocol(struct session *s, enum screen_test test, int action,
                          struct smtp_reply *reply)
{
        return fail(s, test, action, 550, "5.5.1", STR("Protocol error"), reply);
}

/* What the client sent, fit for a log line; "\r\n" as such. */
static struct str shown(struct session *s, struct str bytes)
{
        static const char digits[] = "01234567";
        bytes = str_part(bytes, 0, SHOWN_BYTES_MAX);
        char *out = arena_alloc(&s->arena, bytes.len * 4 + 1);
        size_t len = 0;
        for (size_t i = 0; i < bytes.len; i++) {
                unsigned char c = (unsigned char)bytes.ptr[i];
                if (c == '\r' || c == '\n') {
                        out[len++] = '\\';
                        out[len++] = c == '\r' ? 'r' : 'n';
                } else if (c >= ' ' && c <= '~') {
                        out[len++] = (char)c;
                } else {
                        out[len++] = '\\';
                        out[len++] = digits[c >> 6];
                        out[len++] = digits[c >> 3 & 7];
                        out[len++] = digits[c & 7];
                }
        }
        return str_make(out, len);
}

/* ---- before the greeting ---- */

/* True: refused. */
static bool await_access_refuses(struct session *s, bool *is_allowed, struct smtp_reply *reply)
{
        *is_allowed = false;
        switch (await_policy_screen_access(s->policy, &s->facts, &s->arena)) {
        case SCREEN_DUNNO:
                return false;
        case SCREEN_PERMIT:
                *is_allowed = true;
                session_explain_step(s, "postscreen_access_list", "permit",
                                     &(struct trace_look){.kind = "client",
                                                          .asked = s->facts.client_address,
                                                          .result = "permit"});
                log_info("postscreen", "ALLOWLISTED [%.*s]:%u", PORT_ARGS(s));
                return false;
        case SCREEN_REJECT:
                break;
        }
        log_info("postscreen", "DENYLISTED [%.*s]:%u", PORT_ARGS(s));
        return fail(s, SCREEN_TESTS, s->params->postscreen_denylist_action, 550, "5.3.2",
                    STR("Service currently unavailable"), reply);
}

static int64_t within(int64_t value, int64_t low, int64_t high)
{
        if (value > high)
                value = high;
        return value < low ? low : value;
}

/* True: refused. *is_trusted: the lists speak for it so well that it needs no other test. */
static bool await_lists_refuse(struct session *s, bool *is_trusted, struct smtp_reply *reply)
{
        const struct params *p = s->params;
        struct screen_score score;
        await_policy_screen_score(s->policy, &s->facts, &s->arena, &score);
        s->screen.dnsbl_ttl_ms =
                within(score.ttl_ms, p->postscreen_dnsbl_min_ttl, p->postscreen_dnsbl_max_ttl);
        *is_trusted = p->postscreen_dnsbl_allowlist_threshold < 0 &&
                      score.score <= p->postscreen_dnsbl_allowlist_threshold;
        if (score.score < p->postscreen_dnsbl_threshold) {
                pass(s, SCREEN_DNSBL);
                return false;
        }
        log_info("postscreen", "DNSBL rank %lld for [%.*s]:%u", (long long)score.score,
                 PORT_ARGS(s));
        if (p->postscreen_dnsbl_action != ACTION_IGNORE)
                policy_note_screen_refusal(s->policy, &s->facts);
        struct str text =
                arena_printf(&s->arena, "Service unavailable; client [%.*s] blocked using %.*s",
                             STR_ARG(s->facts.client_address), STR_ARG(score.shown));
        return fail(s, SCREEN_DNSBL, p->postscreen_dnsbl_action, 550, "5.7.1", text, reply);
}

/* -EPIPE and the like: the client is gone. */
static int await_silence(struct session *s, int64_t began_ms, bool *was_silent)
{
        struct str bytes;
        int rc = await_wire_bytes(s->wire, began_ms + s->params->postscreen_greet_wait, &bytes);
        *was_silent = rc == -ETIMEDOUT;
        if (rc == 0) {
                int64_t ms = clock_mono_ms() - began_ms;
                log_info("postscreen", "PREGREET %zu after %lld.%02lld from [%.*s]:%u: %.*s",
                         bytes.len, (long long)(ms / 1000), (long long)(ms / 10 % 100),
                         PORT_ARGS(s), STR_ARG(shown(s, bytes)));
        }
        return rc == -ETIMEDOUT ? 0 : rc;
}

static void put_teaser(struct session *s)
{
        struct str banner = s->params->postscreen_greet_banner;
        if (str_is_empty(banner))
                return;
        wire_put(s->wire, STR("220-"));
        wire_put(s->wire, banner);
        wire_put(s->wire, STR("\r\n"));
}

static bool is_gone(struct session *s, int64_t began_ms, struct smtp_reply *reply)
{
        int64_t ms = clock_mono_ms() - began_ms;
        log_info("postscreen",
                 "HANGUP after %lld.%02lld from [%.*s]:%u in tests before SMTP handshake",
                 (long long)(ms / 1000), (long long)(ms / 10 % 100), PORT_ARGS(s));
        *reply = session_no_reply();
        s->is_closing = true;
        return true;
}

/* The tests before the greeting. True: refused, or nobody is there any more. */
static bool await_tests_refuse(struct session *s, struct smtp_reply *reply)
{
        int64_t began_ms = clock_mono_ms();
        bool is_trusted = false;
        bool was_silent;
        if (s->screen.needs[SCREEN_DNSBL])
                policy_ask_screen(s->policy, &s->facts);
        if (s->screen.needs[SCREEN_PREGREET]) {
                put_teaser(s);
                if (await_wire_flush(s->wire, session_deadline_ms(s)) < 0)
                        return is_gone(s, began_ms, reply);
        }
        if (s->screen.needs[SCREEN_DNSBL] && await_lists_refuse(s, &is_trusted, reply))
                return true;
        if (is_trusted) {
                for (int i = 0; i < SCREEN_TESTS; i++)
                        s->screen.needs[i] = false;
                return false;
        }
        if (!s->screen.needs[SCREEN_PREGREET])
                return false;
        if (await_silence(s, began_ms, &was_silent) < 0)
                return is_gone(s, began_ms, reply);
        if (was_silent)
                pass(s, SCREEN_PREGREET);
        else if (fail_protocol(s, SCREEN_PREGREET, s->params->postscreen_greet_action, reply))
                return true;
        return false;
}

/*
 * The MX policy test (postscreen(8)): who comes to a backup MX first, and is not known, is asked to come to the primary. The
 * other tests are made all the same, but nothing is earned by them.
 */
static void await_veto(struct session *s)
{
        if (await_policy_screen_vouches(s->policy, &s->facts, &s->arena))
                return;
        s->screen.is_vetoed = true;
        log_info("postscreen", "ALLOWLIST VETO [%.*s]:%u", PORT_ARGS(s));
        const struct trace_look look = {
                .kind = "client", .asked = s->facts.server_address, .result = "veto"};
        session_explain_step(s, "postscreen_allowlist_interfaces", "refuse", &look);
}

/* Behind the other tests: one that has failed says more. */
static void deny_vetoed(struct session *s)
{
        if (!s->screen.is_vetoed || s->screen.is_denied)
                return;
        s->screen.is_denied = true;
        s->screen.denied_by = "postscreen_allowlist_interfaces";
        s->screen.denial = smtp_reply_make(450, "4.3.2", STR("Service currently unavailable"));
}

bool await_session_screen(struct session *s, struct smtp_reply *reply)
{
        bool is_allowed;
        if (!s->is_postscreen || s->is_check)
                return true;
        log_info("postscreen", "CONNECT from [%.*s]:%u to [%s]:%u", PORT_ARGS(s), s->here.text,
                 (unsigned)s->here.port);
        if (await_access_refuses(s, &is_allowed, reply))
                return false;
        if (is_allowed)
                return true;
        s->screen.is_on = true;
        policy_prefetch(s->policy, POLICY_AT_CONNECT,
                        &s->facts); /* the rules' own, in the same time */
        bool has_tests = choose_tests(s);
        if (has_tests)
                await_veto(s);
        if (has_tests && await_tests_refuse(s, reply))
                return false;
        deny_vetoed(s);
        remember(s);
        if (!needs_any(s) && !s->screen.has_failed)
                come_in(s);
        return true;
}

/* ---- while it talks ---- */

bool session_screen_command(struct session *s, enum screen_test test, struct str line,
                            struct smtp_reply *reply)
{
        if (!s->screen.is_on || !s->screen.needs[test])
                return false;
        const struct params *p = s->params;
        int action = ACTION_IGNORE;
        const char *what = "";
        switch (test) {
        case SCREEN_PIPELINING:
                action = p->postscreen_pipelining_action;
                what = "COMMAND PIPELINING";
                break;
        case SCREEN_NON_SMTP:
                action = p->postscreen_non_smtp_command_action;
                what = "NON-SMTP COMMAND";
                break;
        case SCREEN_BARE_NEWLINE:
                action = p->postscreen_bare_newline_action;
                what = "BARE NEWLINE";
                break;
        case SCREEN_PREGREET:
        case SCREEN_DNSBL:
        case SCREEN_TESTS:
                return false;
        }
        log_info("postscreen", "%s from [%.*s]:%u after %s: %.*s", what, PORT_ARGS(s), s->last_verb,
                 STR_ARG(shown(s, line)));
        return fail_protocol(s, test, action, reply);
}

bool session_screen_refuses(struct session *s, struct smtp_reply *reply)
{
        s->screen.has_recipient = true;
        if (!s->screen.is_denied)
                return false;
        *reply = s->screen.denial;
        session_explain_refusal(s, session_rule_name(s, s->screen.denied_by));
        policy_log_refusal("reject", POLICY_AT_RCPT, &s->facts, reply);
        listener_counts(s->listener)->refused++;
        return true;
}

void session_screen_end(struct session *s)
{
        struct screen *screen = &s->screen;
        if (!screen->is_on || !screen->has_recipient)
                return;
        /* it came as far as a recipient and did nothing that the tests look for */
        for (int i = SCREEN_PIPELINING; i < SCREEN_TESTS; i++)
                pass(s, (enum screen_test)i);
        remember(s);
        if (!screen->has_failed)
                come_in(s);
}
