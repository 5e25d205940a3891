/*
 * session.c - the life of an inbound session: greeting, commands in order, farewell
 *
 * Reads a line, does what it says, puts the reply; replies leave when the session next waits for input, so
 * pipelined commands are answered in order and in one write. What a verb does stands in its own file.
 */
#include "base/check.h"
#include "base/format.h"
#include "base/log.h"
#include "base/rand.h"
#include "config/notify_classes.h"
#include "session/session_private.h"
#include "table/table.h"

#include <errno.h>

enum {
        ARENA_BYTES_MAX = 256 * 1024, /* of one command: no honest one comes near */
        LINE_BYTES_MAX = 64 * 1024,   /* what the wire can hold */
        REFUSED_MS = 30 * 1000,       /* for a client that was refused to say QUIT */
};

/* ---- replies ---- */

void await_session_put_reply(struct session *s, const struct smtp_reply *reply)
{
        struct smtp_reply r = *reply;
        if (smtp_reply_refuses(&r))
                await_session_filter_refusal(s, &r);
        session_explain_reply(s, &r);
        if (smtp_reply_refuses(&r))
                r.text = await_session_footer_add(s, &r);
        struct buf *out = wire_out(s->wire);
        size_t before = out->len;
        if (smtp_reply_format(&r, out) == -ENOBUFS)
                s->is_closing = true; /* a client that sends and never reads */
        session_report_reply(s, &r, str_tail(buf_str(out), before));
}

int64_t session_deadline_ms(const struct session *s)
{
        return loop_now_ms() + s->params->smtpd_timeout;
}

bool session_offers_keyword(const struct session *s, struct str keyword)
{
        struct str rest =
                s->discards ? str_from(s->discards) : s->params->smtpd_discard_ehlo_keywords;
        struct str word;
        while (config_list_next(&rest, &word))
                if (str_eq_nocase(word, keyword))
                        return false;
        return s->params->smtputf8_enable || !str_eq(keyword, STR("SMTPUTF8"));
}

bool session_rate_allows(struct session *s, enum front_door_event event, int64_t rate_max,
                         const char *what)
{
        if (rate_max == 0)
                return true;
        int64_t count =
                front_door_note(listener_door(s->listener), s->client, event, loop_now_ms());
        if (count <= rate_max)
                return true;
        log_warning("smtpd", "%s rate limit exceeded: %lld from %.*s[%.*s] for service smtpd", what,
                    (long long)count, STR_ARG(s->facts.client_name),
                    STR_ARG(s->facts.client_address));
        return false;
}

struct smtp_offers session_offers(const struct session *s)
{
        /* As in Postfix, also after HELO: devices say HELO, and SIZE all the same. */
        bool offers_dsn = session_offers_keyword(s, STR("DSN"));
        return (struct smtp_offers){
                .dsn = offers_dsn,
                .size = true, /* also where the keyword is left out */
                .eightbitmime = true,
                .smtputf8 = session_offers_keyword(s, STR("SMTPUTF8")),
                .report = s->is_local,
                .refuses_dsn = !offers_dsn,
                .verp = s->may_verp || s->is_local, /* also where the keyword is left out */
                .verp_delimiters = s->params->default_verp_delimiters,
                .verp_filter = s->params->verp_delimiter_filter,
        };
}

struct str session_protocol(const struct session *s, bool is_utf8)
{
        bool has_tls = wire_has_tls(s->wire);
        if (s->greeting != GREETED_EHLO)
                return STR("SMTP");
        if (is_utf8)
                return has_tls ? STR("UTF8SMTPS") : STR("UTF8SMTP");
        return has_tls ? STR("ESMTPS") : STR("ESMTP");
}

/* Each greeting begins with what the connection's rules asked for, not with what the last HELO's did. */
static struct policy_effects *early_effects(struct session *s, enum policy_event event)
{
        if (!s->early) {
                s->early = calloc(1, sizeof(*s->early));
                check(s->early);
        }
        if (event == POLICY_AT_HELO)
                s->early->greeting = s->early->connection;
        return event == POLICY_AT_CONNECT ? &s->early->connection : &s->early->greeting;
}

