/*
 * store.c - from settings to struct params: each declared parameter expanded, typed and checked
 *
 * Once for main.cf, and again for each service that overrides something.
 */
#include "config/config_private.h"

#include "base/check.h"

static struct place place_or_file(const struct reading *r, struct place at)
{
        return str_is_empty(at.file) ? (struct place){r->config->private->main_file, 0} : at;
}

/* The expanded value, where it lives as long as the configuration. */
int reading_expand(struct reading *r, const struct scope *scope, const struct setting *s,
                   struct str *text, struct place *at, struct why *why)
{
        struct config_private *p = r->config->private;
        *text = s->raw;
        *at = s->at;
        if (str_find(s->raw, '$') < 0)
                return 0;
        int code = expand(scope, s, &r->text, &r->marks, at, why);
        if (code)
                return code;
        *text = arena_str(&p->arena, buf_str(&r->text));
        trace_add(p, *text, &r->marks, s->at);
        *at = s->at;
        return 0;
}

static void store_default(struct reading *r, const struct scope *scope, const struct declaration *d,
                          struct params *params)
{
        struct setting initial = {.raw = str_from(d->initial)};
        struct str text;
        struct place at;
        struct why why;
        /* what the machine found out, for the few that begin with "(" */
        settings_copy(&scope->private->found, str_from(d->name), &initial);
        if (reading_expand(r, scope, &initial, &text, &at, &why) == 0)
                value_store(d, text, params, &why);
}

static void store(struct reading *r, const struct scope *scope, const struct declaration *d,
                  struct params *params)
{
        struct setting s;
        struct str text;
        struct place at;
        struct why why;
        check(scope_find(scope, str_from(d->name), &s));
        int code = 0;
        if (d->kind == KIND_RAW) {
                text = s.raw;
                at = s.at;
        } else {
                code = reading_expand(r, scope, &s, &text, &at, &why);
        }
        if (code) {
                findings_add(r->findings, SEVERITY_ERROR, "bad-reference", place_or_file(r, at),
                             NULL, "%s: %s", d->name, why.text);
        } else {
                code = value_store(d, text, params, &why);
                if (code < 0)
                        findings_add(r->findings, SEVERITY_ERROR, "bad-value", place_or_file(r, at),
                                     NULL, "%s", why.text);
                else if (code)
                        findings_add(r->findings, SEVERITY_WARNING, "time-unit",
                                     place_or_file(r, at),
                                     "write one letter behind the number: s, m, h, d or w", "%s",
                                     why.text);
        }
        if (code < 0)
                store_default(r, scope, d, params);
}

/* smtpd_use_tls and its kin say in old words what the level is, when that is not set. */
static void old_tls_names(struct params *p)
{
        if (p->smtpd_tls_security_level == TLS_LEVEL_UNSET && p->smtpd_enforce_tls)
                p->smtpd_tls_security_level = TLS_LEVEL_ENCRYPT;
        else if (p->smtpd_tls_security_level == TLS_LEVEL_UNSET && p->smtpd_use_tls)
                p->smtpd_tls_security_level = TLS_LEVEL_MAY;
        if (p->smtp_tls_security_level == TLS_LEVEL_UNSET && p->smtp_enforce_tls)
                p->smtp_tls_security_level =
                        p->smtp_tls_enforce_peername ? TLS_LEVEL_VERIFY : TLS_LEVEL_ENCRYPT;
        else if (p->smtp_tls_security_level == TLS_LEVEL_UNSET && p->smtp_use_tls)
                p->smtp_tls_security_level = TLS_LEVEL_MAY;
        if (p->lmtp_tls_security_level == TLS_LEVEL_UNSET && p->lmtp_enforce_tls)
                p->lmtp_tls_security_level =
                        p->lmtp_tls_enforce_peername ? TLS_LEVEL_VERIFY : TLS_LEVEL_ENCRYPT;
        else if (p->lmtp_tls_security_level == TLS_LEVEL_UNSET && p->lmtp_use_tls)
                p->lmtp_tls_security_level = TLS_LEVEL_MAY;
}

static void store_all(struct reading *r, const struct scope *scope, struct params *params)
{
        const struct declaration *d;
        for (size_t i = 0; (d = declaration_at(i)); i++)
                if (d->fate == CONFIG_HONOURED)
                        store(r, scope, d, params);
        old_tls_names(params);
}

