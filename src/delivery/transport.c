/*
 * transport.c - the ways out: unix services of master.cf (the stock ones are always there), with limits
 * and client TLS taken from their parameters once, at load
 *
 * Postfix's error(8) is two transports by its service's name: as "retry" it defers, else it bounces. So it
 * is here.
 */
#include "delivery/transport.h"

#include "base/check.h"
#include "cleanup/outgoing.h"
#include "delivery/sasl.h"
#include "delivery/tls_rule.h"

#include <errno.h>
#include <math.h>

static const struct {
        struct str command;
        const char *reason; /* NULL: it is here */
} commands[] = {
        {STR_INIT("smtp"), NULL},
        {STR_INIT("lmtp"), NULL},
        {STR_INIT("virtual"), NULL},
        {STR_INIT("error"), NULL},
        {STR_INIT("retry"), NULL},
        {STR_INIT("discard"), NULL},
        {STR_INIT("local"), "there is no local delivery here"},
};

bool transport_command_is_here(struct str command, const char **reason)
{
        *reason = "this program is not part of the system";
        for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
                if (str_eq(commands[i].command, command)) {
                        *reason = commands[i].reason;
                        return !*reason;
                }
        }
        return false;
}

/* ---- the filter of results ---- */

static struct table_list *open_maps(struct str text, const struct config *c,
                                    struct table_set *tables, struct findings *findings)
{
        return text.len ? table_list_open(tables, text, config_place_of(c, text), findings) : NULL;
}

static void open_filter(struct transport *t, const struct config *c, struct table_set *tables,
                        struct findings *findings)
{
        const struct params *p = t->params;
        struct str text = {"", 0};
        if (str_eq(t->command, STR("smtp")) || str_eq(t->command, STR("lmtp")))
                text = p->smtp_delivery_status_filter; /* lmtp_* stand in smtp_* by now */
        else if (str_eq(t->command, STR("virtual")))
                text = p->virtual_delivery_status_filter;
        t->status_filter = open_maps(text, c, tables, findings);
}

/* What servers say is changed, or not listened to. */
static void open_hearing(struct transport *t, const struct config *c, struct table_set *tables,
                         struct findings *findings)
{
        const struct params *p = t->params;
        t->reply_filter = open_maps(p->smtp_reply_filter, c, tables, findings);
        t->discard_maps = open_maps(p->smtp_discard_ehlo_keyword_address_maps, c, tables, findings);
        t->pix_maps = open_maps(p->smtp_pix_workaround_maps, c, tables, findings);
}

/* ---- feedback ---- */

int feedback_parse(struct str text, struct feedback *out)
{
        ptrdiff_t slash = str_find(text, '/');
        struct str number = str_trim(slash < 0 ? text : str_part(text, 0, (size_t)slash));
        struct str divisor = slash < 0 ? STR("") : str_trim(str_tail(text, (size_t)slash + 1));
        *out = (struct feedback){FEEDBACK_PLAIN, 1};
        if (slash >= 0) {
                if (str_eq_nocase(divisor, STR("concurrency")))
                        out->kind = FEEDBACK_BY_CONCURRENCY;
                else if (str_eq_nocase(divisor, STR("sqrt_concurrency")))
                        out->kind = FEEDBACK_BY_SQRT;
                else
                        return -EINVAL;
        }
        char digits[32];
        char *end;
        if (number.len == 0 || number.len >= sizeof(digits) ||
            !(char_is_digit(number.ptr[0]) || number.ptr[0] == '.'))
                return -EINVAL;
        snprintf(digits, sizeof(digits), "%.*s", STR_ARG(number));
        double value = strtod(digits, &end);
        if (*end || !isfinite(value) || value < 0 || value > 1)
                return -EINVAL;
        out->value = value;
        return 0;
}

double feedback_amount(const struct feedback *f, double concurrency)
{
        if (concurrency < 1)
                concurrency = 1;
        switch (f->kind) {
        case FEEDBACK_BY_CONCURRENCY:
                return f->value / concurrency;
        case FEEDBACK_BY_SQRT:
                return f->value / sqrt(concurrency);
        case FEEDBACK_PLAIN:
                break;
        }
        return f->value;
}

static void feedback_read(struct feedback *out, struct str text, const struct config *c,
                          const char *parameter, struct findings *findings)
{
        if (feedback_parse(text, out) == 0)
                return;
        findings_add(findings, SEVERITY_ERROR, "bad-feedback", config_place(c, parameter),
                     "use a number from 0 to 1, number/concurrency or number/sqrt_concurrency",
                     "%s: \"%.*s\" is no concurrency feedback", parameter, STR_ARG(text));
        *out = (struct feedback){FEEDBACK_PLAIN, 1};
}

/* ---- limits ---- */

