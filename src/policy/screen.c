/*
 * screen.c - what postscreen's parameters say about a client: is it let in, turned away, how do the lists score it
 *
 * postscreen_access_list is asked in order until an item says permit, reject or dunno. The sites of
 * postscreen_dnsbl_sites add up: a site counts once, when one of its list's replies passes its filter. A list that
 * does not answer, or is switched off, adds nothing.
 */
#include "policy/policy_private.h"

#include "base/log.h"

/* ---- the access list ---- */

static bool access_word(struct str word, enum screen_access *out)
{
        static const struct {
                struct str word;
                enum screen_access meaning;
        } words[] = {
                {STR_INIT("permit"), SCREEN_PERMIT},
                {STR_INIT("reject"), SCREEN_REJECT},
                {STR_INIT("dunno"), SCREEN_DUNNO},
        };
        for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                if (str_eq_nocase(word, words[i].word)) {
                        *out = words[i].meaning;
                        return true;
                }
        return false;
}

static void compile_access(struct policy *p, struct findings *findings)
{
        struct str rest = p->params->postscreen_access_list;
        struct str item;
        size_t count = 0;
        while (config_list_next(&rest, &item))
                count++;
        p->screen_access = arena_array(&p->arena, struct screen_item, count + 1);
        rest = p->params->postscreen_access_list;
        while (config_list_next(&rest, &item)) {
                struct screen_item *to = &p->screen_access[p->screen_access_count];
                struct place at = policy_place(p, "postscreen_access_list", item);
                struct why why = {""};
                if (str_eq_nocase(item, STR("permit_mynetworks")))
                        to->is_mynetworks = true;
                else if (str_find(item, ':') > 0)
                        to->table = table_open(p->tables, item, at, findings, &why);
                else if (!access_word(item, &to->word))
                        why_set(&why, -1,
                                "\"%.*s\" is not permit_mynetworks, a table, permit, reject or dunno",
                                STR_ARG(str_part(item, 0, 60)));
                if (why.text[0])
                        findings_add(findings, SEVERITY_ERROR, "bad-screen-access", at, NULL,
                                     "postscreen_access_list: %s", why.text);
                else
                        p->screen_access_count++;
        }
}

/* A table says what to do; for an address alone, and not for parts of it. */
static bool await_table_says(const struct screen_item *item, const struct policy_facts *facts,
                             struct arena *arena, enum screen_access *out)
{
        struct str value;
        struct why why;
        switch (await_table_find(item->table, facts->client_address, arena, &value, &why)) {
        case TABLE_NOT_FOUND:
                return false;
        case TABLE_ERROR:
                log_warning("postscreen", "postscreen_access_list: %s", why.text);
                return false;
        case TABLE_FOUND:
                break;
        }
        if (access_word(str_trim(value), out))
                return true;
        log_warning(
                "postscreen",
                "postscreen_access_list: %.*s says \"%.*s\" of %.*s, which is not permit, reject "
                "or dunno",
                STR_ARG(table_name(item->table)), STR_ARG(str_part(value, 0, 60)),
                STR_ARG(facts->client_address));
        return false;
}

enum screen_access await_policy_screen_access(struct policy *p, const struct policy_facts *facts,
                                              struct arena *arena)
{
        for (size_t i = 0; i < p->screen_access_count; i++) {
                const struct screen_item *item = &p->screen_access[i];
                enum screen_access access;
                if (item->table) {
                        if (await_table_says(item, facts, arena, &access))
                                return access;
                } else if (item->is_mynetworks) {
                        if (policy_is_mynetwork(p, facts->client_bits))
                                return SCREEN_PERMIT;
                } else {
                        return item->word;
                }
        }
        return SCREEN_DUNNO;
}

bool await_policy_screen_vouches(struct policy *p, const struct policy_facts *facts,
                                 struct arena *arena)
{
        struct why why;
        if (!p->screen_interfaces)
                return true;
        enum table_result found = await_match_list_find(p->screen_interfaces, facts->server_address,
                                                        arena, NULL, &why);
        if (found == TABLE_ERROR)
                log_warning("postscreen", "postscreen_allowlist_interfaces: %s", why.text);
        return found != TABLE_NOT_FOUND;
}

/* ---- the score ---- */

static void compile_sites(struct policy *p, struct findings *findings)
{
        struct str rest = p->params->postscreen_dnsbl_sites;
        struct str item;
        size_t count = 0;
        while (config_list_next(&rest, &item))
                count++;
        if (count > SCREEN_SITES_MAX)
                findings_add(findings, SEVERITY_ERROR, "too-many-dnsbl",
                             policy_place(p, "postscreen_dnsbl_sites", rest), NULL,
                             "postscreen_dnsbl_sites: more than %d", (int)SCREEN_SITES_MAX);
        p->screen_sites = arena_array(&p->arena, struct screen_site, count + 1);
        rest = p->params->postscreen_dnsbl_sites;
        while (p->screen_site_count < SCREEN_SITES_MAX && config_list_next(&rest, &item)) {
                struct screen_site *to = &p->screen_sites[p->screen_site_count];
                struct place at = policy_place(p, "postscreen_dnsbl_sites", item);
                struct why why = {""};
                if (dnsbl_site_parse(item, true, &to->site, &why) == 0) {
                        to->list = policy_dnsbl(p, to->site.domain, DNSBL_OF_ADDRESSES);
                        if (!to->list)
                                why_set(&why, -1, "more than %d lists in the DNS",
                                        (int)DNSBL_LISTS_MAX);
                }
                if (why.text[0])
                        findings_add(
                                findings, SEVERITY_ERROR, "bad-dnsbl", at,
                                "write domain=filter*weight, as in bl.example=127.0.0.[2..11]*2",
                                "postscreen_dnsbl_sites: %s", why.text);
                else
                        p->screen_site_count++;
        }
}

