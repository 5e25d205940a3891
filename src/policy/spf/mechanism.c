/*
 * mechanism.c - does this mechanism match the client? (RFC 7208 5; limits: 4.6.4)
 *
 * What a name's absence means differs: for a, mx and exists it is no match, and a void look-up; a failed look-up
 * makes the whole check a temporary error. For ptr a failure is no match (5.5).
 *
 * A term is void when one of its questions found nothing: it counts once, as terms are what 4.6.4 counts.
 */
#include "policy/spf/spf_private.h"

static enum dns_type address_type(const struct spf_check *c)
{
        return spf_is_ipv4(c->query.address) ? DNS_A : DNS_AAAA;
}

bool spf_count_term(struct spf_check *c)
{
        if (c->outcome.term_count++ < SPF_TERMS_MAX)
                return true;
        spf_problem(c, arena_printf(&c->arena, "more than %d terms that ask the DNS",
                                    (int)SPF_TERMS_MAX));
        return false;
}

static enum spf_match count_void(struct spf_check *c)
{
        if (++c->outcome.void_count <= c->query.void_max)
                return SPF_NO_MATCH;
        spf_problem(c, arena_printf(&c->arena, "more than %lld terms whose names are not there",
                                    (long long)c->query.void_max));
        return SPF_TERM_PERMERROR;
}

static enum spf_match fail(struct spf_check *c, struct str name, enum dns_type type,
                           const struct dns_answer *answer, struct str *detail)
{
        *detail = arena_printf(&c->arena, "%s %.*s: %s", dns_type_name(type), STR_ARG(name),
                               answer->why ? answer->why : "failed");
        spf_problem(c, *detail);
        return SPF_TERM_TEMPERROR;
}

/* ---- names of the client (5.5) ---- */

static bool is_in_domain(struct str name, struct str domain)
{
        if (str_eq_nocase(name, domain))
                return true;
        return str_ends_nocase(name, domain) && name.len > domain.len &&
               name.ptr[name.len - domain.len - 1] == '.';
}

/* The client's PTR records; NULL when there are none that are known. */
static const struct dns_answer *await_pointers(struct spf_check *c)
{
        char name[DNS_NAME_BYTES_MAX];
        struct str zone = spf_is_ipv4(c->query.address) ? STR("in-addr.arpa") : STR("ip6.arpa");
        struct str reverse = arena_str(&c->arena, dns_reverse(c->query.address, zone, name));
        const struct dns_answer *answer = await_spf_answer(c, reverse, DNS_PTR);
        return answer->result == DNS_FOUND ? answer : NULL;
}

static size_t name_count(const struct dns_answer *answer)
{
        return answer->count < SPF_NAMES_MAX ? answer->count : SPF_NAMES_MAX;
}

/* Does this name lead back to the client? A failure says no. */
static bool await_is_validated(struct spf_check *c, struct str name)
{
        const struct dns_answer *answer = await_spf_answer(c, name, address_type(c));
        for (size_t i = 0; answer->result == DNS_FOUND && i < answer->count; i++)
                if (memcmp(answer->records[i].address, c->query.address, 16) == 0)
                        return true;
        return false;
}

/* 7.3: the domain itself before names in it, these before any other */
static int preference(struct str name, struct str domain)
{
        return str_eq_nocase(name, domain) ? 0 : is_in_domain(name, domain) ? 1 : 2;
}

void await_spf_name(struct spf_check *c)
{
        if (c->has_name)
                return;
        c->has_name = true;
        c->macros.name = STR("unknown");
        const struct dns_answer *answer = await_pointers(c);
        if (!answer)
                return;
        for (size_t i = 0; i < name_count(answer); i++)
                spf_ask(c, answer->records[i].name, address_type(c));
        for (int wanted = 0; wanted <= 2; wanted++)
                for (size_t i = 0; i < name_count(answer); i++) {
                        struct str name = answer->records[i].name;
                        if (preference(name, c->macros.domain) == wanted &&
                            await_is_validated(c, name)) {
                                c->macros.name = name;
                                return;
                        }
                }
}

/* ---- targets ---- */

bool await_spf_target(struct spf_check *c, struct str spec, struct str *target)
{
        if (str_is_empty(spec)) {
                *target = c->macros.domain;
                return true;
        }
        if (spf_macro_wants_name(spec)) {
                if (!c->has_counted_name) {
                        c->has_counted_name = true;
                        if (!spf_count_term(c))
                                return false;
                }
                await_spf_name(c);
        }
        if (spf_macro_expand(spec, &c->macros, &c->arena, target)) {
                spf_problem(c, STR("a name's macros come to too much"));
                return false;
        }
        *target = spf_fit_name(*target);
        return true;
}

/* ---- mechanisms ---- */

struct asked {
        struct spf_check *c;
        const struct spf_term *term;
        struct str target;
        struct str *detail;
        bool is_void;
};