/* The configuration has put TRANSPORT_destination_... in the place of default_destination_... */
static void read_limits(struct transport *t, const struct config *c, struct findings *findings)
{
        const struct params *p = t->params;
        t->concurrency_initial = p->initial_destination_concurrency;
        t->concurrency_limit = p->default_destination_concurrency_limit;
        t->recipient_limit = p->default_destination_recipient_limit;
        t->destination_pause_ms = p->default_destination_rate_delay;
        t->transport_pause_ms = p->default_transport_rate_delay;
        t->failed_cohort_limit = p->default_destination_concurrency_failed_cohort_limit;
        feedback_read(&t->positive, p->default_destination_concurrency_positive_feedback, c,
                      "default_destination_concurrency_positive_feedback", findings);
        feedback_read(&t->negative, p->default_destination_concurrency_negative_feedback, c,
                      "default_destination_concurrency_negative_feedback", findings);
}

/* ---- TLS ---- */

/* dane must not be silently weaker than it says */
static void refuse_level(const struct transport *t, struct place at, struct findings *findings)
{
        findings_add(
                findings, SEVERITY_ERROR, "tls-level-not-yet", at,
                "use \"secure\" or \"verify\" with smtp_tls_CAfile, or \"encrypt\" (no check of the certificate)",
                "transport %.*s: smtp_tls_security_level: dane and dane-only are not there yet",
                STR_ARG(t->name));
}

struct policy_check {
        const struct transport *t;
        struct place at;
        struct arena *arena;
        struct findings *findings;
};

static bool check_policy(void *context, struct str key, struct str value)
{
        const struct policy_check *p = context;
        struct tls_rule rule;
        struct why why;
        tls_rule_init(&rule, p->t->params, key, p->arena);
        if (tls_rule_apply(&rule, p->t->params, value, p->arena, &why) < 0)
                findings_add(p->findings, SEVERITY_ERROR, "bad-tls-policy", p->at, NULL,
                             "smtp_tls_policy_maps: %.*s: %s", STR_ARG(key), why.text);
        return true;
}

/* Its entries are read once now, as far as they can be: what is wrong in them would make mail wait. */
static void read_policies(struct transport *t, struct table_set *tables, struct place at,
                          struct arena *arena, struct findings *findings)
{
        struct str list = t->params->smtp_tls_policy_maps;
        struct str name;
        struct policy_check check = {t, at, arena, findings};
        t->tls_policies = table_list_open(tables, list, at, findings);
        while (t->tls_policies && config_list_next(&list, &name)) {
                struct why why;
                struct table *table = table_open(tables, name, at, NULL, &why);
                if (table)
                        table_each(table, check_policy, &check);
        }
}

static void read_tls(struct transport *t, const struct config *c, struct table_set *tables,
                     struct place at, struct arena *arena, struct findings *findings)
{
        const struct params *p = t->params;
        struct tls_rule rule;
        tls_rule_init(&rule, p, STR(""), arena); /* old names are settled in config/ */
        if (rule.level == TLS_LEVEL_DANE || rule.level == TLS_LEVEL_DANE_ONLY) {
                refuse_level(t, at, findings);
                return;
        }
        if (rule.level == TLS_LEVEL_FINGERPRINT && rule.matches.len == 0)
                findings_add(
                        findings, SEVERITY_ERROR, "tls-no-fingerprint", at,
                        "set smtp_tls_fingerprint_cert_match",
                        "transport %.*s: level fingerprint, and no fingerprint to compare with",
                        STR_ARG(t->name));
        if (rule.level >= TLS_LEVEL_VERIFY && !p->smtp_tls_CAfile.len && !p->smtp_tls_CApath.len &&
            !p->smtp_tls_trust_anchor_file.len && !p->tls_append_default_CA)
                findings_add(
                        findings, SEVERITY_WARNING, "tls-no-authorities", at,
                        "set smtp_tls_CAfile (Debian: /etc/ssl/certs/ca-certificates.crt)",
                        "transport %.*s: certificates are to be checked, but no authority is known: all mail waits",
                        STR_ARG(t->name));
        if (p->smtp_tls_policy_maps.len)
                read_policies(t, tables, config_place_or(c, p->smtp_tls_policy_maps, at), arena,
                              findings);
        if (rule.level == TLS_LEVEL_NONE && !t->tls_policies)
                return;
        bool has_chain = p->smtp_tls_chain_files.len > 0;
        struct tls_options options = {
                .chain_file = has_chain ? p->smtp_tls_chain_files : p->smtp_tls_cert_file,
                .key_file = has_chain ? STR("") : p->smtp_tls_key_file,
                .ec_chain_file = has_chain ? STR("") : p->smtp_tls_eccert_file,
                .ec_key_file = p->smtp_tls_eckey_file,
                .dsa_chain_file = has_chain ? STR("") : p->smtp_tls_dcert_file,
                .dsa_key_file = p->smtp_tls_dkey_file,
                .ca_file = p->smtp_tls_CAfile,
                .ca_dir = p->smtp_tls_CApath,
                .anchor_file = p->smtp_tls_trust_anchor_file,
                .has_default_ca = p->tls_append_default_CA,
                .depth_max = (int)p->smtp_tls_scert_verifydepth,
                .protocols = rule.protocols,
                .ciphers = rule.ciphers,
                .excluded = rule.excluded,
                .curves = config_tls_groups(p, arena),
                .ssl_options = p->tls_ssl_options,
                .workarounds_off = p->tls_disable_workarounds,
        };
        struct why why;
        t->tls = tls_context_new(&options, &why);
        if (!t->tls)
                findings_add(findings, SEVERITY_ERROR, "tls-client", at, NULL,
                             "transport %.*s: no TLS for sending: %s", STR_ARG(t->name), why.text);
}

