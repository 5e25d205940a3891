/* site.c - everything that is made from one configuration */
#include "ops/site.h"

#include "base/check.h"
#include "ops/log_setup.h"

static void make_service(struct site *s, size_t i, struct findings *findings)
{
        struct site_service *out = &s->services[i];
        out->service = &s->config->services[i];
        const struct params *params = &out->service->params;
        out->policy = policy_new(s->config, params, s->tables, s->dns, findings);
        if (out->service->stressed)
                out->stressed_policy = policy_new(s->config, &out->service->stressed->params,
                                                  s->tables, s->dns, findings);
        out->cleanup = cleanup_rules_new(s->config, params, s->tables, out->policy, findings);
        bool is_smtp = !str_eq(out->service->command, STR("pickup"));
        out->milters = milter_set_new(s->config, params, is_smtp, s->tables, findings);
        session_proxy_check(s->config, params, findings);
}

struct dns *site_dns_new(const struct params *p, struct why *why)
{
        const struct dns_settings settings = {
                .forward = p->dns_forward,
                .stub = p->dns_stub,
                .wants_validation = p->dns_validation,
                .trust_anchor_file = p->dns_trust_anchor_file,
                .insecure_zones = p->dns_insecure_zones,
                .timeout_ms = p->dns_timeout,
                .cache_bytes_max = p->dns_cache_size_limit,
        };
        return dns_new(&settings, why);
}

static struct dns *make_dns(struct config *c, struct findings *findings)
{
        struct why why;
        struct dns *dns = site_dns_new(&c->params, &why);
        if (!dns) {
                /* the words begin with the parameter's name */
                char parameter[64];
                snprintf(parameter, sizeof(parameter), "%.*s", (int)strcspn(why.text, ":"),
                         why.text);
                findings_add(findings, SEVERITY_ERROR, "bad-dns", config_place(c, parameter), NULL,
                             "%s", why.text);
        }
        return dns;
}

struct site *site_new(struct config *c, struct keys *keys, struct findings *findings)
{
        return site_new_with_dns(c, keys, NULL, findings);
}

struct site *site_new_with_dns(struct config *c, struct keys *keys, struct dns *dns,
                               struct findings *findings)
{
        struct site *s = calloc(1, sizeof(*s));
        check(s);
        s->refs = 1;
        s->config = config_ref(c);
        s->keys = *keys;
        tls_set_session_lifetime(c->params.smtpd_tls_session_cache_timeout);
        *keys = (struct keys){0};
        char *dir = strndup(c->dir.ptr, c->dir.len);
        check(dir);
        s->tables = table_set_new(dir);
        table_set_use_config(s->tables, c);
        free(dir);
        s->dns = dns ? dns_ref(dns) : make_dns(c, findings);
        s->policy = policy_new(c, &c->params, s->tables, s->dns, findings);
        s->cleanup = cleanup_rules_new(c, &c->params, s->tables, s->policy, findings);
        s->routes = routes_new(c, s->tables, s->policy, findings);
        s->mailboxes = core_mailboxes_new(c, s->tables, findings);
        s->service_count = c->service_count;
        s->services = calloc(c->service_count + 1, sizeof(*s->services));
        check(s->services);
        for (size_t i = 0; i < c->service_count; i++)
                if (c->services[i].is_inet || str_eq(c->services[i].command, STR("pickup")))
                        make_service(s, i, findings);
        log_setup_lint(c, findings);
        config_lint(c, findings);
        return s;
}

void site_open(struct site *s, struct spool *spool, struct verify *verify, session_flush *flush,
               void *flush_context, const struct site_hearing *hearing)
{
        for (size_t i = 0; i < s->service_count; i++) {
                struct site_service *service = &s->services[i];
                if (!service->service)
                        continue;
                const struct session_service_parts parts = {
                        .config = s->config,
                        .service = service->service,
                        .policy = service->policy,
                        .stressed_policy = service->stressed_policy,
                        .cleanup = service->cleanup,
                        .milters = service->milters,
                        .routes = s->routes,
                        .tls = s->keys.tls[i],
                        .spool = spool,
                        .dns = s->dns,
                        .verify = verify,
                        .flush = flush,
                        .flush_context = flush_context,
                        .hear = hearing->hear,
                        .hear_context = hearing->context,
                        .hears_all = hearing->hears_all,
                        .is_rehearsal = hearing->is_rehearsal,
                        .is_offline = hearing->is_offline,
                        .await_record = hearing->await_record,
                        .record_context = hearing->record_context,
                };
                service->session = session_service_new(&parts);
        }
}

struct session_service *site_submission(const struct site *s)
{
        for (size_t i = 0; i < s->service_count; i++)
                if (s->services[i].session &&
                    str_eq(s->services[i].service->command, STR("pickup")))
                        return s->services[i].session;
        return NULL;
}

struct site *site_ref(struct site *s)
{
        __atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
        return s;
}

void site_unref(struct site **sp)
{
        struct site *s = *sp;
        *sp = NULL;
        if (!s || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        for (size_t i = 0; i < s->service_count; i++) {
                session_service_unref(&s->services[i].session);
                cleanup_rules_unref(&s->services[i].cleanup);
                milter_set_unref(&s->services[i].milters);
                policy_unref(&s->services[i].policy);
                policy_unref(&s->services[i].stressed_policy);
        }
        free(s->services);
        core_mailboxes_unref(&s->mailboxes);
        routes_unref(&s->routes);
        cleanup_rules_unref(&s->cleanup);
        policy_unref(&s->policy);
        table_set_free(&s->tables);
        dns_unref(&s->dns);
        keys_done(&s->keys);
        config_unref(&s->config);
        free(s);
}

void site_refresh(struct site *s)
{
        table_set_refresh(s->tables);
}