/* A threshold that all lists together do not reach refuses nobody, ever. */
static void lint_threshold(const struct policy *p, struct findings *findings)
{
        int64_t highest = 0;
        for (size_t i = 0; i < p->screen_site_count; i++)
                if (p->screen_sites[i].site.weight > 0)
                        highest += p->screen_sites[i].site.weight;
        if (p->screen_site_count && highest < p->params->postscreen_dnsbl_threshold)
                findings_add(findings, SEVERITY_WARNING, "dnsbl-threshold",
                             config_place(p->config, "postscreen_dnsbl_threshold"), NULL,
                             "postscreen_dnsbl_threshold = %lld is more than all lists together "
                             "reach (%lld): nobody is ever refused",
                             (long long)p->params->postscreen_dnsbl_threshold, (long long)highest);
}

void policy_compile_screen(struct policy *p, struct findings *findings)
{
        compile_access(p, findings);
        compile_sites(p, findings);
        lint_threshold(p, findings);
}

bool policy_has_screen_sites(const struct policy *p)
{
        return p->screen_site_count > 0;
}

void policy_ask_screen(const struct policy *p, const struct policy_facts *facts)
{
        char room[DNS_NAME_BYTES_MAX];
        for (size_t i = 0; facts->visit && i < p->screen_site_count; i++) {
                struct dnsbl_list *list = p->screen_sites[i].list;
                dnsbl_visit_ask(facts->visit, list,
                                dnsbl_address_name(list, facts->client_bits, room));
        }
}

static bool site_counts(const struct screen_site *s, const struct dnsbl_finding *found)
{
        for (size_t i = 0; i < found->reply_count; i++)
                if (dnsbl_filter_matches(&s->site.filter, found->replies[i]))
                        return true;
        return false;
}

/* The name that a refusal shows: postscreen_dnsbl_reply_map, else the list's without a key. */
static struct str await_shown(struct policy *p, const struct screen_site *s, struct arena *arena)
{
        struct str value;
        struct why why;
        enum table_result found = await_table_list_find(p->postscreen_dnsbl_reply_map,
                                                        s->site.domain, arena, &value, &why);
        if (found == TABLE_ERROR)
                log_warning("postscreen", "postscreen_dnsbl_reply_map: %s", why.text);
        return found == TABLE_FOUND ? value : dnsbl_list_shown(s->list);
}

void await_policy_screen_score(struct policy *p, const struct policy_facts *facts,
                               struct arena *arena, struct screen_score *out)
{
        const struct screen_site *heaviest = NULL;
        *out = (struct screen_score){.shown = STR(""), .ttl_ms = INT64_MAX};
        for (size_t i = 0; facts->visit && i < p->screen_site_count; i++) {
                const struct screen_site *s = &p->screen_sites[i];
                char room[DNS_NAME_BYTES_MAX];
                struct str name = dnsbl_address_name(s->list, facts->client_bits, room);
                struct dnsbl_finding found;
                await_dnsbl_visit(facts->visit, s->list, name, &found);
                if (found.answer != DNSBL_FAILED && found.ttl_ms < out->ttl_ms)
                        out->ttl_ms = found.ttl_ms;
                if (found.answer != DNSBL_LISTED)
                        continue;
                bool counts = site_counts(s, &found);
                dnsbl_visit_note_effect(facts->visit, s->list, name,
                                        counts ? DNSBL_WOULD_REFUSE : DNSBL_FILTERED);
                if (!counts)
                        continue;
                out->score += s->site.weight;
                if (!heaviest || s->site.weight > heaviest->site.weight)
                        heaviest = s;
        }
        if (heaviest && heaviest->site.weight > 0)
                out->shown = await_shown(p, heaviest, arena);
        if (out->ttl_ms == INT64_MAX)
                out->ttl_ms = 0;
}

void policy_note_screen_refusal(const struct policy *p, const struct policy_facts *facts)
{
        char room[DNS_NAME_BYTES_MAX];
        for (size_t i = 0; facts->visit && i < p->screen_site_count; i++) {
                const struct screen_site *s = &p->screen_sites[i];
                struct str name = dnsbl_address_name(s->list, facts->client_bits, room);
                if (s->site.weight > 0 &&
                    dnsbl_visit_had_effect(facts->visit, s->list, name, DNSBL_WOULD_REFUSE))
                        dnsbl_visit_note_effect(facts->visit, s->list, name, DNSBL_REFUSED_MAIL);
        }
}
