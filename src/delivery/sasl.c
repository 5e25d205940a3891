/* sasl.c - who we are at a next hop, which mechanism shows it, and what the mechanism says */
#include "delivery/sasl.h"

#include "base/check.h"
#include "delivery/transport.h"

#include <errno.h>
#include <gsasl.h>

/* SCRAM: how often a hash is made is the server's word. 100,000 are some 50 ms. */
enum { ITERATIONS_MAX = 100000 };

enum { NO_PLAINTEXT = 1, NO_ACTIVE = 2, NO_DICTIONARY = 4, NO_ANONYMOUS = 8, MUTUAL_AUTH = 16 };

static const struct {
        const char *name;
        unsigned guards; /* what it guards against */
} mechanisms[SASL_MECHANISMS] = {
        [SASL_SCRAM_SHA_256] = {"SCRAM-SHA-256",
                                NO_PLAINTEXT | NO_ACTIVE | NO_ANONYMOUS | MUTUAL_AUTH},
        [SASL_SCRAM_SHA_1] = {"SCRAM-SHA-1", NO_PLAINTEXT | NO_ACTIVE | NO_ANONYMOUS | MUTUAL_AUTH},
        [SASL_CRAM_MD5] = {"CRAM-MD5", NO_PLAINTEXT | NO_ANONYMOUS},
        [SASL_PLAIN] = {"PLAIN", NO_ANONYMOUS},
        [SASL_LOGIN] = {"LOGIN", NO_ANONYMOUS},
};

static const struct {
        const char *word;
        unsigned guard;
} options[] = {
        {"noplaintext", NO_PLAINTEXT},   {"noactive", NO_ACTIVE},
        {"nodictionary", NO_DICTIONARY}, {"noanonymous", NO_ANONYMOUS},
        {"mutual_auth", MUTUAL_AUTH},
};

const char *sasl_name(enum sasl_mechanism m)
{
        return mechanisms[m].name;
}

unsigned sasl_offered(struct str words)
{
        unsigned found = 0;
        struct str word;
        while (str_next_word(&words, " \t", &word))
                for (unsigned m = 0; m < SASL_MECHANISMS; m++)
                        if (str_eq_nocase(word, str_from(mechanisms[m].name)))
                                found |= 1u << m;
        return found;
}

/* ---- who we are ---- */

static int split_entry(const struct params *p, struct str value, const char *name,
                       struct sasl_login *out, struct why *why)
{
        struct str delimiter = p->smtp_sasl_password_result_delimiter;
        struct str rest = str_trim(value);
        out->user = str_cut(&rest, delimiter.len ? delimiter.ptr[0] : ':');
        out->password = rest;
        if (out->user.len == 0)
                return why_set(why, -EAGAIN, "%s: an entry without a user", name);
        return 0;
}

static int await_entry(const struct transport *t, struct str sender, struct str host,
                       struct str nexthop, struct arena *arena, struct str *value, struct why *why)
{
        struct smtp_address address;
        enum table_result result = TABLE_NOT_FOUND;
        if (t->params->smtp_sender_dependent_authentication && sender.len &&
            smtp_address_parse(sender, arena, &address) == 0) {
                struct table_address key = {.local = address.local,
                                            .domain = address.domain,
                                            .delimiters = t->params->recipient_delimiter};
                result = await_table_list_find_address(t->sasl_passwords, &key, arena, value, NULL,
                                                       why);
        }
        if (result == TABLE_NOT_FOUND)
                result = await_table_list_find(t->sasl_passwords, host, arena, value, why);
        if (result == TABLE_NOT_FOUND)
                result = await_table_list_find(t->sasl_passwords, nexthop, arena, value, why);
        return result == TABLE_ERROR ? -EAGAIN : result == TABLE_FOUND;
}