bool await_session_refuses(struct session *s, enum policy_event event, struct smtp_reply *reply)
{
        struct transaction *t = s->transaction;
        struct policy_effects of_question = {0};
        struct policy_effects *effects = &of_question;
        struct arena *arena = &s->arena;
        bool is_question = event == POLICY_AT_VRFY || event == POLICY_AT_ETRN;
        if (t && !is_question) { /* what rules ask for must live as long as what it is asked for */
                effects = &t->effects;
                arena = &t->arena;
        } else if (is_question || s->params->smtpd_delay_reject) {
                /* HOLD for the recipient of VRFY says nothing about any message. */
                if (t)
                        of_question = t->effects;
                else if (s->early)
                        of_question = s->early->greeting;
        } else {
                effects = early_effects(s, event);
                arena = &s->connection_arena;
        }
        struct verdict verdict;
        policy_prefetch(s->policy, event, &s->facts);
        await_policy_judge(s->policy, event, &s->facts, arena, effects, &verdict);
        if (event == POLICY_AT_CONNECT && s->early)
                s->early->greeting = s->early->connection;
        if (verdict.action != VERDICT_REFUSE)
                return false;
        *reply = verdict.reply;
        session_explain_refusal(s, verdict.source);
        policy_log_refusal("reject", event, &s->facts, reply);
        listener_counts(s->listener)->refused++;
        if (reply->code == 421 || reply->code == 521)
                s->is_closing = true;
        return true;
}

