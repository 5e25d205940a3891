/*
 * client.c - a connection to a next hop: connect, greeting, EHLO, STARTTLS, AUTH, and its end
 *
 * Straight code. A reply line over REPLY_LINE_BYTES_MAX, rubbish, or a reply without end is a dead
 * connection.
 */
#include "delivery/client.h"

#include "base/check.h"
#include "base/log.h"
#include "loop/pool.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>

enum { REPLY_LINE_BYTES_MAX = 4096 };

static int64_t until(int64_t timeout_ms)
{
        return timeout_ms > 0 ? loop_now_ms() + timeout_ms : CLOCK_NEVER;
}

static void log_client(const struct client *c, enum log_level level, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static void log_client(const struct client *c, enum log_level level, const char *format, ...)
{
        char service[80];
        char text[1024];
        va_list args;
        snprintf(service, sizeof(service), "%.*s", STR_ARG(c->transport->log_name));
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        log_write(level, service, "%s", text);
}

void client_debug(const struct client *c, char direction, struct str lines)
{
        while (c->is_debugged && lines.len) {
                struct str line = str_trim(str_cut(&lines, '\n'));
                log_client(c, LOG_LEVEL_INFO, "%c %s: %.*s", direction, c->relay, STR_ARG(line));
        }
}

int client_put(struct client *c, struct str command)
{
        client_debug(c, '>', command);
        return wire_put(c->wire, command);
}

/* A line of a reply, as smtp_reply_filter has it. 0 or -EBADMSG (it cannot be asked), and what the reader says. */
static int await_feed(struct client *c, struct str line)
{
        if (!c->transport->reply_filter)
                return smtp_reply_reader_feed(&c->reader, line);
        struct arena arena;
        struct str value;
        struct why why;
        int rc = -EBADMSG;
        arena_init(&arena, 0);
        switch (await_table_list_find(c->transport->reply_filter, line, &arena, &value, &why)) {
        case TABLE_FOUND:
                rc = smtp_reply_reader_feed(&c->reader, value);
                break;
        case TABLE_NOT_FOUND:
                rc = smtp_reply_reader_feed(&c->reader, line);
                break;
        case TABLE_ERROR:
                log_client(c, LOG_LEVEL_WARNING, "smtp_reply_filter: %s", why.text);
                break;
        }
        arena_done(&arena);
        return rc;
}

int await_client_reply(struct client *c, int64_t timeout_ms)
{
        struct pace pace;
        struct wire_line line;
        int rc;
        pace_begin(&pace, timeout_ms, 0);
        do {
                int64_t began_ms = loop_now_ms();
                rc = await_wire_line(c->wire, REPLY_LINE_BYTES_MAX, began_ms + pace.left_ms, &line);
                if (c->transport->params->smtp_per_request_deadline)
                        pace_note(&pace, loop_now_ms() - began_ms, 0);
                if (rc == -EMSGSIZE)
                        rc = -EBADMSG;
                if (rc == 0) {
                        client_debug(c, '<', line.text);
                        rc = await_feed(c, line.text);
                }
        } while (rc == 0);
        if (rc < 0 || c->reader.code == 421)
                c->is_dead = c->is_lost = true;
        return rc < 0 ? rc : 0;
}

void client_text_begin(struct client *c)
{
        const struct params *p = c->transport->params;
        pace_begin(&c->pace, p->smtp_data_xfer_timeout, p->smtp_min_data_rate);
}

int await_client_text(struct client *c)
{
        bool is_all = false;
        int rc = 0;
        while (rc == 0 && !is_all) {
                int64_t began_ms = loop_now_ms();
                size_t sent;
                rc = await_wire_send(c->wire, began_ms + c->pace.left_ms, &sent, &is_all);
                if (c->transport->params->smtp_per_request_deadline)
                        pace_note(&c->pace, loop_now_ms() - began_ms, sent);
        }
        return rc;
}

static int await_command(struct client *c, struct str command, int64_t timeout_ms)
{
        check(client_put(c, command) == 0);
        return await_client_reply(c, timeout_ms);
}

/* The first word of a reply is what the server calls itself. */
static void note_name(struct client *c, int at)
{
        struct str rest = buf_str(&c->reader.text);
        struct str word;
        str_next_word(&rest, " \t\n", &word);
        snprintf(c->named[at], sizeof(c->named[at]), "%.*s", STR_ARG(word));
}

/* Trouble of this stage into the caller's memory; `rc` passes through. */
static int give_up(struct client *c, enum client_stage stage, int rc, struct arena *arena,
                   struct trouble *trouble)
{
        *trouble = rc < 0 ? *client_trouble_lost(c, stage, rc, arena)
                          : *client_trouble_reply(c, stage, arena);
        return rc < 0 ? rc : -ECONNABORTED;
}

/* ---- greeting ---- */

static int await_greeting(struct client *c, struct arena *arena, struct trouble *trouble)
{
        const struct params *p = c->transport->params;
        int rc = await_client_reply(c, p->smtp_helo_timeout);
        if (rc < 0)
                return give_up(c, AT_GREETING, rc, arena, trouble);
        if (c->reader.code / 100 == 2) {
                note_name(c, 0);
                await_client_pix(c);
                return 0;
        }
        rc = give_up(c, AT_GREETING, 0, arena, trouble);
        if (p->smtp_skip_5xx_greeting && trouble->is_permanent) {
                trouble->is_permanent = false; /* this host, not this mail */
                trouble->dsn[0] = '4';
        }
        return rc;
}

/* ---- EHLO ---- */

/* The keywords that are not used with this server. 0, or -EAGAIN with *why. */
static int await_discarded(const struct client *c, struct arena *arena, struct str *out,
                           struct why *why)
{
        *out = c->transport->params->smtp_discard_ehlo_keywords;
        if (!c->transport->discard_maps)
                return 0;
        struct str value;
        switch (await_table_list_find(c->transport->discard_maps, str_from(c->address), arena,
                                      &value, why)) {
        case TABLE_FOUND:
                *out = value;
                break;
        case TABLE_NOT_FOUND:
                break;
        case TABLE_ERROR:
                return why_prefix(why, -EAGAIN, "smtp_discard_ehlo_keyword_address_maps");
        }
        return 0;
}

static bool is_discarded(struct str keyword, struct str list)
{
        struct str word;
        while (str_next_word(&list, ", \t\r\n", &word))
                if (str_eq_nocase(word, keyword))
                        return true;
        return false;
}

/* RFC 9422 3: numbers of up to six digits, none of them 0; what is not known or not well formed says nothing. */
static void note_limits(struct client *c, struct str words)
{
        struct str value;
        while (str_next_word(&words, " \t", &value)) {
                struct str name = str_cut(&value, '=');
                int64_t n;
                if (value.len > 6 || str_to_int64(value, 1, 999999, &n) < 0)
                        continue;
                if (str_eq_nocase(name, STR("RCPTMAX")))
                        c->rcpt_max = n;
                else if (str_eq_nocase(name, STR("MAILMAX")))
                        c->mail_max = n;
        }
}

static void note_keyword(struct client *c, struct str line, struct str discarded)
{
        struct str rest = line;
        struct str keyword;
        struct str value;
        if (!str_next_word(&rest, " \t", &keyword) || is_discarded(keyword, discarded))
                return;
        if (str_eq_nocase(keyword, STR("XFORWARD"))) {
                if (c->transport->params->smtp_send_xforward_command)
                        c->forwards = client_forward_offer(rest);
                return;
        }
        /* "AUTH=PLAIN", of servers older than RFC 4954, is read too */
        if (str_eq_nocase(keyword, STR("AUTH")) || str_starts_nocase(keyword, STR("AUTH="))) {
                c->has_auth = true;
                c->mechanisms |= sasl_offered(str_tail(keyword, keyword.len > 5 ? 5 : 4));
                c->mechanisms |= sasl_offered(rest);
                return;
        }
        if (str_eq_nocase(keyword, STR("LIMITS"))) {
                note_limits(c, rest);
                return;
        }
        str_next_word(&rest, " \t", &value);
        if (str_eq_nocase(keyword, STR("PIPELINING")))
                c->has_pipelining = true;
        else if (str_eq_nocase(keyword, STR("8BITMIME")))
                c->has_8bitmime = true;
        else if (str_eq_nocase(keyword, STR("SMTPUTF8")))
                c->has_smtputf8 = true;
        else if (str_eq_nocase(keyword, STR("DSN")))
                c->has_dsn = true;
        else if (str_eq_nocase(keyword, STR("STARTTLS")))
                c->has_starttls = true;
        else if (str_eq_nocase(keyword, STR("SIZE")))
                c->has_size =
                        str_to_int64(value, 0, INT64_MAX, &c->size_max) == 0 || value.len == 0;
}

static void note_keywords(struct client *c, struct str discarded)
{
        c->has_pipelining = c->has_size = c->has_8bitmime = false;
        c->has_smtputf8 = c->has_dsn = c->has_starttls = false;
        c->size_max = 0;
        c->forwards = c->mechanisms = 0;
        c->has_auth = false;
        c->rcpt_max = c->mail_max = 0;
        struct str rest = buf_str(&c->reader.text);
        str_cut(&rest, '\n');
        while (rest.len)
                note_keyword(c, str_cut(&rest, '\n'), discarded);
}

static int await_helo(struct client *c, struct arena *arena, struct trouble *trouble)
{
        const struct params *p = c->transport->params;
        struct str helo = arena_printf(arena, "HELO %.*s\r\n", STR_ARG(p->smtp_helo_name));
        int rc = await_command(c, helo, p->smtp_helo_timeout);
        if (rc < 0 || c->reader.code / 100 != 2)
                return give_up(c, AT_HELO, rc, arena, trouble);
        note_name(c, 1);
        return 0;
}

static int await_ehlo(struct client *c, struct arena *arena, struct trouble *trouble)
{
        const struct params *p = c->transport->params;
        if ((p->smtp_never_send_ehlo || c->is_without_esmtp) && !c->is_lmtp)
                return await_helo(c, arena, trouble);
        struct str ehlo = arena_printf(arena, "%s %.*s\r\n", c->is_lmtp ? "LHLO" : "EHLO",
                                       STR_ARG(p->smtp_helo_name));
        int rc = await_command(c, ehlo, p->smtp_helo_timeout);
        if (rc < 0)
                return give_up(c, AT_EHLO, rc, arena, trouble);
        if (c->reader.code / 100 == 5 && !c->is_lmtp)
                return await_helo(c, arena, trouble);
        if (c->reader.code / 100 != 2)
                return give_up(c, AT_EHLO, 0, arena, trouble);
        note_name(c, 1);
        struct str discarded;
        struct why why;
        if (await_discarded(c, arena, &discarded, &why) < 0) {
                *trouble = *client_trouble_say(false, "4.3.0", arena_str(arena, str_from(why.text)),
                                               arena);
                return -ECONNABORTED;
        }
        note_keywords(c, discarded);
        return 0;
}

/* ---- TLS ---- */

static struct str server_name(const struct client *c)
{
        struct str name = c->terms->rule->servername;
        if (str_eq(name, STR("nexthop")))
                name = c->terms->rule->nexthop_name;
        else if (str_eq(name, STR("hostname")))
                name = str_from(c->host);
        /* RFC 6066 3: no literals */
        return str_eq(name, str_from(c->address)) ? STR("") : name;
}

/* Is the peer who the rule wants? *problem says why not. */
static bool is_wanted_peer(const struct client *c, const struct tls_peer *peer, struct arena *arena,
                           const char **problem)
{
        const struct tls_rule *rule = c->terms->rule;
        struct str rest = rule->matches;
        struct str name;
        if (rule->level < TLS_LEVEL_FINGERPRINT)
                return true;
        *problem = "not verified";
        if (rule->level != TLS_LEVEL_FINGERPRINT && !peer->is_trusted) {
                *problem = "not trusted";
                return false;
        }
        while (tls_rule_next_match(rule, &rest, str_from(c->host), arena, &name)) {
                bool is_match =
                        rule->level == TLS_LEVEL_FINGERPRINT
                                ? str_eq_nocase(name, str_from(peer->fingerprint)) ||
                                          str_eq_nocase(name, str_from(peer->key_fingerprint))
                                : wire_tls_peer_is(c->wire, name,
                                                   c->transport->params
                                                           ->tls_wildcard_matches_multiple_labels);
                if (is_match)
                        return true;
        }
        return false;
}

static void log_tls(const struct client *c, const struct tls_peer *peer, bool is_wanted)
{
        char what[160];
        if (c->transport->params->smtp_tls_loglevel < 1)
                return;
        const char *who = is_wanted && c->terms->rule->level >= TLS_LEVEL_FINGERPRINT ? "Verified"
                          : peer->is_trusted                                          ? "Trusted"
                          : peer->has_certificate                                     ? "Untrusted"
                                                                                      : "Anonymous";
        wire_tls_describe(c->wire, what, sizeof(what));
        log_client(c, LOG_LEVEL_INFO, "%s TLS connection established to %s: %s", who, c->relay,
                   what);
}

/* The handshake has been made: with whom? */
static int check_peer(struct client *c, struct arena *arena, struct trouble *trouble)
{
        struct tls_peer peer;
        const char *problem = NULL;
        wire_tls_peer(c->wire, c->transport->params->smtp_tls_fingerprint_digest, &peer);
        bool is_wanted = is_wanted_peer(c, &peer, arena, &problem);
        log_tls(c, &peer, is_wanted);
        bool is_verified = is_wanted && c->terms->rule->level >= TLS_LEVEL_FINGERPRINT;
        c->cover = is_verified ? SASL_UNDER_VERIFIED_TLS : SASL_UNDER_TLS;
        if (is_wanted)
                return 0;
        c->is_dead = true;
        bool is_name = peer.is_trusted || c->terms->rule->level == TLS_LEVEL_FINGERPRINT;
        struct str text = arena_printf(arena, "Server certificate %s%s%s", problem,
                                       is_name ? "" : ": ", is_name ? "" : peer.problem);
        *trouble = *client_trouble_say(false, "4.7.5", text, arena);
        return -ECONNABORTED;
}

/* The rule's own trust anchors (tafile=), read anew each time: a file that has changed counts at once. */
struct anchors_work {
        struct str files;
        struct tls_anchors *anchors;
        struct why *why;
};

static int load_anchors(void *arg)
{
        struct anchors_work *w = arg;
        w->anchors = tls_anchors_load(w->files, w->why);
        return w->anchors ? 0 : -EINVAL;
}

static int await_connect_tls(struct client *c, struct tls_request *request, struct why *why)
{
        struct anchors_work work = {.files = c->terms->rule->anchor_files, .why = why};
        int rc = 0;
        if (work.files.len)
                rc = await_pool_run("reading", work.files, load_anchors, &work);
        request->anchors = work.anchors;
        if (rc == 0)
                rc = await_wire_tls_connect(c->wire, c->transport->tls, request,
                                            until(c->transport->params->smtp_starttls_timeout),
                                            why);
        tls_anchors_free(&work.anchors);
        return rc;
}

static int await_handshake(struct client *c, struct arena *arena, struct trouble *trouble)
{
        struct why why;
        const struct tls_rule *rule = c->terms->rule;
        struct tls_request request = {
                .name = server_name(c),
                .protocols = rule->protocols,
                .ciphers = rule->ciphers,
                .excluded = rule->excluded,
                /* a session is of one place, one transport and one degree of trust */
                .session = arena_printf(arena, "%.*s %s %d %.*s %.*s", STR_ARG(c->transport->name),
                                        c->relay, rule->level, STR_ARG(rule->servername),
                                        STR_ARG(rule->anchor_files)),
        };
        int rc = await_connect_tls(c, &request, &why);
        if (rc == 0)
                return check_peer(c, arena, trouble);
        c->is_dead = true;
        struct str text = arena_printf(arena, "Cannot start TLS with %s[%s]: %s", c->host,
                                       c->address, why.text);
        *trouble = *client_trouble_say(false, "4.7.5", text, arena);
        return rc == -ECANCELED ? rc : -EPROTO;
}

static int tls_is_missing(struct client *c, struct str why, struct arena *arena,
                          struct trouble *trouble)
{
        *trouble = *client_trouble_say(false, "4.7.4",
                                       arena_printf(arena, "TLS is required, but %.*s %s[%s]",
                                                    STR_ARG(why), c->host, c->address),
                                       arena);
        return -ECONNABORTED;
}

static int await_starttls(struct client *c, struct arena *arena, struct trouble *trouble)
{
        const struct transport *t = c->transport;
        bool needs_tls = tls_rule_needs_tls(c->terms->rule);
        if (!c->has_starttls)
                return needs_tls ? tls_is_missing(c, STR("was not offered by host"), arena, trouble)
                                 : 0;
        int rc = await_command(c, STR("STARTTLS\r\n"), t->params->smtp_starttls_timeout);
        if (rc < 0)
                return give_up(c, AT_STARTTLS, rc, arena, trouble);
        if (c->reader.code != 220) {
                if (needs_tls)
                        return tls_is_missing(c, STR("was refused by host"), arena, trouble);
                return c->is_dead ? give_up(c, AT_STARTTLS, 0, arena, trouble) : 0;
        }
        wire_discard_input(c->wire); /* what came before the handshake is anybody's */
        rc = await_handshake(c, arena, trouble);
        return rc < 0 ? rc : await_ehlo(c, arena, trouble);
}

/* ---- open and close ---- */

static bool bind_address(const struct params *p, sa_family_t family, struct host_address *out)
{
        struct str text = family == AF_INET6 ? p->smtp_bind_address6 : p->smtp_bind_address;
        char z[64];
        if (text.len == 0 || text.len >= sizeof(z))
                return false;
        snprintf(z, sizeof(z), "%.*s", STR_ARG(text));
        snprintf(out->text, sizeof(out->text), "%s", z);
        out->to.any.sa_family = family;
        if (family == AF_INET6) {
                out->to_len = sizeof(out->to.v6);
                return inet_pton(AF_INET6, z, &out->to.v6.sin6_addr) == 1;
        }
        out->to_len = sizeof(out->to.v4);
        return inet_pton(AF_INET, z, &out->to.v4.sin_addr) == 1;
}

static int await_connect(struct client *c, const struct host_address *a, struct arena *arena,
                         struct trouble *trouble)
{
        const struct params *p = c->transport->params;
        struct host_address from = {0};
        bool is_bound =
                a->to.any.sa_family != AF_UNIX && bind_address(p, a->to.any.sa_family, &from);
        struct wire_source source = {
                .address = is_bound ? &from.to.any : NULL,
                .address_len = from.to_len,
                .window_bytes = (int)p->tcp_windowsize,
        };
        struct why why;
        int64_t deadline_ms = until(p->smtp_connect_timeout);
        int rc = await_wire_connect(&a->to.any, a->to_len, &source, deadline_ms, &c->wire, &why);
        if (rc == -EADDRNOTAVAIL && is_bound && !p->smtp_bind_address_enforce) {
                log_client(c, LOG_LEVEL_WARNING, "cannot send from the address %s; using another",
                           from.text);
                source.address = NULL;
                rc = await_wire_connect(&a->to.any, a->to_len, &source, deadline_ms, &c->wire,
                                        &why);
        }
        if (rc == 0)
                return 0;
        c->is_dead = true;
        *trouble = *client_trouble_say(
                false, "4.4.1",
                arena_printf(arena, "connect to %s: %s", c->relay,
                             rc == -ETIMEDOUT ? "Connection timed out" : why.text),
                arena);
        return rc == -ECANCELED ? rc : -ENOTCONN;
}

static int await_introduction(struct client *c, struct arena *arena, struct trouble *trouble)
{
        const struct transport *t = c->transport;
        bool has_tls = t->tls && c->terms->rule->level > TLS_LEVEL_NONE;
        bool is_wrapped = has_tls && t->params->smtp_tls_wrappermode;
        int rc = is_wrapped ? await_handshake(c, arena, trouble) : 0;
        if (rc == 0)
                rc = await_greeting(c, arena, trouble);
        if (rc == 0)
                rc = await_ehlo(c, arena, trouble);
        if (rc == 0 && !has_tls && c->has_starttls && t->params->smtp_tls_note_starttls_offer)
                log_client(c, LOG_LEVEL_INFO, "Host offered STARTTLS: [%s]", c->host);
        if (rc == 0 && has_tls && !is_wrapped)
                rc = await_starttls(c, arena, trouble);
        return rc < 0 ? rc : await_client_sign_in(c, c->terms->login, arena, trouble);
}

static struct client *client_new(const struct transport *t, const struct host_address *a,
                                 const struct client_terms *terms)
{
        struct client *c = calloc(1, sizeof(*c));
        check(c);
        c->transport = t;
        c->terms = terms;
        c->is_lmtp = str_eq(t->command, STR("lmtp"));
        c->port = host_address_port(a);
        snprintf(c->host, sizeof(c->host), "%.*s", STR_ARG(a->name));
        snprintf(c->address, sizeof(c->address), "%s", a->text);
        int len = snprintf(c->relay, sizeof(c->relay), "%s[%s]", c->host, c->address);
        if (c->port)
                snprintf(c->relay + len, sizeof(c->relay) - (size_t)len, ":%u", c->port);
        smtp_reply_reader_init(&c->reader);
        return c;
}

static bool is_debugged(const struct client *c, const struct client_terms *terms)
{
        return terms->policy &&
               (policy_debugs(terms->policy, str_from(c->host), str_from(c->address)) ||
                policy_debugs(terms->policy, terms->rule->nexthop_name, STR("")));
}

int await_client_open(const struct transport *t, const struct host_address *a,
                      const struct client_terms *terms, struct arena *arena, struct client **out,
                      struct trouble *trouble)
{
        struct client *c = client_new(t, a, terms);
        c->is_debugged = is_debugged(c, terms);
        int rc = await_connect(c, a, arena, trouble);
        if (rc == 0)
                rc = await_introduction(c, arena, trouble);
        c->terms = NULL;
        if (rc < 0) {
                client_close(&c);
                *out = NULL;
                return rc;
        }
        c->opened_ms = loop_now_ms();
        *out = c;
        return 0;
}

void client_close(struct client **cp)
{
        struct client *c = *cp;
        *cp = NULL;
        if (!c)
                return;
        if (c->wire && !c->is_dead)
                client_put(c, STR("QUIT\r\n")); /* leaves with wire_free() */
        wire_free(&c->wire);
        smtp_reply_reader_done(&c->reader);
        free(c);
}

bool client_is_usable(struct client *c)
{
        const struct params *p = c->transport->params;
        if (c->is_dead)
                return false;
        if (p->smtp_sasl_auth_enable && p->smtp_sender_dependent_authentication)
                return false; /* the next sender is somebody else there */
        if (p->smtp_connection_reuse_count_limit &&
            c->message_count >= p->smtp_connection_reuse_count_limit)
                return false;
        if (c->mail_max && c->message_count >= c->mail_max)
                return false;
        if (loop_now_ms() - c->opened_ms >= p->smtp_connection_reuse_time_limit)
                return false;
        /* input now is a farewell: 421, or the end of the connection */
        if (wire_is_broken(c->wire) || wire_has_input(c->wire))
                c->is_dead = c->is_lost = true;
        return !c->is_dead;
}
