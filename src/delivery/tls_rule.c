/*
 * tls_rule.c - what TLS has to be towards one next hop
 *
 * How a policy is found, as Postfix does: a next hop in brackets or with a port is asked as it stands; a plain domain
 * also by its parents, ".example.com".
 */
#include "delivery/tls_rule.h"

#include "base/check.h"

#include <errno.h>

enum { OPTION_BYTES_MAX = 4096 };

static const struct {
        struct str name;
        int level;
} levels[] = {
        {STR_INIT("none"), TLS_LEVEL_NONE},       {STR_INIT("may"), TLS_LEVEL_MAY},
        {STR_INIT("encrypt"), TLS_LEVEL_ENCRYPT}, {STR_INIT("fingerprint"), TLS_LEVEL_FINGERPRINT},
        {STR_INIT("verify"), TLS_LEVEL_VERIFY},   {STR_INIT("secure"), TLS_LEVEL_SECURE},
        {STR_INIT("dane"), TLS_LEVEL_DANE},       {STR_INIT("dane-only"), TLS_LEVEL_DANE_ONLY},
};

static int level_find(struct str name)
{
        for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++)
                if (str_eq_nocase(levels[i].name, name))
                        return levels[i].level;
        return -1;
}

/* What the transport's parameters say for this level. */
static void use_level(struct tls_rule *r, const struct params *p, struct arena *arena)
{
        bool is_mandatory = tls_rule_needs_tls(r);
        r->protocols = is_mandatory ? p->smtp_tls_mandatory_protocols : p->smtp_tls_protocols;
        r->ciphers =
                config_cipher_list(p, (enum tls_grade)(is_mandatory ? p->smtp_tls_mandatory_ciphers
                                                                    : p->smtp_tls_ciphers));
        r->excluded = p->smtp_tls_exclude_ciphers;
        if (is_mandatory)
                r->excluded = arena_printf(arena, "%.*s %.*s", STR_ARG(p->smtp_tls_exclude_ciphers),
                                           STR_ARG(p->smtp_tls_mandatory_exclude_ciphers));
        r->matches = STR("");
        r->anchor_files = STR("");
        if (r->level == TLS_LEVEL_VERIFY)
                r->matches = p->smtp_tls_verify_cert_match;
        else if (r->level == TLS_LEVEL_SECURE)
                r->matches = p->smtp_tls_secure_cert_match;
        else if (r->level == TLS_LEVEL_FINGERPRINT)
                r->matches = p->smtp_tls_fingerprint_cert_match;
}

void tls_rule_init(struct tls_rule *r, const struct params *p, struct str nexthop,
                   struct arena *arena)
{
        struct nexthop hop;
        *r = (struct tls_rule){.level = p->smtp_tls_security_level,
                               .servername = p->smtp_tls_servername};
        if (r->level == TLS_LEVEL_UNSET)
                r->level = TLS_LEVEL_NONE;
        if (nexthop_parse(nexthop, 25, &hop) == 0)
                r->nexthop_name = hop.host;
        use_level(r, p, arena);
}

/* ---- a policy's options ---- */

static int set_ciphers(struct tls_rule *r, const struct params *p, struct str value,
                       struct why *why)
{
        static const struct {
                struct str name;
                enum tls_grade grade;
        } grades[] = {{STR_INIT("export"), TLS_GRADE_EXPORT},
                      {STR_INIT("low"), TLS_GRADE_LOW},
                      {STR_INIT("medium"), TLS_GRADE_MEDIUM},
                      {STR_INIT("high"), TLS_GRADE_HIGH},
                      {STR_INIT("null"), TLS_GRADE_NULL}};
        for (size_t i = 0; i < sizeof(grades) / sizeof(grades[0]); i++) {
                if (str_eq_nocase(grades[i].name, value)) {
                        r->ciphers = config_cipher_list(p, grades[i].grade);
                        return 0;
                }
        }
        return why_set(why, -EINVAL, "ciphers=%.*s: use export, low, medium, high or null",
                       STR_ARG(value));
}

static int set_matches(struct tls_rule *r, struct str value, struct arena *arena, struct why *why)
{
        if (r->level < TLS_LEVEL_FINGERPRINT)
                return why_set(
                        why, -EINVAL,
                        "match= means nothing at this level: use it with fingerprint, verify "
                        "or secure");
        /* Fingerprints contain ":": theirs are told apart by "|" alone. */
        char separator = r->level == TLS_LEVEL_FINGERPRINT ? '|' : ':';
        struct str out = r->level == TLS_LEVEL_FINGERPRINT ? r->matches : STR("");
        while (value.len) {
                struct str one = str_cut(&value, separator);
                out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), out.len ? " " : "",
                                   STR_ARG(one));
        }
        r->matches = out;
        return 0;
}

static int add_anchors(struct tls_rule *r, struct str file, struct arena *arena, struct why *why)
{
        if (r->level < TLS_LEVEL_VERIFY)
                return why_set(why, -EINVAL,
                               "tafile= means nothing at this level: use it with verify or secure");
        r->anchor_files = arena_printf(arena, "%.*s %.*s", STR_ARG(r->anchor_files), STR_ARG(file));
        return 0;
}