/* The parameters that main.cf sets for this service by NAME_destination_... */
static void store_for_service(struct reading *r, const struct scope *scope, struct params *params)
{
        const struct declaration *d;
        struct setting own;
        for (size_t i = 0; (d = declaration_at(i)); i++)
                if (d->fate == CONFIG_HONOURED && scope_find_own(scope, str_from(d->name), &own))
                        store(r, scope, d, params);
}

static size_t kind_bytes(enum param_kind kind)
{
        switch (kind) {
        case KIND_STR:
        case KIND_RAW:
                return sizeof(struct str);
        case KIND_INT:
        case KIND_TIME:
        case KIND_SIZE:
                return sizeof(int64_t);
        case KIND_BOOL:
                return sizeof(bool);
        case KIND_ENUM:
                return sizeof(int);
        case KIND_SECTION:
                break;
        }
        return 0;
}

/* What the SMTP client reads in the place of an LMTP parameter; false for a name that is none. */
static bool smtp_twin(struct str name, char *out, size_t room)
{
        static const struct {
                struct str lmtp;
                const char *smtp;
        } prefixes[] = {{STR_INIT("lmtp_lhlo_"), "smtp_helo_"},
                        {STR_INIT("lmtp_discard_lhlo_"), "smtp_discard_ehlo_"},
                        {STR_INIT("lmtp_"), "smtp_"}};
        if (str_eq(name, STR("lmtp_assume_final"))) /* SMTP ends nowhere */
                return false;
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
                if (str_starts(name, prefixes[i].lmtp)) {
                        struct str rest = str_tail(name, prefixes[i].lmtp.len);
                        snprintf(out, room, "%s%.*s", prefixes[i].smtp, STR_ARG(rest));
                        return true;
                }
        return false;
}

/* lmtp_x to smtp_x, so that the client reads only the latter. */
static void lmtp_to_smtp(struct params *params)
{
        const struct declaration *from;
        for (size_t i = 0; (from = declaration_at(i)); i++) {
                char twin[128];
                if (from->fate != CONFIG_HONOURED ||
                    !smtp_twin(str_from(from->name), twin, sizeof(twin)))
                        continue;
                const struct declaration *to = declaration_find(str_from(twin));
                check(to && to->fate == CONFIG_HONOURED && to->kind == from->kind);
                memcpy((char *)params + to->offset, (char *)params + from->offset,
                       kind_bytes(to->kind));
        }
}

static void store_service(struct reading *r, const struct service_source *source,
                          struct service *service)
{
        struct config_private *p = r->config->private;
        struct scope scope = {p, &source->overrides, source->service.name};
        *service = source->service;
        service->params = r->config->params;
        service->params.service_name = service->name;
        if (source->overrides.first || p->is_service_name_used)
                store_all(r, &scope, &service->params);
        else
                store_for_service(r, &scope, &service->params);
        if (str_eq(service->command, STR("lmtp")))
                lmtp_to_smtp(&service->params);
}

/* Field by field into the arena: a whole struct service is too large for the stack. */
static const struct service *store_stressed(struct reading *r, const struct service_source *source,
                                            const struct service *service)
{
        struct config_private *p = r->config->private;
        struct scope scope = {p, &source->overrides, source->service.name, .is_stressed = true};
        struct setting stress;
        check(scope_find(&scope, STR("stress"), &stress));
        if (!str_is_empty(stress.at.file) || !str_eq(stress.raw, STR("yes")))
                return NULL;
        struct service *out = arena_new(&p->arena, struct service);
        memcpy(out, service, sizeof(*out));
        store_all(r, &scope, &out->params);
        out->params.service_name = service->name;
        return out;
}

void reading_store_services(struct reading *r)
{
        struct config *c = r->config;
        struct config_private *p = c->private;
        c->services = arena_array(&p->arena, struct service, p->service_count);
        for (int pass = 0; pass < 2; pass++)
                for (const struct service_source *s = p->services; s; s = s->next) {
                        if (s->service.is_inet != (pass == 0) || arena_is_over(&p->arena))
                                continue;
                        struct service *service = &c->services[c->service_count++];
                        store_service(r, s, service);
                        if (service->is_inet)
                                service->stressed = store_stressed(r, s, service);
                }
}

void reading_store_main(struct reading *r)
{
        struct scope scope = {.private = r->config->private};
        store_all(r, &scope, &r->config->params);
}