/* Has this name an address in the term's network? */
static enum spf_match await_host(struct asked *a, struct str name)
{
        struct spf_check *c = a->c;
        enum dns_type type = address_type(c);
        const struct dns_answer *answer = await_spf_answer(c, name, type);
        if (answer->result == DNS_FAILED)
                return fail(c, name, type, answer, a->detail);
        if (answer->result != DNS_FOUND) {
                a->is_void = true;
                return SPF_NO_MATCH;
        }
        for (size_t i = 0; i < answer->count; i++)
                if (spf_address_matches(c->query.address, answer->records[i].address,
                                        a->term->bits4, a->term->bits6)) {
                        *a->detail = arena_printf(&c->arena, "%.*s has %.*s", STR_ARG(name),
                                                  STR_ARG(answer->records[i].text));
                        return SPF_MATCH;
                }
        return SPF_NO_MATCH;
}

static enum spf_match await_a(struct asked *a)
{
        return await_host(a, a->target);
}

static enum spf_match await_mx(struct asked *a)
{
        struct spf_check *c = a->c;
        const struct dns_answer *answer = await_spf_answer(c, a->target, DNS_MX);
        if (answer->result == DNS_FAILED)
                return fail(c, a->target, DNS_MX, answer, a->detail);
        if (answer->result != DNS_FOUND) {
                a->is_void = true;
                return SPF_NO_MATCH;
        }
        if (answer->count > SPF_NAMES_MAX) {
                *a->detail = arena_printf(&c->arena, "%.*s has more than %d MX records",
                                          STR_ARG(a->target), (int)SPF_NAMES_MAX);
                spf_problem(c, *a->detail);
                return SPF_TERM_PERMERROR;
        }
        /* a null MX (RFC 7505) has no host */
        for (size_t i = 0; i < answer->count; i++)
                if (answer->records[i].name.len)
                        spf_ask(c, answer->records[i].name, address_type(c));
        for (size_t i = 0; i < answer->count; i++) {
                if (str_is_empty(answer->records[i].name))
                        continue;
                enum spf_match match = await_host(a, answer->records[i].name);
                if (match != SPF_NO_MATCH)
                        return match;
        }
        return SPF_NO_MATCH;
}

static enum spf_match await_ptr(struct asked *a)
{
        struct spf_check *c = a->c;
        const struct dns_answer *answer = await_pointers(c);
        a->is_void = !answer;
        for (size_t i = 0; answer && i < name_count(answer); i++) {
                struct str name = answer->records[i].name;
                if (is_in_domain(name, a->target) && await_is_validated(c, name)) {
                        *a->detail = arena_printf(&c->arena, "the client is %.*s", STR_ARG(name));
                        return SPF_MATCH;
                }
        }
        return SPF_NO_MATCH;
}

static enum spf_match await_exists(struct asked *a)
{
        /* type A, also for a client with IPv6 */
        const struct dns_answer *answer = await_spf_answer(a->c, a->target, DNS_A);
        if (answer->result == DNS_FAILED)
                return fail(a->c, a->target, DNS_A, answer, a->detail);
        a->is_void = answer->result != DNS_FOUND;
        return a->is_void ? SPF_NO_MATCH : SPF_MATCH;
}

/* 5.2: only pass is a match; a record that is not there is the includer's error */
static enum spf_match await_include(struct asked *a)
{
        struct spf_check *c = a->c;
        struct spf_exp unused;
        c->includes++;
        enum spf_result result = await_spf_check_host(c, a->target, &unused);
        c->includes--;
        *a->detail = str_from(spf_result_name(result));
        switch (result) {
        case SPF_PASS:
                return SPF_MATCH;
        case SPF_TEMPERROR:
                return SPF_TERM_TEMPERROR;
        case SPF_NONE:
        case SPF_PERMERROR:
                return SPF_TERM_PERMERROR;
        case SPF_NEUTRAL:
        case SPF_FAIL:
        case SPF_SOFTFAIL:
                break;
        }
        return SPF_NO_MATCH;
}

static enum spf_match await_lookup(struct asked *a)
{
        switch (a->term->kind) {
        case SPF_INCLUDE:
                return await_include(a);
        case SPF_A:
                return await_a(a);
        case SPF_MX:
                return await_mx(a);
        case SPF_PTR:
                return await_ptr(a);
        case SPF_EXISTS:
                return await_exists(a);
        case SPF_ALL:
        case SPF_IP4:
        case SPF_IP6:
                break;
        }
        return SPF_NO_MATCH;
}

enum spf_match await_spf_mechanism(struct spf_check *c, const struct spf_term *term,
                                   struct str *target, struct str *detail)
{
        if (term->kind == SPF_ALL)
                return SPF_MATCH;
        if (term->kind == SPF_IP4 || term->kind == SPF_IP6)
                return spf_address_matches(c->query.address, term->address, term->bits4,
                                           term->bits6)
                               ? SPF_MATCH
                               : SPF_NO_MATCH;
        if (!spf_count_term(c) || !await_spf_target(c, term->domain, target))
                return SPF_TERM_PERMERROR;
        /* What is no name cannot be asked for: as if it were not there (4.8), but nothing was void. */
        if (term->kind != SPF_INCLUDE && !dns_name_is_valid(*target)) {
                *detail = STR("that is no name");
                return SPF_NO_MATCH;
        }
        struct asked a = {.c = c, .term = term, .target = *target, .detail = detail};
        enum spf_match match = await_lookup(&a);
        if (a.is_void && str_is_empty(*detail))
                *detail = STR("not found");
        return match == SPF_NO_MATCH && a.is_void ? count_void(c) : match;
}