static int apply_option(struct tls_rule *r, const struct params *p, struct str option,
                        struct arena *arena, struct why *why)
{
        struct str value = option;
        struct str name = str_cut(&value, '=');
        if (name.len == option.len || value.len == 0)
                return why_set(why, -EINVAL, "\"%.*s\": options are name=value", STR_ARG(option));
        if (str_eq_nocase(name, STR("protocols")))
                r->protocols = value;
        else if (str_eq_nocase(name, STR("ciphers")))
                return set_ciphers(r, p, value, why);
        else if (str_eq_nocase(name, STR("exclude")))
                r->excluded =
                        arena_printf(arena, "%.*s %.*s", STR_ARG(r->excluded), STR_ARG(value));
        else if (str_eq_nocase(name, STR("match")))
                return set_matches(r, value, arena, why);
        else if (str_eq_nocase(name, STR("tafile")))
                return add_anchors(r, value, arena, why);
        else if (str_eq_nocase(name, STR("servername")))
                r->servername = value;
        else if (!str_eq_nocase(name,
                                STR("connection_reuse"))) /* connections are always used again */
                return why_set(
                        why, -EINVAL,
                        "unknown option \"%.*s\": use match, tafile, protocols, ciphers, exclude or servername",
                        STR_ARG(name));
        return 0;
}

int tls_rule_apply(struct tls_rule *r, const struct params *p, struct str entry,
                   struct arena *arena, struct why *why)
{
        struct str rest = entry;
        struct str word;
        if (!str_next_word(&rest, ", \t\r\n", &word))
                return why_set(why, -EINVAL, "it is empty");
        int level = level_find(word);
        if (level < 0)
                return why_set(
                        why, -EINVAL,
                        "unknown level \"%.*s\": use none, may, encrypt, fingerprint, verify or secure",
                        STR_ARG(word));
        if (level == TLS_LEVEL_DANE || level == TLS_LEVEL_DANE_ONLY)
                return why_set(why, -EINVAL, "level \"%.*s\" is not available yet", STR_ARG(word));
        r->level = level;
        use_level(r, p, arena);
        while (str_next_word(&rest, ", \t\r\n", &word)) {
                int rc = word.len > OPTION_BYTES_MAX
                                 ? why_set(why, -EINVAL, "an option is too long")
                                 : apply_option(r, p, word, arena, why);
                if (rc < 0)
                        return rc;
        }
        if (level == TLS_LEVEL_FINGERPRINT && r->matches.len == 0)
                return why_set(why, -EINVAL, "level fingerprint needs match=FINGERPRINT");
        return 0;
}

/* ---- finding a policy ---- */

static enum table_result await_find(const struct transport *t, struct str nexthop,
                                    struct arena *arena, struct str *entry, struct why *why)
{
        struct nexthop hop;
        bool is_domain =
                nexthop_parse(nexthop, 25, &hop) == 0 && hop.wants_mx && str_eq(hop.host, nexthop);
        struct str key = nexthop;
        for (;;) {
                enum table_result found =
                        await_table_list_find(t->tls_policies, key, arena, entry, why);
                if (found != TABLE_NOT_FOUND || !is_domain)
                        return found;
                ptrdiff_t dot = str_find(str_tail(key, 1), '.');
                if (dot < 0)
                        return found;
                key = str_tail(key, (size_t)dot + 1);
        }
}

int await_tls_rule(const struct transport *t, struct str nexthop, struct arena *arena,
                   struct tls_rule *out, struct why *why)
{
        struct str entry;
        tls_rule_init(out, t->params, nexthop, arena);
        if (!t->tls_policies || table_list_is_empty(t->tls_policies))
                return 0;
        switch (await_find(t, nexthop, arena, &entry, why)) {
        case TABLE_NOT_FOUND:
                return 0;
        case TABLE_ERROR:
                return -EAGAIN;
        case TABLE_FOUND:
                break;
        }
        struct why wrong;
        if (tls_rule_apply(out, t->params, entry, arena, &wrong) == 0)
                return 0;
        return why_set(why, -EAGAIN, "TLS policy for %.*s: %s", STR_ARG(nexthop), wrong.text);
}

bool tls_rule_next_match(const struct tls_rule *r, struct str *rest, struct str host,
                         struct arena *arena, struct str *out)
{
        const char *separators = r->level == TLS_LEVEL_FINGERPRINT ? "|, \t\r\n" : ":|, \t\r\n";
        if (!str_next_word(rest, separators, out))
                return false;
        if (r->level == TLS_LEVEL_FINGERPRINT)
                return true;
        if (str_eq_nocase(*out, STR("hostname")))
                *out = host;
        else if (str_eq_nocase(*out, STR("nexthop")))
                *out = r->nexthop_name;
        else if (str_eq_nocase(*out, STR("dot-nexthop")))
                *out = arena_printf(arena, ".%.*s", STR_ARG(r->nexthop_name));
        return true;
}