int await_sasl_login(const struct transport *t, struct str sender, struct str host,
                     struct str nexthop, struct arena *arena, struct sasl_login *out,
                     struct why *why)
{
        const char *name = str_eq(t->command, STR("lmtp")) ? "lmtp_sasl_password_maps"
                                                           : "smtp_sasl_password_maps";
        struct str value = {0};
        *out = (struct sasl_login){0};
        if (!t->params->smtp_sasl_auth_enable)
                return 0;
        if (!t->sasl_passwords)
                return why_set(why, -EAGAIN, "%s could not be opened", name);
        int rc = await_entry(t, sender, host, nexthop, arena, &value, why);
        if (rc < 0)
                return why_prefix(why, rc, "%s", name);
        return rc ? split_entry(t->params, value, name, out, why) : 0;
}

/* ---- which mechanism ---- */

static unsigned guards_wanted(struct str words)
{
        unsigned wanted = 0;
        struct str word;
        while (config_list_next(&words, &word))
                for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
                        if (str_eq_nocase(word, str_from(options[i].word)))
                                wanted |= options[i].guard;
        return wanted;
}

static struct str options_under(const struct params *p, enum sasl_cover cover)
{
        switch (cover) {
        case SASL_IN_CLEAR:
                return p->smtp_sasl_security_options;
        case SASL_UNDER_TLS:
                return p->smtp_sasl_tls_security_options;
        case SASL_UNDER_VERIFIED_TLS:
                return p->smtp_sasl_tls_verified_security_options;
        }
        check(!"a cover of the three");
        return STR("");
}

/* Does smtp_sasl_mechanism_filter let it pass? 1, 0 or -EAGAIN. */
static int await_passes(const struct transport *t, enum sasl_mechanism m, struct arena *arena,
                        struct why *why)
{
        if (!t->sasl_mechanisms)
                return 1;
        switch (await_match_list_find(t->sasl_mechanisms, str_from(mechanisms[m].name), arena, NULL,
                                      why)) {
        case TABLE_FOUND:
                return 1;
        case TABLE_NOT_FOUND:
                return 0;
        case TABLE_ERROR:
                break;
        }
        return why_prefix(why, -EAGAIN, "smtp_sasl_mechanism_filter");
}

int await_sasl_choose(const struct transport *t, unsigned offered, enum sasl_cover cover,
                      struct arena *arena, enum sasl_mechanism *out, struct why *why)
{
        unsigned wanted = guards_wanted(options_under(t->params, cover));
        for (unsigned m = 0; m < SASL_MECHANISMS; m++) {
                if (!(offered & 1u << m) || (wanted & ~mechanisms[m].guards))
                        continue;
                int rc = await_passes(t, m, arena, why);
                *out = m;
                if (rc)
                        return rc < 0 ? rc : 0;
        }
        return -ENOENT;
}

/* ---- the configuration ---- */

static void check_options(struct str words, const char *name, struct place at,
                          struct findings *findings)
{
        struct str word;
        while (config_list_next(&words, &word))
                if (!guards_wanted(word))
                        findings_add(findings, SEVERITY_ERROR, "bad-sasl-option", at,
                                     "use noplaintext, noactive, nodictionary, noanonymous, "
                                     "mutual_auth",
                                     "%s: there is no option \"%.*s\"", name, STR_ARG(word));
}

void sasl_read(struct transport *t, struct table_set *tables, struct place maps_at, struct place at,
               struct findings *findings)
{
        const struct params *p = t->params;
        if (!p->smtp_sasl_auth_enable)
                return;
        t->sasl_passwords = table_list_open(tables, p->smtp_sasl_password_maps, maps_at, findings);
        if (!str_is_empty(p->smtp_sasl_mechanism_filter))
                t->sasl_mechanisms = match_list_open(tables, p->smtp_sasl_mechanism_filter,
                                                     MATCH_STRING, false, at, findings);
        if (str_is_empty(p->smtp_sasl_password_maps))
                findings_add(findings, SEVERITY_ERROR, "sasl-without-passwords", at,
                             "set smtp_sasl_password_maps",
                             "transport %.*s signs in at servers, and has no passwords",
                             STR_ARG(t->name));
        check_options(p->smtp_sasl_security_options, "smtp_sasl_security_options", at, findings);
        check_options(p->smtp_sasl_tls_security_options, "smtp_sasl_tls_security_options", at,
                      findings);
        check_options(p->smtp_sasl_tls_verified_security_options,
                      "smtp_sasl_tls_verified_security_options", at, findings);
        bool may_be_clear = p->smtp_tls_security_level < TLS_LEVEL_ENCRYPT &&
                            !p->smtp_tls_wrappermode && !t->tls_policies;
        if (may_be_clear && !(guards_wanted(p->smtp_sasl_security_options) & NO_PLAINTEXT))
                findings_add(findings, SEVERITY_WARNING, "password-in-clear", at,
                             "set smtp_tls_security_level = encrypt, or leave noplaintext in "
                             "smtp_sasl_security_options",
                             "transport %.*s: passwords go readable to a server that offers no TLS",
                             STR_ARG(t->name));
}

