/* service.c - what one inet service of master.cf is made of */
#include "base/check.h"
#include "session/proxy.h"
#include "session/session_private.h"

#include <errno.h>

/* What is wrong was found when the configuration was read: session_proxy_check(). */
static struct proxy_filter *make_proxy_filter(const struct params *params, struct arena *arena)
{
        struct proxy_filter filter;
        const char *parameter;
        struct why why;
        if (proxy_filter_parse(params, arena, &filter, &parameter, &why) < 0 ||
            str_is_empty(filter.endpoint.text))
                return NULL;
        struct proxy_filter *kept = arena_new(arena, struct proxy_filter);
        *kept = filter;
        return kept;
}

void session_proxy_check(const struct config *c, const struct params *params,
                         struct findings *findings)
{
        struct proxy_filter filter;
        const char *parameter;
        struct why why;
        struct arena arena;
        arena_init(&arena, 0);
        if (proxy_filter_parse(params, &arena, &filter, &parameter, &why) < 0)
                findings_add(findings, SEVERITY_ERROR, "bad-proxy-filter",
                             config_place(c, parameter), NULL, "%s: %s", parameter, why.text);
        arena_done(&arena);
}

struct session_service *session_service_new(const struct session_service_parts *parts)
{
        struct session_service *s = calloc(1, sizeof(*s));
        check(s);
        s->refs = 1;
        s->parts = *parts;
        config_ref(parts->config);
        policy_ref(parts->policy);
        if (parts->stressed_policy)
                policy_ref(parts->stressed_policy);
        dns_ref(parts->dns);
        cleanup_rules_ref(parts->cleanup);
        milter_set_ref(parts->milters);
        routes_ref(parts->routes);
        tls_context_ref(parts->tls);
        arena_init(&s->arena, 0);
        s->proxy_filter = make_proxy_filter(&parts->service->params, &s->arena);
        return s;
}

struct session_service *session_service_ref(struct session_service *s)
{
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        return s;
}

void session_service_unref(struct session_service **sp)
{
        struct session_service *s = *sp;
        *sp = NULL;
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL))
                return;
        tls_context_unref(&s->parts.tls);
        routes_unref(&s->parts.routes);
        cleanup_rules_unref(&s->parts.cleanup);
        milter_set_unref(&s->parts.milters);
        policy_unref(&s->parts.policy);
        policy_unref(&s->parts.stressed_policy);
        dns_unref(&s->parts.dns);
        config_unref(&s->parts.config);
        arena_done(&s->arena);
        free(s);
}

/* smtpd_tls_chain_files, when it is set, stands for all other files */
static void name_files(const struct params *p, struct tls_options *o)
{
        o->ca_file = p->smtpd_tls_CAfile;
        o->ca_dir = p->smtpd_tls_CApath;
        if (!str_is_empty(p->smtpd_tls_chain_files)) {
                o->chain_file = p->smtpd_tls_chain_files;
                return;
        }
        o->chain_file = p->smtpd_tls_cert_file;
        o->key_file = p->smtpd_tls_key_file;
        o->ec_chain_file = p->smtpd_tls_eccert_file;
        o->ec_key_file = p->smtpd_tls_eckey_file;
        o->dsa_chain_file = p->smtpd_tls_dcert_file;
        o->dsa_key_file = p->smtpd_tls_dkey_file;
}

static bool needs_tls(const struct params *p)
{
        return p->smtpd_tls_security_level == TLS_LEVEL_ENCRYPT || p->smtpd_tls_wrappermode;
}

/* smtpd_tls_eecdh_grade */
static struct str groups_of(const struct params *p, struct arena *arena)
{
        if (p->smtpd_tls_eecdh_grade == EECDH_STRONG)
                return p->tls_eecdh_strong_curve;
        if (p->smtpd_tls_eecdh_grade == EECDH_ULTRA)
                return p->tls_eecdh_ultra_curve;
        return config_tls_groups(p, arena);
}

bool session_needs_certificate(const struct params *p)
{
        return p->smtpd_tls_req_ccert && needs_tls(p);
}

int session_tls_new(const struct params *p, struct tls_context **out, struct why *why)
{
        *out = NULL;
        if (p->smtpd_tls_security_level <= TLS_LEVEL_NONE && !p->smtpd_tls_wrappermode)
                return 0;
        bool is_mandatory = needs_tls(p);
        struct arena arena;
        arena_init(&arena, 0);
        struct tls_options o = {
                .is_server = true,
                .protocols =
                        is_mandatory ? p->smtpd_tls_mandatory_protocols : p->smtpd_tls_protocols,
                .ciphers = config_cipher_list(
                        p, (enum tls_grade)(is_mandatory ? p->smtpd_tls_mandatory_ciphers
                                                         : p->smtpd_tls_ciphers)),
                .excluded = p->smtpd_tls_exclude_ciphers,
                .curves = groups_of(p, &arena),
                .dh_file = p->smtpd_tls_dh1024_param_file,
                .workarounds_off = p->tls_disable_workarounds,
                .ssl_options = p->tls_ssl_options,
                .prefers_own_ciphers = p->tls_preempt_cipherlist,
                .asks_certificate = p->smtpd_tls_ask_ccert || session_needs_certificate(p),
                .depth_max = (int)p->smtpd_tls_ccert_verifydepth,
                .has_default_ca = p->tls_append_default_CA,
        };
        if (is_mandatory)
                o.excluded =
                        arena_printf(&arena, "%.*s %.*s", STR_ARG(p->smtpd_tls_exclude_ciphers),
                                     STR_ARG(p->smtpd_tls_mandatory_exclude_ciphers));
        if (p->smtpd_tls_eecdh_grade == EECDH_NONE)
                o.excluded = arena_printf(&arena, "%.*s kEECDH", STR_ARG(o.excluded));
        if (str_is_empty(p->tls_session_ticket_cipher))
                o.ssl_options = arena_printf(&arena, "%.*s NO_TICKET", STR_ARG(o.ssl_options));
        name_files(p, &o);
        *out = tls_context_new(&o, why);
        arena_done(&arena);
        return *out ? 0 : -EINVAL;
}
