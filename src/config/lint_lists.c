/*
 * lint_lists.c - restriction lists and reply codes: dead block lists, doubtful and unused codes
 *
 * Whether a list lets strangers relay, and old names in it, is found by the room that compiles it
 * (policy).
 */
#include "config/config_private.h"
#include "config/dead_lists.h"

/* Lists that say "your query is refused" by an address, and what a listing really looks like. */
static const struct {
        const char *label; /* the first part of the domain, or after the key */
        const char *filter;
} spamhaus_lists[] = {
        {"zen", "127.0.0.[2..11]"},  {"sbl", "127.0.0.[2..9]"},     {"xbl", "127.0.0.[4..7]"},
        {"pbl", "127.0.0.[10..11]"}, {"sbl-xbl", "127.0.0.[2..9]"}, {"dbl", "127.0.1.[2..99]"},
        {"zrd", "127.0.2.[2..24]"},
};

static void lint_dead_list(struct lint *l, struct str domain, struct place at)
{
        const struct dead_list *dead = dead_list_find(domain);
        if (!dead)
                return;
        findings_add(
                l->findings, SEVERITY_WARNING, "dead-dnsbl", at, "remove this list",
                "%.*s: this block list ended in %s%s%s; it is not asked (as of " DEAD_LISTS_AS_OF
                "; see dnsbl_alive)",
                STR_ARG(list_domain_shown(domain, &l->arena)), dead->ended,
                dead->reason ? ": " : "", dead->reason ? dead->reason : "");
}

static void lint_spamhaus(struct lint *l, struct str domain, bool has_filter, struct place at)
{
        bool is_keyed = str_ends_nocase(domain, STR(".dq.spamhaus.net"));
        if (has_filter || (!is_keyed && !str_ends_nocase(domain, STR(".spamhaus.org"))))
                return;
        struct str rest = domain;
        struct str label = str_cut(&rest, '.');
        if (is_keyed)
                label = str_cut(&rest, '.');
        struct str shown = list_domain_shown(domain, &l->arena);
        for (size_t i = 0; i < sizeof(spamhaus_lists) / sizeof(spamhaus_lists[0]); i++) {
                if (!str_eq_nocase(label, str_from(spamhaus_lists[i].label)))
                        continue;
                struct str cure = arena_printf(&l->arena, "write %.*s=%s", STR_ARG(shown),
                                               spamhaus_lists[i].filter);
                findings_add(l->findings, SEVERITY_WARNING, "dnsbl-without-filter", at, cure.ptr,
                             "%.*s without a filter of its replies: Postfix would take "
                             "127.255.255.254, which means that our question was refused, for a "
                             "listing",
                             STR_ARG(shown));
        }
}

static void lint_dnsbl(struct lint *l, struct str list, struct place at)
{
        struct str rest = list;
        bool has_filter = str_find(list, '=') >= 0;
        struct str domain = str_cut(&rest, '=');
        domain = str_cut(&domain, '*'); /* of postscreen_dnsbl_sites */
        lint_dead_list(l, domain, at);
        lint_spamhaus(l, domain, has_filter, at);
}

static bool asks_dns_list(struct str keyword)
{
        static const char *const words[] = {
                "reject_rbl_client",   "reject_rhsbl_client",         "reject_rhsbl_helo",
                "reject_rhsbl_sender", "reject_rhsbl_recipient",      "permit_dnswl_client",
                "permit_rhswl_client", "reject_rhsbl_reverse_client",
        };
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (str_eq_nocase(keyword, str_from(words[i])))
                        return true;
        return false;
}

static void lint_list(struct lint *l, struct str list, struct place other)
{
        struct str item, before = str_from(NULL);
        while (config_list_next(&list, &item)) {
                struct place at = config_place_of(l->config, item);
                if (at.line == 0)
                        at = other;
                struct str keyword = arena_str_lower(&l->arena, item);
                if (str_eq_nocase(before, STR("warn_if_reject")) &&
                    str_starts(keyword, STR("permit")))
                        findings_add(l->findings, SEVERITY_WARNING, "warns-of-nothing", at,
                                     "put warn_if_reject in front of what may reject",
                                     "warn_if_reject has no effect on %.*s, which rejects nobody",
                                     STR_ARG(keyword));
                if (asks_dns_list(before))
                        lint_dnsbl(l, item, at);
                else if (str_find(item, ':') >= 0)
                        keyword = STR("check_access");
                map_put(&l->seen, keyword, l);
                before = item;
        }
}

void lint_lists(struct lint *l)
{
        const struct params *p = l->params;
        const struct {
                const char *name;
                struct str list;
        } lists[] = {
                {"smtpd_client_restrictions", p->smtpd_client_restrictions},
                {"smtpd_helo_restrictions", p->smtpd_helo_restrictions},
                {"smtpd_sender_restrictions", p->smtpd_sender_restrictions},
                {"smtpd_relay_restrictions", p->smtpd_relay_restrictions},
                {"smtpd_recipient_restrictions", p->smtpd_recipient_restrictions},
                {"smtpd_data_restrictions", p->smtpd_data_restrictions},
                {"smtpd_end_of_data_restrictions", p->smtpd_end_of_data_restrictions},
                {"smtpd_etrn_restrictions", p->smtpd_etrn_restrictions},
        };
        for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++)
                lint_list(l, lists[i].list, config_place(l->config, lists[i].name));

        struct str sites = p->postscreen_dnsbl_sites, site;
        while (config_list_next(&sites, &site)) {
                struct place at = config_place_of(l->config, site);
                lint_dnsbl(l, site,
                           at.line ? at : config_place(l->config, "postscreen_dnsbl_sites"));
        }
        struct str classes = p->smtpd_restriction_classes, name, text;
        while (config_list_next(&classes, &name)) {
                struct str key = arena_str(&l->arena, name);
                if (config_text(l->config, key, CONFIG_EFFECTIVE_EXPANDED, &l->arena, &text))
                        lint_list(l, text, config_place(l->config, key.ptr));
        }
}

