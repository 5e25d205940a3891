/*
 * policy.c - a policy's life: made from one service's parameters, counted, freed
 *
 * Making it opens every table that a decision can need, so that a missing file stops the start and
 * not a message. Nothing in it changes afterwards; the tables see to their own reloading.
 */
#include "base/check.h"
#include "base/log.h"
#include "policy/policy_private.h"

struct place policy_place(const struct policy *p, const char *parameter, struct str part)
{
        struct place at = config_place_of(p->config, part);
        return at.line ? at : config_place(p->config, parameter);
}

static bool list_has_word(struct str list, struct str word)
{
        struct str item;
        while (config_list_next(&list, &item))
                if (str_eq_nocase(item, word))
                        return true;
        return false;
}

static struct match_list *open_match(struct policy *p, const char *parameter, struct str text,
                                     enum match_kind kind, bool has_parents,
                                     struct findings *findings)
{
        return match_list_open(p->tables, text, kind, has_parents, policy_place(p, parameter, text),
                               findings);
}

static struct table_list *open_tables(struct policy *p, const char *parameter, struct str text,
                                      struct findings *findings)
{
        return table_list_open(p->tables, text, policy_place(p, parameter, text), findings);
}

/* One by one: patterns are asked other keys than the rest. */
static void open_spf(struct policy *p, struct findings *findings)
{
        const struct params *params = p->params;
        if (params->spf_header_type != SPF_HEADER_NONE &&
            params->spf_header_type != SPF_HEADER_RECEIVED && str_is_empty(params->authserv_id))
                findings_add(findings, SEVERITY_ERROR, "no-authserv-id",
                             config_place(p->config, "authserv_id"), "give it a name of ours",
                             "authserv_id is empty, but spf_header_type wants it");
        struct str rest = params->spf_exception_maps;
        struct str spec;
        p->spf_exceptions = arena_array(&p->arena, struct table *, rest.len / 2 + 1);
        while (config_list_next(&rest, &spec)) {
                struct why why;
                struct place at = policy_place(p, "spf_exception_maps", spec);
                struct table *table = table_open(p->tables, spec, at, findings, &why);
                if (table)
                        p->spf_exceptions[p->spf_exception_count++] = table;
                else
                        findings_add(findings, SEVERITY_ERROR, "bad-table", at, NULL,
                                     "spf_exception_maps: %s", why.text);
        }
}

