/* rules.c - the tables and lists of one service, opened at load */
#include "base/check.h"
#include "cleanup/cleanup_private.h"

#include <stdlib.h>

enum {
        FIELD_BYTES_MAX = 100 << 10
}; /* of a field that is held in memory; header_size_limit may be less */

static struct table_list *open_tables(struct cleanup_rules *r, const char *parameter,
                                      struct str text, struct findings *findings)
{
        struct place at = config_place_of(r->config, text);
        if (!at.line)
                at = config_place(r->config, parameter);
        return table_list_open(r->tables, text, at, findings);
}

/* Patterns for decoded text see characters, not bytes: pcre: is there pcre-utf8:. */
static struct table_list *open_decoded(struct cleanup_rules *r, struct findings *findings)
{
        struct str rest = r->params->decoded_header_checks;
        if (r->overrides & RECEIVE_NO_HEADER_BODY_CHECKS)
                rest = STR("");
        struct buf text;
        buf_init(&text, rest.len * 2 + 16);
        while (rest.len) {
                ptrdiff_t at = str_find_str(rest, STR("pcre:"));
                bool begins = at == 0 || (at > 0 && strchr(", \t\r\n", rest.ptr[at - 1]));
                if (at < 0) {
                        buf_append_str(&text, rest);
                        break;
                }
                buf_append_str(&text, str_part(rest, 0, (size_t)at));
                buf_append_str(&text, begins ? STR("pcre-utf8:") : STR("pcre:"));
                rest = str_tail(rest, (size_t)at + 5);
        }
        struct table_list *list =
                table_list_open(r->tables, buf_str(&text),
                                config_place(r->config, "decoded_header_checks"), findings);
        buf_done(&text);
        return list;
}

static unsigned read_uses(struct cleanup_rules *r, const char *parameter, struct str text,
                          struct findings *findings)
{
        static const struct {
                struct str word;
                unsigned use;
        } words[] = {
                {STR_INIT("envelope_sender"), USE_ENVELOPE_SENDER},
                {STR_INIT("envelope_recipient"), USE_ENVELOPE_RECIPIENT},
                {STR_INIT("header_sender"), USE_HEADER_SENDER},
                {STR_INIT("header_recipient"), USE_HEADER_RECIPIENT},
        };
        unsigned uses = 0;
        struct str word;
        while (config_list_next(&text, &word)) {
                unsigned use = 0;
                for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
                        if (str_eq_nocase(word, words[i].word))
                                use = words[i].use;
                if (!use)
                        findings_add(findings, SEVERITY_ERROR, "bad-class",
                                     config_place(r->config, parameter),
                                     "envelope_sender, envelope_recipient, header_sender and "
                                     "header_recipient are known",
                                     "%s: there is no class \"%.*s\"", parameter, STR_ARG(word));
                uses |= use;
        }
        return uses;
}

/* local_header_rewrite_clients */
static void read_clients(struct cleanup_rules *r, struct findings *findings)
{
        struct str rest = r->params->local_header_rewrite_clients;
        struct buf tables;
        struct str word;
        buf_init(&tables, rest.len + 16);
        while (config_list_next(&rest, &word)) {
                if (str_eq_nocase(word, STR("permit_inet_interfaces")))
                        r->rewrites_own = true;
                else if (str_eq_nocase(word, STR("permit_mynetworks")))
                        r->rewrites_mynetworks = true;
                else if (str_eq_nocase(word, STR("static:all")))
                        r->rewrites_all = true;
                else if (str_find(word, ':') > 0) {
                        buf_append_str(&tables, word);
                        buf_append_char(&tables, ' ');
                } else if (!str_eq_nocase(word, STR("check_address_map")) &&
                           !str_eq_nocase(word, STR("permit_sasl_authenticated")) &&
                           !str_eq_nocase(word, STR("permit_tls_clientcerts")) &&
                           !str_eq_nocase(word, STR("permit_tls_all_clientcerts")))
                        findings_add(findings, SEVERITY_ERROR, "unknown-restriction",
                                     config_place(r->config, "local_header_rewrite_clients"),
                                     "permit_inet_interfaces, permit_mynetworks and "
                                     "check_address_map type:table are known",
                                     "local_header_rewrite_clients: \"%.*s\" is not known here",
                                     STR_ARG(word));
        }
        r->rewrite_tables =
                open_tables(r, "local_header_rewrite_clients", buf_str(&tables), findings);
        buf_done(&tables);
}

static void check_filter(struct cleanup_rules *r, struct findings *findings)
{
        struct str filter = str_trim(r->params->content_filter);
        if (filter.len && !policy_filter_is_valid(filter))
                findings_add(findings, SEVERITY_ERROR, "bad-filter",
                             config_place(r->config, "content_filter"),
                             "write transport:nexthop, as in smtp:[192.0.2.1]:10025",
                             "content_filter: \"%.*s\" names no transport", STR_ARG(filter));
}

/* receive_override_options */
static void read_overrides(struct cleanup_rules *r, struct findings *findings)
{
        struct str unknown;
        r->overrides = receive_overrides(r->params->receive_override_options, &unknown);
        if (unknown.len)
                findings_add(findings, SEVERITY_ERROR, "bad-override",
                             config_place(r->config, "receive_override_options"),
                             "no_unknown_recipient_checks, no_address_mappings, "
                             "no_header_body_checks and no_milters are known",
                             "receive_override_options: there is no \"%.*s\"", STR_ARG(unknown));
}