void lint_screen(struct lint *l)
{
        static const char *const tests[] = {
                "postscreen_dnsbl_sites",         "postscreen_dnsbl_action",
                "postscreen_greet_action",        "postscreen_denylist_action",
                "postscreen_blacklist_action",    "postscreen_pipelining_enable",
                "postscreen_bare_newline_enable", "postscreen_non_smtp_command_enable",
        };
        for (size_t i = 0; i < l->config->service_count; i++)
                if (str_eq(l->config->services[i].command, STR("postscreen")))
                        return;
        for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
                if (config_is_set(l->config, tests[i]))
                        findings_add(l->findings, SEVERITY_WARNING, "postscreen-idle",
                                     config_place(l->config, tests[i]),
                                     "in master.cf, write postscreen in place of smtpd",
                                     "%s has no effect: no service in master.cf is postscreen",
                                     tests[i]);
}

/* Which restrictions use a code; "x*" stands for all that begin with x. */
static const struct {
        const char *code;
        const char *users;
} codes[] = {
        {"access_map_defer_code", "check_*"},
        {"access_map_reject_code", "check_*"},
        {"defer_code", "defer"},
        {"invalid_hostname_reject_code", "reject_invalid_*"},
        {"maps_rbl_reject_code", "reject_rbl_* reject_rhsbl_*"},
        {"multi_recipient_bounce_reject_code", "reject_multi_recipient_bounce"},
        {"non_fqdn_reject_code", "reject_non_fqdn_*"},
        {"plaintext_reject_code", "reject_plaintext_session"},
        {"reject_code", "reject"},
        {"unknown_address_reject_code",
         "reject_unknown_sender_domain reject_unknown_recipient_domain reject_unknown_address"},
        {"unknown_client_reject_code",
         "reject_unknown_client reject_unknown_client_hostname "
         "reject_unknown_reverse_client_hostname reject_unknown_forward_client_hostname"},
        {"unknown_hostname_reject_code", "reject_unknown_hostname reject_unknown_helo_hostname"},
};

static bool is_used(const struct lint *l, struct str users)
{
        struct str user;
        const struct map_slot *slot;
        while (str_next_word(&users, " ", &user)) {
                bool is_prefix = str_ends(user, STR("*"));
                struct str prefix = str_part(user, 0, user.len - is_prefix);
                for (size_t i = 0; (slot = map_next(&l->seen, &i));) {
                        struct str key = str_make(slot->key, slot->key_len);
                        if (is_prefix ? str_starts(key, prefix) : str_eq(key, user))
                                return true;
                }
        }
        return false;
}

/* Its value, also of a parameter that has no field; false when it is no reply code. */
static bool find_code(struct lint *l, struct str name, int64_t *code)
{
        struct str text;
        if (!config_text(l->config, name, CONFIG_EFFECTIVE_EXPANDED, &l->arena, &text))
                return false;
        text = str_trim(text);
        *code = 0;
        for (size_t i = 0; i < text.len && text.len == 3; i++)
                *code = char_is_digit(text.ptr[i]) ? *code * 10 + (text.ptr[i] - '0') : 0;
        return *code >= 400 && *code <= 599;
}

/* A code that means something else than the parameter does. */
static void lint_code_meaning(struct lint *l, const char *name, int64_t code, struct place at)
{
        struct str n = str_from(name);
        if (code >= 500 && code <= 503 && !str_eq(n, STR("invalid_hostname_reject_code")))
                findings_add(l->findings, SEVERITY_WARNING, "syntax-error-code", at, "write 550",
                             "%s = %d tells the client that it does not speak SMTP well; 550 says "
                             "that this mail is not wanted",
                             name, (int)code);
        if (code == 421 || code == 521)
                findings_add(l->findings, SEVERITY_WARNING, "closing-code", at, "write 450 or 550",
                             "%s = %d ends the session: other recipients are lost with this one",
                             name, (int)code);
        if (code >= 500 && (str_eq(n, STR("unknown_address_reject_code")) ||
                            str_eq(n, STR("unknown_client_reject_code")) ||
                            str_eq(n, STR("unknown_hostname_reject_code"))))
                findings_add(l->findings, SEVERITY_WARNING, "permanent-code", at, "write 450",
                             "%s = %d: whoever has a mistake in the DNS for an hour loses all mail "
                             "of that hour for good",
                             name, (int)code);
}

void lint_codes(struct lint *l)
{
        const struct declaration *d;
        for (size_t i = 0; (d = declaration_at(i)); i++) {
                bool is_code = str_ends(str_from(d->name), STR("_reject_code")) ||
                               str_ends(str_from(d->name), STR("defer_code")) ||
                               strcmp(d->name, "reject_code") == 0;
                int64_t code;
                if (!is_code || !config_is_set(l->config, d->name) ||
                    !find_code(l, str_from(d->name), &code))
                        continue;
                struct place at = config_place(l->config, d->name);
                const char *users = NULL;
                for (size_t k = 0; k < sizeof(codes) / sizeof(codes[0]); k++)
                        if (strcmp(codes[k].code, d->name) == 0)
                                users = codes[k].users;
                if (users && !is_used(l, str_from(users))) {
                        findings_add(l->findings, SEVERITY_WARNING, "unused-code", at,
                                     "remove the line, or add the restriction",
                                     "%s is used by no restriction here (%s)", d->name, users);
                        continue;
                }
                lint_code_meaning(l, d->name, code, at);
        }
}