/* ---- the exchange ---- */

struct sasl_exchange {
        enum sasl_mechanism mechanism;
        Gsasl *library;
        Gsasl_session *session;
        char *answer;
        size_t steps;
};

static int fail(struct why *why, const char *doing, int code)
{
        return why_set(why, -EPROTO, "%s: %s", doing, gsasl_strerror(code));
}

static void tell(Gsasl_session *session, Gsasl_property property, struct str value)
{
        gsasl_property_set_raw(session, property, value.ptr, value.len);
}

struct sasl_exchange *sasl_exchange_new(enum sasl_mechanism m, const struct sasl_login *login,
                                        struct why *why)
{
        struct sasl_exchange *x = calloc(1, sizeof(*x));
        check(x);
        x->mechanism = m;
        int code = gsasl_init(&x->library);
        if (code == GSASL_OK)
                code = gsasl_client_start(x->library, mechanisms[m].name, &x->session);
        if (code != GSASL_OK) {
                fail(why, mechanisms[m].name, code);
                sasl_exchange_free(&x);
                return NULL;
        }
        tell(x->session, GSASL_AUTHID, login->user);
        tell(x->session, GSASL_PASSWORD, login->password);
        return x;
}

void sasl_exchange_free(struct sasl_exchange **xp)
{
        struct sasl_exchange *x = *xp;
        *xp = NULL;
        if (!x)
                return;
        gsasl_free(x->answer);
        if (x->session)
                gsasl_finish(x->session);
        if (x->library)
                gsasl_done(x->library);
        free(x);
}

/* RFC 5802 5.1: "r=nonce,s=salt,i=4096" */
static bool asks_for_too_much(const char *challenge, size_t len)
{
        struct str rest = str_make(challenge, len);
        while (rest.len) {
                struct str part = str_cut(&rest, ',');
                int64_t count;
                if (str_starts(part, STR("i=")) &&
                    str_to_int64(str_tail(part, 2), 0, ITERATIONS_MAX, &count) < 0)
                        return true;
        }
        return false;
}

int sasl_exchange_step(struct sasl_exchange *x, struct str challenge, struct str *answer,
                       struct why *why)
{
        char *input = NULL;
        size_t input_len = 0;
        char *output = NULL;
        size_t output_len = 0;
        int code = GSASL_OK;
        bool is_first = x->steps++ == 0;
        *answer = STR("");
        if (is_first && x->mechanism == SASL_LOGIN)
                return 0; /* the server speaks first, whatever the library thinks */
        if (challenge.len)
                code = gsasl_base64_from(challenge.ptr, challenge.len, &input, &input_len);
        if (code != GSASL_OK)
                return fail(why, "a challenge that is no base64", code);
        if (asks_for_too_much(input ? input : "", input_len)) {
                gsasl_free(input);
                return why_set(why, -EPROTO, "the server asks for more than %d iterations",
                               ITERATIONS_MAX);
        }
        code = gsasl_step(x->session,
                          is_first && !challenge.len ? NULL
                          : input                    ? input
                                                     : "",
                          input_len, &output, &output_len);
        gsasl_free(input);
        if (code != GSASL_OK && code != GSASL_NEEDS_MORE)
                return fail(why, "a challenge that makes no sense", code);
        gsasl_free(x->answer);
        x->answer = NULL;
        size_t len = 0;
        if (output_len)
                code = gsasl_base64_to(output, output_len, &x->answer, &len);
        gsasl_free(output);
        *answer = str_make(x->answer ? x->answer : "", len);
        return 0;
}