void session_log_loss(struct session *s, int error)
{
        const char *what = error == -ETIMEDOUT ? "timeout" : "lost connection";
        session_report_reason(s, what);
        if (error != -ECANCELED && !s->is_check)
                log_info("smtpd", "%s after %s from %.*s[%.*s]", what, s->last_verb,
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
}

/* The client cannot or need not be waited for any more: say so if it can still hear. */
static void say_farewell(struct session *s, int error)
{
        session_log_loss(s, error);
        s->is_closing = true;
        struct str host = s->params->myhostname;
        struct smtp_reply reply;
        if (error == -ETIMEDOUT)
                reply = smtp_reply_make(
                        421, "4.4.2",
                        arena_printf(&s->arena, "%.*s Error: timeout exceeded", STR_ARG(host)));
        else if (error == -ECANCELED)
                reply = smtp_reply_make(
                        421, "4.3.2",
                        arena_printf(&s->arena, "%.*s Service shutting down", STR_ARG(host)));
        else
                return;
        await_session_put_reply(s, &reply);
}

/* ---- commands ---- */

static const struct {
        bool is_last;      /* must end a group of pipelined commands (RFC 2920 3.1) */
        bool is_junk;      /* does nothing for a message: counts towards smtpd_junk_command_limit */
        bool needs_no_tls; /* allowed before STARTTLS when that is required (RFC 3207 4) */
} verb_rules[SMTP_UNKNOWN + 1] = {
        [SMTP_HELO] = {.is_last = true},
        [SMTP_EHLO] = {.is_last = true, .needs_no_tls = true},
        [SMTP_DATA] = {.is_last = true},
        [SMTP_RSET] = {.is_junk = true},
        [SMTP_NOOP] = {.is_junk = true, .needs_no_tls = true}, /* RFC 2920: last; no harm if not */
        [SMTP_VRFY] = {.is_last = true, .is_junk = true},
        [SMTP_HELP] = {.is_junk = true, .needs_no_tls = true},
        [SMTP_QUIT] = {.needs_no_tls = true},
        [SMTP_STARTTLS] = {.is_last = true, .needs_no_tls = true},
        [SMTP_AUTH] = {.is_last = true},
        [SMTP_ETRN] = {.is_junk = true},
        [SMTP_XCLIENT] = {.is_last = true, .needs_no_tls = true},
        [SMTP_XFORWARD] = {.needs_no_tls = true},
};

static bool must_start_tls_first(const struct session *s, enum smtp_verb verb)
{
        return s->service->parts.tls && !wire_has_tls(s->wire) &&
               s->params->smtpd_tls_security_level == TLS_LEVEL_ENCRYPT &&
               !verb_rules[verb].needs_no_tls;
}

/* smtpd_forbidden_commands, and programs that speak something else */
static bool await_is_forbidden(struct session *s, const struct smtp_command *command,
                               struct str line)
{
        struct why why;
        if (command->verb == SMTP_UNKNOWN && smtp_command_is_foreign(line))
                return true;
        enum table_result found = await_policy_forbids(s->policy, command->word, &s->arena, &why);
        if (found == TABLE_ERROR)
                log_warning("smtpd", "smtpd_forbidden_commands: %s", why.text);
        return found == TABLE_FOUND;
}

/* smtpd_command_filter: *line becomes what is meant. False: the table cannot be asked. */
static bool await_filter(struct session *s, struct str *line)
{
        struct str value;
        struct why why;
        if (!policy_has_map(s->policy, POLICY_COMMAND_FILTER))
                return true;
        switch (await_policy_map_find(s->policy, POLICY_COMMAND_FILTER, *line, &s->arena, &value,
                                      &why)) {
        case TABLE_FOUND:
                *line = value;
                return true;
        case TABLE_NOT_FOUND:
                return true;
        case TABLE_ERROR:
                break;
        }
        log_warning("smtpd", "smtpd_command_filter: %s", why.text);
        return false;
}

static bool is_noop(const struct session *s, struct str word)
{
        struct str rest = s->params->smtpd_noop_commands;
        struct str one;
        while (config_list_next(&rest, &one))
                if (str_eq_nocase(one, word))
                        return true;
        return false;
}

static struct smtp_reply not_implemented(const struct session *s, enum smtp_verb verb)
{
        if (verb == SMTP_AUTH)
                return smtp_reply_make(503, "5.5.1", STR("Error: authentication not enabled"));
        return smtp_reply_make(500, "5.5.2", STR("Error: command not recognized"));
}

static struct smtp_reply await_verb(struct session *s, const struct smtp_command *command)
{
        switch (command->verb) {
        case SMTP_HELO:
        case SMTP_EHLO:
                return await_session_helo(s, command->verb, command->args);
        case SMTP_MAIL:
                return await_session_mail(s, command->args);
        case SMTP_RCPT:
                return await_session_rcpt(s, command->args);
        case SMTP_DATA:
                return await_session_data(s, command->args);
        case SMTP_BDAT:
                return await_session_bdat(s, command->args);
        case SMTP_VRFY:
                return await_session_vrfy(s, command->args);
        case SMTP_STARTTLS:
                return await_session_starttls(s, command->args);
        case SMTP_ETRN:
                return await_session_etrn(s, command->args);
        case SMTP_XCLIENT:
                return await_session_xclient(s, command->args);
        case SMTP_XFORWARD:
                return session_xforward(s, command->args);
        case SMTP_RSET:
                return session_rset(s, command->args);
        case SMTP_NOOP:
                return session_noop(s, command->args);
        case SMTP_HELP:
                return session_help(s, command->args);
        case SMTP_QUIT:
                return session_quit(s, command->args);
        default: {
                struct smtp_reply reply = not_implemented(s, command->verb);
                await_session_milters_unknown(s, command->word, &reply);
                return reply;
        }
        }
}

/*
 * Did the client go on speaking where it has to wait for the reply? Looks at the socket only where that
 * would be wrong.
 */
static bool speaks_early(struct session *s, enum smtp_verb verb)
{
        if (s->greeting == GREETED_EHLO && !verb_rules[verb].is_last)
                return false;
        if (verb == SMTP_BDAT || verb == SMTP_QUIT)
                return false;
        return wire_poll_input(s->wire);
}

static struct smtp_reply forbid_early_input(struct session *s)
{
        s->is_closing = true;
        return smtp_reply_make(554, "5.5.0", STR("Error: SMTP protocol synchronization"));
}

static struct smtp_reply await_command(struct session *s, struct str line)
{
        /* a table may wait, and what is read meanwhile takes the place of the line */
        line = arena_str(&s->arena, line);
        if (!await_filter(s, &line))
                return smtp_reply_make(451, "4.3.0", STR("Error: temporary lookup failure"));
        struct smtp_command command = smtp_command_parse(line);
        s->last_verb = command.verb == SMTP_UNKNOWN ? "UNKNOWN" : smtp_verb_name(command.verb);
        if (str_is_empty(command.word))
                return smtp_reply_make(500, "5.5.2", STR("Error: bad syntax"));
        if (s->params->smtputf8_enable && !smtp_utf8_is_valid(line))
                return smtp_reply_make(500, "5.5.2", STR("Error: bad UTF-8 syntax"));
        struct smtp_reply refusal;
        if (await_is_forbidden(s, &command, line)) {
                if (session_screen_command(s, SCREEN_NON_SMTP, line, &refusal))
                        return refusal;
                log_warning("smtpd", "non-SMTP command from %.*s[%.*s]: %.100s",
                            STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address),
                            line.ptr);
                s->is_closing = true;
                return smtp_reply_make(221, "2.7.0", STR("Error: this is SMTP, and nothing else"));
        }
        if (must_start_tls_first(s, command.verb))
                return smtp_reply_make(530, "5.7.0", STR("Must issue a STARTTLS command first"));
        if (speaks_early(s, command.verb)) {
                if (session_screen_command(s, SCREEN_PIPELINING, command.args, &refusal))
                        return refusal;
                if (!s->facts.has_early_input)
                        log_info("smtpd", "improper command pipelining after %s from %.*s[%.*s]",
                                 s->last_verb, STR_ARG(s->facts.client_name),
                                 STR_ARG(s->facts.client_address));
                s->facts.has_early_input = true;
                if (s->params->smtpd_forbid_unauth_pipelining)
                        return forbid_early_input(s);
        }
        if (is_noop(s, command.word))
                command.verb = SMTP_NOOP;
        struct smtp_reply reply = await_verb(s, &command);
        if (verb_rules[command.verb].is_junk && ++s->junk > s->params->smtpd_junk_command_limit)
                s->errors++;
        if (smtp_reply_refuses(&reply))
                s->verbs[command.verb].failed++;
        else
                s->verbs[command.verb].done++;
        return reply;
}