/* ---- the set ---- */

const struct transport *transport_find(const struct transport_set *set, struct str name)
{
        for (size_t i = 0; i < set->count; i++)
                if (str_eq(set->transports[i].name, name))
                        return &set->transports[i];
        return NULL;
}

/*
 * Who speaks in the log, behind syslog_name: the program, as in Postfix, with what the service's own syslog_name
 * adds: "relay/smtp" of postfix/relay.
 */
static struct str log_name(const struct config *c, const struct service *s, struct arena *arena)
{
        struct str all = c->params.syslog_name;
        struct str own = s->params.syslog_name;
        if (own.len <= all.len + 1 || !str_starts(own, all) || own.ptr[all.len] != '/')
                return s->command;
        return arena_printf(arena, "%.*s/%.*s", STR_ARG(str_tail(own, all.len + 1)),
                            STR_ARG(s->command));
}

/* defer_transports */
static bool waits_for_flush(const struct config *c, struct str name)
{
        struct str rest = c->params.defer_transports;
        struct str item;
        while (config_list_next(&rest, &item))
                if (str_eq(item, name))
                        return true;
        return false;
}

static void check_defer_transports(const struct transport_set *set, const struct config *c,
                                   struct findings *findings)
{
        struct str rest = c->params.defer_transports;
        struct str item;
        while (config_list_next(&rest, &item))
                if (!transport_find(set, item))
                        findings_add(findings, SEVERITY_WARNING, "unknown-transport",
                                     config_place_of(c, item),
                                     "write names as they stand in the first column of master.cf",
                                     "defer_transports: there is no transport \"%.*s\"",
                                     STR_ARG(item));
}

static void transport_add(struct transport_set *set, const struct config *c,
                          struct table_set *tables, struct policy *policy, const struct service *s,
                          struct arena *arena, struct findings *findings)
{
        struct transport *t = &set->transports[set->count++];
        bool is_retry = str_eq(s->command, STR("error")) && str_eq(s->name, STR("retry"));
        *t = (struct transport){
                .name = s->name,
                .command = is_retry ? STR("retry") : s->command,
                .log_name = log_name(c, s, arena),
                .params = &s->params,
                .process_limit = s->process_limit > 0 ? s->process_limit : 0,
                .waits_for_flush = waits_for_flush(c, s->name),
        };
        read_limits(t, c, findings);
        open_filter(t, c, tables, findings);
        bool is_lmtp = str_eq(t->command, STR("lmtp"));
        if (!is_lmtp && !str_eq(t->command, STR("smtp")))
                return;
        open_hearing(t, c, tables, findings);
        read_tls(t, c, tables, s->at, arena, findings);
        t->dns_filter =
                dns_filter_open(c, is_lmtp ? "lmtp_dns_reply_filter" : "smtp_dns_reply_filter",
                                t->params->smtp_dns_reply_filter, tables, arena, findings);
        sasl_read(t, tables, config_place_or(c, t->params->smtp_sasl_password_maps, s->at), s->at,
                  findings);
        t->outgoing = outgoing_rules_new(c, t->params, is_lmtp, t->log_name, tables, policy, arena,
                                         findings);
}

/* Named in local_transport from the start, and not there: so that its mail says why it waits. */
static void add_local(struct transport_set *set, const struct config *c, struct findings *findings)
{
        if (transport_find(set, STR("local")))
                return;
        struct transport *t = &set->transports[set->count++];
        *t = (struct transport){.name = STR("local"),
                                .command = STR("local"),
                                .log_name = STR("local"),
                                .params = &c->params,
                                .waits_for_flush = waits_for_flush(c, STR("local"))};
        read_limits(t, c, findings);
}

void transport_set_init(struct transport_set *set, const struct config *c, struct table_set *tables,
                        struct policy *policy, struct arena *arena, struct findings *findings)
{
        *set = (struct transport_set){
                .transports = arena_array(arena, struct transport, c->service_count + 1),
        };
        for (size_t i = 0; i < c->service_count; i++)
                if (!c->services[i].is_inet && !str_eq(c->services[i].command, STR("pickup")))
                        transport_add(set, c, tables, policy, &c->services[i], arena, findings);
        add_local(set, c, findings);
        check_defer_transports(set, c, findings);
}

void transport_set_done(struct transport_set *set)
{
        for (size_t i = 0; i < set->count; i++)
                tls_context_unref(&set->transports[i].tls);
}