static void open_all(struct cleanup_rules *r, struct findings *findings)
{
        const struct params *p = r->params;
        bool has_checks = !(r->overrides & RECEIVE_NO_HEADER_BODY_CHECKS);
        bool has_maps = !(r->overrides & RECEIVE_NO_ADDRESS_MAPPINGS);
        bool has_copies = has_maps && !r->is_own;
        struct str none = {"", 0};
#define TABLES(name, is_on) r->name = open_tables(r, #name, (is_on) ? p->name : none, findings)
        TABLES(header_checks, has_checks);
        TABLES(mime_header_checks, has_checks);
        TABLES(nested_header_checks, has_checks);
        TABLES(body_checks, has_checks);
        TABLES(milter_header_checks, has_checks);
        TABLES(canonical_maps, has_maps);
        TABLES(sender_canonical_maps, has_maps);
        TABLES(recipient_canonical_maps, has_maps);
        TABLES(sender_bcc_maps, has_copies);
        TABLES(recipient_bcc_maps, has_copies);
#undef TABLES
        r->decoded_header_checks = open_decoded(r, findings);
        r->masquerade_exceptions =
                match_list_open(r->tables, p->masquerade_exceptions, MATCH_STRING, false,
                                config_place(r->config, "masquerade_exceptions"), findings);
#define USES(field, name) r->field = read_uses(r, #name, p->name, findings)
        USES(canonical_uses, canonical_classes);
        USES(sender_canonical_uses, sender_canonical_classes);
        USES(recipient_canonical_uses, recipient_canonical_classes);
        USES(masquerade_uses, masquerade_classes);
#undef USES
        if (str_is_empty(p->masquerade_domains) || !has_maps)
                r->masquerade_uses = 0;
        struct str rest = p->propagate_unmatched_extensions;
        struct str word;
        while (config_list_next(&rest, &word))
                r->propagates_extensions |= str_eq_nocase(word, STR("canonical"));
        read_clients(r, findings);
        check_filter(r, findings);
}

static bool is_used(const struct table_list *list)
{
        return !list || !table_list_is_empty(list);
}

static void read_limits(struct cleanup_rules *r)
{
        const struct params *p = r->params;
        if (p->strict_7bit_headers || p->strict_8bitmime)
                r->faults_refused |= MIME_FAULT_8BIT_HEADER;
        if (p->strict_8bitmime_body || p->strict_8bitmime)
                r->faults_refused |= MIME_FAULT_8BIT_BODY;
        if (p->strict_mime_encoding_domain)
                r->faults_refused |= MIME_FAULT_ENCODING_DOMAIN;
        if (r->overrides & RECEIVE_NO_HEADER_BODY_CHECKS)
                r->faults_refused = 0;
        bool has_part_checks =
                !p->disable_mime_input_processing &&
                (is_used(r->mime_header_checks) || is_used(r->nested_header_checks) ||
                 is_used(r->decoded_header_checks));
        r->looks_at_parts = has_part_checks || is_used(r->body_checks) || r->faults_refused;
        /* where nobody looks, depth does no harm */
        if (r->looks_at_parts)
                r->faults_refused |= MIME_FAULT_NESTING;
        r->limits = (struct mime_limits){
                .field_bytes_max = FIELD_BYTES_MAX,
                .line_bytes_max = (size_t)p->line_length_limit,
                .boundary_bytes_max = (size_t)p->mime_boundary_length_limit,
                .nesting_max = (size_t)p->mime_nesting_limit,
                .is_one_body = p->disable_mime_input_processing,
        };
}

static struct cleanup_rules *begin(struct config *c, const struct params *params,
                                   struct table_set *tables, struct policy *policy)
{
        struct cleanup_rules *r = calloc(1, sizeof(*r));
        check(r);
        r->refs = 1;
        r->config = config_ref(c);
        r->params = params;
        r->tables = table_set_ref(tables);
        r->policy = policy_ref(policy);
        return r;
}

static void read_all(struct cleanup_rules *r, struct findings *findings)
{
        open_all(r, findings);
        cleanup_characters_read(r, findings);
        read_limits(r);
}

struct cleanup_rules *cleanup_rules_new(struct config *c, const struct params *params,
                                        struct table_set *tables, struct policy *policy,
                                        struct findings *findings)
{
        struct cleanup_rules *r = begin(c, params, tables, policy);
        read_overrides(r, findings);
        read_all(r, findings);
        return r;
}

struct cleanup_rules *cleanup_rules_new_own(struct config *c, struct table_set *tables,
                                            struct policy *policy, bool is_checked)
{
        struct cleanup_rules *r = begin(c, &c->params, tables, policy);
        struct findings told_before;
        findings_init(&told_before);
        r->is_own = true;
        r->overrides = is_checked ? 0 : RECEIVE_NO_HEADER_BODY_CHECKS;
        read_all(r, &told_before);
        findings_done(&told_before);
        return r;
}

struct cleanup_rules *cleanup_rules_ref(struct cleanup_rules *r)
{
        __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
        return r;
}

void cleanup_rules_unref(struct cleanup_rules **rp)
{
        struct cleanup_rules *r = *rp;
        *rp = NULL;
        if (!r || __atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        policy_unref(&r->policy);
        table_set_free(&r->tables);
        config_unref(&r->config);
        free(r);
}