/* A slow reply for a client that makes many errors; none at all for one that makes too many. */
static void await_reply(struct session *s, const struct smtp_reply *reply)
{
        if (reply->code == 0)
                return;
        bool is_error = smtp_reply_refuses(reply) && reply->code != 421 && !s->is_excused;
        s->is_excused = false;
        if (is_error) {
                s->errors++;
                if (s->errors > s->params->smtpd_soft_error_limit &&
                    s->params->smtpd_error_sleep_time > 0)
                        await_sleep(s->params->smtpd_error_sleep_time);
        }
        await_session_put_reply(s, reply);
        if (s->errors >= s->params->smtpd_hard_error_limit && !s->is_closing) {
                struct smtp_reply enough =
                        smtp_reply_make(421, "4.7.0",
                                        arena_printf(&s->arena, "%.*s Error: too many errors",
                                                     STR_ARG(s->params->myhostname)));
                log_info("smtpd", "too many errors after %s from %.*s[%.*s]", s->last_verb,
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
                await_session_put_reply(s, &enough);
                session_report_error(s, NOTIFY_PROTOCOL);
                session_report_reason(s, "too many errors");
                s->is_closing = true;
        }
}

/* Without smtpd_delay_reject each HELO costs what its rules had to look up, until the end. */
static struct smtp_reply too_many_greetings(struct session *s)
{
        s->is_closing = true;
        return smtp_reply_make(421, "4.7.0",
                               arena_printf(&s->arena, "%.*s Error: too many greetings",
                                            STR_ARG(s->params->myhostname)));
}

bool session_refuses_bare_lf(const struct session *s, struct smtp_reply *reply)
{
        if (s->params->smtpd_forbid_bare_newline != BARE_NEWLINE_REJECT ||
            policy_may_end_lines_in_lf(s->policy, &s->facts))
                return false;
        int code = (int)s->params->smtpd_forbid_bare_newline_reject_code;
        *reply = smtp_reply_make(code, code < 500 ? "4.5.2" : "5.5.2",
                                 STR("Error: bare <LF> received"));
        return true;
}

static struct smtp_reply await_line(struct session *s, const struct wire_line *line)
{
        struct smtp_reply reply;
        if (line->has_bare_lf && session_refuses_bare_lf(s, &reply)) {
                s->is_closing = true;
                log_info("smtpd", "bare <LF> received after %s from %.*s[%.*s]", s->last_verb,
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
                return reply;
        }
        if (line->has_bare_lf && session_screen_command(s, SCREEN_BARE_NEWLINE, line->text, &reply))
                return reply;
        return await_command(s, line->text);
}

static void await_commands(struct session *s)
{
        size_t line_max = s->params->line_length_limit < LINE_BYTES_MAX
                                  ? (size_t)s->params->line_length_limit
                                  : LINE_BYTES_MAX;
        while (!s->is_closing) {
                if (s->wants_to_leave && !s->transaction)
                        task_cancel(s->task);
                struct wire_line line;
                int rc = await_wire_line(s->wire, line_max, session_deadline_ms(s), &line);
                struct smtp_reply reply;
                if (rc == 0) {
                        session_report_line(s, line.text);
                        reply = await_line(s, &line);
                } else if (rc == -EMSGSIZE) {
                        s->last_verb = "UNKNOWN";
                        session_report_line(s, STR("(a line that is too long)"));
                        reply = smtp_reply_make(500, "5.5.2", STR("Error: line too long"));
                } else {
                        say_farewell(s, rc);
                        break;
                }
                if (arena_is_over(&s->arena))
                        reply = smtp_reply_make(452, "4.3.1", STR("Insufficient system storage"));
                if (arena_is_over(&s->connection_arena))
                        reply = too_many_greetings(s);
                await_reply(s, &reply);
                arena_done(&s->arena);
                session_explain_begin(s);
                s->asked = STR("");
                if (!s->transaction)
                        await_session_report_part(s);
        }
}

/* ---- greeting ---- */

/*
 * Nearly all seats are taken: this session is served by what the configuration says for stress = yes, so that it
 * waits less for its client (STRESS_README).
 */
static void look_for_stress(struct session *s, int64_t service_max)
{
        int64_t all_max = listener_sessions_max(s->listener);
        if (s->params->connection_limit < all_max)
                all_max = s->params->connection_limit;
        const struct service *service = s->service->parts.service;
        bool has_changed;
        bool is_crowded = front_door_is_crowded(listener_door(s->listener), s->seat, service_max,
                                                all_max, &has_changed);
        if (has_changed)
                log_warning("smtpd", "service \"%.*s\": %s", STR_ARG(service->name),
                            is_crowded ? "nearly all sessions are in use: stress = yes for new ones"
                                       : "there is room again: stress is over");
        if (is_crowded && service->stressed) {
                s->params = &service->stressed->params;
                s->policy = s->service->parts.stressed_policy;
        }
}

/* maxproc of master.cf, or default_process_limit; and connection_limit for all together */
static bool finds_seat(struct session *s)
{
        const struct service *service = s->service->parts.service;
        int64_t service_max = service->process_limit < 0 ? s->params->default_process_limit
                                                         : service->process_limit;
        if (front_door_sit(listener_door(s->listener), service->name, service_max,
                           s->params->connection_limit, &s->seat)) {
                look_for_stress(s, service_max);
                return true;
        }
        log_warning("smtpd", "NOQUEUE: reject: CONNECT from %.*s[%.*s]: too many connections",
                    STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
        return false;
}

bool session_is_drained(struct session *s, struct smtp_reply *refusal)
{
        if (!front_door_is_closed(listener_door(s->listener)))
                return false;
        s->is_closing = true;
        *refusal = smtp_reply_make(421, "4.3.2",
                                   arena_printf(&s->arena, "%.*s Error: out of service for a while",
                                                STR_ARG(s->params->myhostname)));
        return true;
}

static bool await_is_let_in(struct session *s, struct smtp_reply *refusal)
{
        const struct params *p = s->params;
        struct front_door_limits limits = {
                .connections_max = p->smtpd_client_connection_count_limit,
                .rate_max = p->smtpd_client_connection_rate_limit,
                .unit_ms = p->anvil_rate_time_unit,
                .ipv4_prefix_bits = (int)p->smtpd_client_ipv4_prefix_length,
                .ipv6_prefix_bits = (int)p->smtpd_client_ipv6_prefix_length,
                .network_connections_max = p->network_connection_count_limit,
                .network_rate_max = p->network_connection_rate_limit,
                .network_ipv4_prefix_bits = (int)p->network_ipv4_prefix_length,
                .network_ipv6_prefix_bits = (int)p->network_ipv6_prefix_length,
        };
        if (!policy_lets_in(s->policy, s->facts.client_bits)) {
                log_info("smtpd",
                         "NOQUEUE: reject: CONNECT from %.*s[%.*s]: 554 5.7.1 not one of "
                         "core_relays; proto=SMTP",
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
                session_explain_refusal(s, session_rule_name(s, "core_relays"));
                *refusal = smtp_reply_make(554, "5.7.1", STR("Access denied"));
                return false;
        }
        enum front_door_answer answer = FRONT_DOOR_WELCOME;
        if (!s->is_check && !policy_is_unlimited(s->policy, &s->facts))
                answer = front_door_enter(listener_door(s->listener), s->facts.client_bits, &limits,
                                          loop_now_ms(), &s->client);
        if (answer != FRONT_DOOR_WELCOME) {
                static const struct {
                        const char *what, *parameter;
                } words[] = {
                        [FRONT_DOOR_TOO_MANY] = {"Connection concurrency",
                                                 "smtpd_client_connection_count_limit"},
                        [FRONT_DOOR_TOO_OFTEN] = {"Connection rate",
                                                  "smtpd_client_connection_rate_limit"},
                        [FRONT_DOOR_NETWORK_TOO_MANY] = {"Network connection concurrency",
                                                         "network_connection_count_limit"},
                        [FRONT_DOOR_NETWORK_TOO_OFTEN] = {"Network connection rate",
                                                          "network_connection_rate_limit"},
                };
                const char *what = words[answer].what;
                session_explain_refusal(s, session_rule_name(s, words[answer].parameter));
                log_warning("smtpd", "%s limit exceeded: from %.*s[%.*s] for service smtpd", what,
                            STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
                *refusal = smtp_reply_make(
                        421, "4.7.0",
                        arena_printf(&s->arena, "%.*s Error: too many connections from %.*s",
                                     STR_ARG(p->myhostname), STR_ARG(s->facts.client_address)));
                return false;
        }
        s->facts.client_connections =
                front_door_client_count(listener_door(s->listener), s->client);
        return await_session_screen(s, refusal) &&
               !await_session_refuses(s, POLICY_AT_CONNECT, refusal);
}

/*
 * A client that is refused in place of the greeting hears 503 5.7.0 until it quits (RFC 5321 3.1), but not for
 * long: strangers could hold all descriptors of a core. One that was told 421 or 521 is not waited for.
 */
static void await_refused_client(struct session *s, const struct smtp_reply *refusal)
{
        int64_t deadline_ms = session_deadline_ms(s);
        if (deadline_ms > loop_now_ms() + REFUSED_MS)
                deadline_ms = loop_now_ms() + REFUSED_MS;
        if (refusal->code)
                await_session_put_reply(s, refusal);
        struct str denied =
                arena_printf(&s->arena, "Error: access denied for %.*s[%.*s]",
                             STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address));
        while (!s->is_closing && refusal->code != 421) {
                struct wire_line line;
                int rc = await_wire_line(s->wire, 512, deadline_ms, &line);
                if (rc < 0 && rc != -EMSGSIZE)
                        break;
                struct smtp_command command = smtp_command_parse(line.text);
                session_report_line(s, line.text);
                bool wants_out = rc == 0 && command.verb == SMTP_QUIT;
                struct smtp_reply reply = wants_out ? session_quit(s, STR(""))
                                                    : smtp_reply_make(503, "5.7.0", denied);
                await_session_put_reply(s, &reply);
                if (!wants_out && ++s->errors >= s->params->smtpd_hard_error_limit)
                        break;
        }
}

static void await_talk(struct session *s)
{
        struct smtp_reply reply;
        bool is_wrapped = s->params->smtpd_tls_wrappermode && s->service->parts.tls;
        if (!finds_seat(s)) {
                reply = smtp_reply_make(421, "4.3.2", STR("All server ports are busy"));
                if (!is_wrapped)
                        await_session_put_reply(s, &reply);
                return;
        }
        if (is_wrapped &&
            !await_session_handshake(s, loop_now_ms() + s->params->smtpd_starttls_timeout))
                return;
        if (session_is_drained(s, &reply) || !await_is_let_in(s, &reply) ||
            await_session_milters_connect(s, &reply)) {
                await_refused_client(s, &reply);
                return;
        }
        if (wire_poll_input(s->wire))
                s->facts.has_early_input = true;
        reply = smtp_reply_make(220, NULL, s->params->smtpd_banner);
        await_session_put_reply(s, &reply);
        await_commands(s);
}

/* ---- beginning and end ---- */

static bool learn_ends(struct session *s)
{
        s->is_postscreen = str_eq(s->service->parts.service->command, STR("postscreen"));
        if (s->is_local) {
                s->peer = s->here = (struct wire_address){.text = "127.0.0.1", .family = AF_UNIX};
                return true;
        }
        return wire_peer(s->wire, &s->peer) == 0 && wire_local(s->wire, &s->here) == 0;
}

void session_set_address(struct session *s)
{
        s->facts.client_address = str_from(s->peer.text);
        format_print(s->peer_port, sizeof(s->peer_port), "%u", s->peer.port);
        format_print(s->here_port, sizeof(s->here_port), "%u", s->here.port);
        s->facts.client_port = str_from(s->peer_port);
        s->facts.server_address = str_from(s->here.text);
        s->facts.server_port = str_from(s->here_port);
        if (!network_address_parse(s->facts.client_address, s->facts.client_bits))
                memset(s->facts.client_bits, 0, sizeof(s->facts.client_bits));
        s->may_xclient = policy_may_xclient(s->policy, &s->facts);
        s->may_verp = policy_may_verp(s->policy, &s->facts);
}

/* How long all lists in the DNS together may keep this session waiting. */
static int64_t lists_deadline_ms(const struct session *s)
{
        int64_t ms = s->params->dnsbl_deadline;
        if (s->is_postscreen && s->params->postscreen_dnsbl_timeout < ms)
                ms = s->params->postscreen_dnsbl_timeout;
        return ms;
}

void session_new_instance(struct session *s)
{
        format_print(s->instance, sizeof(s->instance), "%x.%llx", (unsigned)log_pid(),
                     (unsigned long long)rand_u64());
        s->facts.instance = str_from(s->instance);
}

/* Who is at s->peer? */
static void learn_client(struct session *s)
{
        s->facts.client_name = s->facts.reverse_client_name = STR("unknown");
        s->facts.client_name_status = s->facts.reverse_client_name_status = CLIENT_NAME_NONE;
        if (!s->facts.dns && s->service->parts.dns)
                s->facts.dns = dns_questions_new(s->service->parts.dns);
        if (!s->facts.spf)
                s->facts.spf = policy_spf_new();
        s->facts.verify = s->service->parts.verify;
        if (!s->facts.visit && s->facts.dns)
                s->facts.visit = dnsbl_visit_new(s->facts.dns, lists_deadline_ms(s));
        s->facts.is_offline = s->service->parts.is_offline;
        s->facts.logs_internal = s->params->info_log_address_format == 1;
        s->facts.protocol = STR("SMTP");
        session_set_address(s);
        session_new_instance(s);
        s->may_xforward = policy_may_xforward(s->policy, &s->facts);
}

/* False: there is nobody to talk to. */
static bool await_meet_client(struct session *s)
{
        if (!learn_ends(s))
                return false; /* gone already */
        learn_client(s);
        if (s->is_local) {
                s->facts.client_name = s->facts.reverse_client_name = STR("localhost");
                return true;
        }
        if (session_has_upstream(s)) {
                if (!await_session_upstream(s))
                        return false;
                learn_client(s);
        }
        /* who is turned away at once costs no question */
        if (!s->is_check && policy_lets_in(s->policy, s->facts.client_bits))
                await_session_client_name(s);
        s->may_xclient = policy_may_xclient(s->policy, &s->facts);
        s->may_verp = policy_may_verp(s->policy, &s->facts);
        s->may_xforward = policy_may_xforward(s->policy, &s->facts);
        return true;
}

void session_log_connect(struct session *s)
{
        if (!s->is_check && !s->is_local)
                log_info("smtpd", "connect from %.*s[%.*s]", STR_ARG(s->facts.client_name),
                         STR_ARG(s->facts.client_address));
}

static void log_disconnect(const struct session *s)
{
        if (s->is_check || s->is_local)
                return;
        char text[512];
        size_t len = 0;
        unsigned done = 0;
        unsigned all = 0;
        text[0] = 0;
        for (int v = 0; v <= SMTP_UNKNOWN; v++) {
                unsigned total = s->verbs[v].done + s->verbs[v].failed;
                if (total == 0)
                        continue;
                done += s->verbs[v].done;
                all += total;
                char name[16];
                format_print(name, sizeof(name), "%s",
                             v == SMTP_UNKNOWN ? "unknown" : smtp_verb_name((enum smtp_verb)v));
                for (char *c = name; *c; c++)
                        *c = char_lower(*c);
                int n = format_print(text + len, sizeof(text) - len,
                                     s->verbs[v].failed ? " %s=%u/%u" : " %s=%u", name,
                                     s->verbs[v].done, total);
                if (n > 0 && len + (size_t)n < sizeof(text))
                        len += (size_t)n;
        }
        if (done == all)
                log_info("smtpd", "disconnect from %.*s[%.*s]%s commands=%u",
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address), text,
                         all);
        else
                log_info("smtpd", "disconnect from %.*s[%.*s]%s commands=%u/%u",
                         STR_ARG(s->facts.client_name), STR_ARG(s->facts.client_address), text,
                         done, all);
}

static void session_free(struct session *s)
{
        session_transaction_end(s);
        milters_free(&s->milters);
        policy_spf_free(&s->facts.spf);
        dnsbl_visit_free(&s->facts.visit);
        dns_questions_free(&s->facts.dns);
        /* before the close: whoever sees it and comes again finds the place free */
        front_door_leave(listener_door(s->listener), &s->client);
        front_door_rise(listener_door(s->listener), &s->seat);
        wire_free(&s->wire);
        session_service_unref(&s->service);
        arena_done(&s->arena);
        arena_done(&s->connection_arena);
        free(s->certificate);
        free(s->helo);
        free(s->tls);
        free(s->claim);
        free(s->early);
        free(s->discards);
        session_report_free(s);
        listener_session_ended(s->listener, s);
}

void await_session(void *arg)
{
        struct session *s = arg;
        arena_init(&s->arena, ARENA_BYTES_MAX);
        arena_init(&s->connection_arena, ARENA_BYTES_MAX);
        s->last_verb = "CONNECT";
        session_explain_begin(s);
        bool is_met = await_meet_client(s);
        if (is_met) {
                session_log_connect(s);
                session_record_begin(s);
                session_report_begin(s);
                session_debug_begin(s);
                await_talk(s);
                session_screen_end(s);
                await_session_record_end(s);
        }
        /* the last words have a moment to leave, whatever ended the session */
        await_wire_flush_last(s->wire, loop_now_ms() + 5000);
        if (is_met)
                log_disconnect(s);
        await_session_report_end(s);
        session_free(s);
}