static void open_all(struct policy *p, struct findings *findings)
{
        const struct params *params = p->params;
        struct str parents = params->parent_domain_matches_subdomains;
#define MATCH(name, kind, has_parents) \
        p->name = open_match(p, #name, params->name, kind, has_parents, findings)
        MATCH(mydestination, MATCH_STRING, false);
        MATCH(virtual_alias_domains, MATCH_DOMAIN, false);
        MATCH(virtual_mailbox_domains, MATCH_DOMAIN, false);
        MATCH(relay_domains, MATCH_DOMAIN, list_has_word(parents, STR("relay_domains")));
        MATCH(fast_flush_domains, MATCH_DOMAIN, list_has_word(parents, STR("fast_flush_domains")));
        p->forbidden_commands =
                open_match(p, "smtpd_forbidden_commands", params->smtpd_forbidden_commands,
                           MATCH_STRING, false, findings);
        p->logged_permits =
                open_match(p, "smtpd_log_access_permit_actions",
                           params->smtpd_log_access_permit_actions, MATCH_STRING, false, findings);
#undef MATCH
        p->screen_interfaces =
                open_match(p, "postscreen_allowlist_interfaces",
                           params->postscreen_allowlist_interfaces, MATCH_ADDRESS, false, findings);
#define TABLES(name) p->name = open_tables(p, #name, params->name, findings)
        TABLES(canonical_maps);
        TABLES(sender_canonical_maps);
        TABLES(recipient_canonical_maps);
        TABLES(virtual_alias_maps);
        TABLES(alias_maps);
        TABLES(transport_maps);
        TABLES(virtual_mailbox_maps);
        TABLES(local_recipient_maps);
        TABLES(mailbox_transport_maps);
        TABLES(fallback_transport_maps);
        TABLES(relay_recipient_maps);
        TABLES(relay_clientcerts);
        TABLES(rbl_reply_maps);
        TABLES(postscreen_dnsbl_reply_map);
#undef TABLES
#define MAP(which, name) p->maps[which] = open_tables(p, #name, params->name, findings)
        MAP(POLICY_COMMAND_FILTER, smtpd_command_filter);
        MAP(POLICY_DISCARD_EHLO, smtpd_discard_ehlo_keyword_address_maps);
        MAP(POLICY_REJECT_FOOTER, smtpd_reject_footer_maps);
        MAP(POLICY_REJECT_FILTER, smtpd_reject_filter_maps);
        MAP(POLICY_LOCAL_LOGIN, local_login_sender_maps);
#undef MAP
        open_spf(p, findings);
        if (policy_local_sends_on(params))
                p->system_users =
                        open_tables(p, "local_transport", STR("unix:passwd.byname"), findings);
        p->transport_has_parents = list_has_word(parents, STR("transport_maps"));
        p->access_has_parents = list_has_word(parents, STR("smtpd_access_maps"));
        p->propagates_extensions =
                list_has_word(params->propagate_unmatched_extensions, STR("virtual"));
}

static void open_networks(struct policy *p, struct findings *findings)
{
        const struct params *params = p->params;
        networks_own(&p->own, params->inet_interfaces, params->proxy_interfaces, &p->arena);
#define NETWORKS(to, name)                                                                      \
        networks_compile(&p->to, params->name, policy_place(p, #name, params->name), p->tables, \
                         &p->arena, findings)
        NETWORKS(mynetworks, mynetworks);
        NETWORKS(mx_backup, permit_mx_backup_networks);
        NETWORKS(core_relays, core_relays);
        NETWORKS(hidden, hidden_clients);
        NETWORKS(balancers, smtpd_upstream_proxy_networks);
#undef NETWORKS
        struct str parents = params->parent_domain_matches_subdomains;
#define CLIENTS(to, name, style)                                                      \
        client_list_compile(&p->to, params->name, list_has_word(parents, STR(style)), \
                            policy_place(p, #name, params->name), p->tables, &p->arena, findings)
        CLIENTS(xclient, smtpd_authorized_xclient_hosts, "smtpd_authorized_xclient_hosts");
        CLIENTS(xforward, smtpd_authorized_xforward_hosts, "smtpd_authorized_xforward_hosts");
        CLIENTS(verp, smtpd_authorized_verp_clients, "smtpd_authorized_verp_clients");
        CLIENTS(unlimited, smtpd_client_event_limit_exceptions,
                "smtpd_client_event_limit_exceptions");
        CLIENTS(debug_peers, debug_peer_list, "debug_peer_list");
        /* the name that Postfix looks for in parent_domain_matches_subdomains */
        CLIENTS(bare_newline, smtpd_forbid_bare_newline_exclusions, "mynetworks");
#undef CLIENTS
}

static void lint_budget(const struct policy *p, struct findings *findings)
{
        int64_t questions;
        struct why why;
        struct str text = p->params->dnsbl_query_budget;
        if (dnsbl_budget_parse(text, STR(""), &questions, &why) < 0)
                findings_add(findings, SEVERITY_ERROR, "bad-budget",
                             policy_place(p, "dnsbl_query_budget", text), NULL,
                             "dnsbl_query_budget: %s", why.text);
}

struct policy *policy_new(struct config *c, const struct params *params, struct table_set *tables,
                          struct dns *dns, struct findings *findings)
{
        struct policy *p = calloc(1, sizeof(*p));
        check(p);
        p->refs = 1;
        arena_init(&p->arena, 0);
        map_init(&p->classes);
        p->config = config_ref(c);
        p->params = params;
        p->tables = table_set_ref(tables);
        p->dns = dns ? dns_ref(dns) : NULL;
        open_networks(p, findings);
        open_all(p, findings);
        template_filter_parse(params->smtpd_expansion_filter, &p->reply_filter);
        p->dns_filter = dns_filter_open(c, "smtpd_dns_reply_filter", params->smtpd_dns_reply_filter,
                                        tables, &p->arena, findings);
        p->dnsbl_rules = (struct dnsbl_rules){.test_ms = params->dnsbl_test_interval,
                                              .retry_ms = params->dnsbl_retry_interval,
                                              .alive = params->dnsbl_alive,
                                              .budget = params->dnsbl_query_budget};
        lint_budget(p, findings);
        policy_compile(p, findings);
        policy_compile_screen(p, findings);
        policy_lint_open_relay(p, findings);
        policy_lint_unreachable(p, findings);
        policy_lint_verification(p, findings);
        policy_lint_role_addresses(p, findings);
        policy_lint_foreign_aliases(p, findings);
        return p;
}

struct policy *policy_ref(struct policy *p)
{
        unsigned before = __atomic_fetch_add(&p->refs, 1, __ATOMIC_RELAXED);
        check(before > 0);
        return p;
}

void policy_unref(struct policy **p)
{
        struct policy *old = *p;
        *p = NULL;
        if (!old || __atomic_sub_fetch(&old->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        for (size_t i = 0; i < old->dnsbl_list_count; i++)
                dnsbl_list_put(&old->dnsbl_lists[i]);
        free(old->dnsbl_lists);
        table_set_free(&old->tables);
        dns_unref(&old->dns);
        config_unref(&old->config);
        map_done(&old->classes);
        arena_done(&old->arena);
        free(old);
}

struct dnsbl_list *policy_dnsbl(struct policy *p, struct str domain, enum dnsbl_kind kind)
{
        struct dnsbl_list *list = dnsbl_list_get(domain, kind, &p->dnsbl_rules);
        if (!list)
                return NULL;
        if (p->dnsbl_list_count == p->dnsbl_list_room) {
                p->dnsbl_list_room = p->dnsbl_list_room ? p->dnsbl_list_room * 2 : 8;
                p->dnsbl_lists =
                        realloc(p->dnsbl_lists, p->dnsbl_list_room * sizeof(*p->dnsbl_lists));
                check(p->dnsbl_lists);
        }
        p->dnsbl_lists[p->dnsbl_list_count++] = list;
        return list;
}

/* ---- networks ---- */

/* For the questions that can only be answered with yes or no: what cannot be asked is a no. */
static bool is_in(const struct networks *n, const unsigned char bits[16])
{
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        enum table_result found = await_networks_find(n, bits, &arena, &why);
        arena_done(&arena);
        if (found == TABLE_ERROR)
                log_warning("smtpd", "%s", why.text);
        return found == TABLE_FOUND;
}

bool policy_lets_in(const struct policy *p, const unsigned char client_bits[16])
{
        return str_is_empty(p->params->core_relays) || is_in(&p->core_relays, client_bits);
}

bool policy_hides(const struct policy *p, const unsigned char client_bits[16])
{
        return is_in(&p->hidden, client_bits);
}

struct dns *policy_dns(const struct policy *p)
{
        return p->dns;
}

bool policy_is_mynetwork(const struct policy *p, const unsigned char client_bits[16])
{
        return is_in(&p->mynetworks, client_bits);
}

bool policy_is_own(const struct policy *p, const unsigned char client_bits[16])
{
        return is_in(&p->own, client_bits);
}

bool policy_is_balancer(const struct policy *p, const unsigned char client_bits[16])
{
        return is_in(&p->balancers, client_bits);
}

/* The same for lists of names and addresses. */
static bool is_listed(const struct client_list *l, const struct policy_facts *facts)
{
        struct arena arena;
        struct why why;
        bool is_named = facts->client_name_status == CLIENT_NAME_OK;
        if (l->count == 0)
                return false;
        arena_init(&arena, 0);
        enum table_result found = await_client_list_find(
                l, facts->client_bits, is_named ? facts->client_name : STR(""), &arena, &why);
        arena_done(&arena);
        if (found == TABLE_ERROR)
                log_warning("smtpd", "%s", why.text);
        return found == TABLE_FOUND;
}

bool policy_debugs(const struct policy *p, struct str name, struct str address)
{
        struct policy_facts facts = {.client_name = name, .client_name_status = CLIENT_NAME_OK};
        if (p->params->debug_peer_level < 1)
                return false;
        if (!network_address_parse(address, facts.client_bits))
                memset(facts.client_bits, 0, sizeof(facts.client_bits));
        return is_listed(&p->debug_peers, &facts);
}

bool policy_may_xclient(const struct policy *p, const struct policy_facts *facts)
{
        return is_listed(&p->xclient, facts);
}

bool policy_may_xforward(const struct policy *p, const struct policy_facts *facts)
{
        return is_listed(&p->xforward, facts);
}

bool policy_may_verp(const struct policy *p, const struct policy_facts *facts)
{
        return is_listed(&p->verp, facts);
}

bool policy_is_unlimited(const struct policy *p, const struct policy_facts *facts)
{
        return is_listed(&p->unlimited, facts);
}

bool policy_may_end_lines_in_lf(const struct policy *p, const struct policy_facts *facts)
{
        return is_listed(&p->bare_newline, facts);
}

bool policy_has_map(const struct policy *p, enum policy_map map)
{
        return p->maps[map] && !table_list_is_empty(p->maps[map]);
}

enum table_result await_policy_map_find(struct policy *p, enum policy_map map, struct str key,
                                        struct arena *arena, struct str *value, struct why *why)
{
        return await_table_list_find(p->maps[map], key, arena, value, why);
}

enum table_result await_policy_forbids(struct policy *p, struct str word, struct arena *arena,
                                       struct why *why)
{
        return await_match_list_find(p->forbidden_commands, word, arena, NULL, why);
}

enum table_result await_policy_flushes(struct policy *p, struct str domain, struct arena *arena,
                                       struct why *why)
{
        return await_match_list_find(p->fast_flush_domains, domain, arena, NULL, why);
}
