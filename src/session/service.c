/* service.c - what one inet service of master.cf is made of */
#include "base/check.h"
#include "session/session_private.h"

#include <errno.h>

struct session_service *session_service_new(const struct session_service_parts *parts)
{
        struct session_service *s = calloc(1, sizeof(*s));
        check(s);
        s->refs = 1;
        s->parts = *parts;
        config_ref(parts->config);
        policy_ref(parts->policy);
        routes_ref(parts->routes);
        tls_context_ref(parts->tls);
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
        policy_unref(&s->parts.policy);
        config_unref(&s->parts.config);
        free(s);
}

/* The first file of smtpd_tls_chain_files holds key and certificates; several keys are for later. */
static struct str first_word(struct str list)
{
        struct str word;
        str_next_word(&list, ", \t\r\n", &word);
        return word;
}

int session_tls_new(const struct params *p, struct tls_context **out, struct why *why)
{
        *out = NULL;
        if (p->smtpd_tls_security_level <= TLS_LEVEL_NONE)
                return 0;
        struct tls_options o = {.is_server = true, .ca_file = p->smtpd_tls_CAfile};
        if (!str_is_empty(p->smtpd_tls_chain_files)) {
                o.chain_file = first_word(p->smtpd_tls_chain_files);
        } else {
                o.chain_file = p->smtpd_tls_cert_file;
                o.key_file = p->smtpd_tls_key_file;
        }
        bool is_mandatory = p->smtpd_tls_security_level == TLS_LEVEL_ENCRYPT;
        o.protocols = is_mandatory ? p->smtpd_tls_mandatory_protocols : p->smtpd_tls_protocols;
        *out = tls_context_new(&o, why);
        return *out ? 0 : -EINVAL;
}
