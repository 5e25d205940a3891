/* rewrite.c - addresses as they are meant: completed, and routes inside them followed */
#include "policy/policy_private.h"

#include <errno.h>

enum { ROUTE_DEPTH_MAX = 10 };

struct smtp_address policy_complete(const struct params *params, struct str origin,
                                    struct str domain, const struct smtp_address *address,
                                    struct arena *arena)
{
        struct smtp_address a = *address;
        if (str_is_empty(a.text))
                return a;
        if (str_is_empty(a.domain)) {
                ptrdiff_t bang = params->swap_bangpath ? str_find(a.local, '!') : -1;
                ptrdiff_t percent = params->allow_percent_hack ? str_find_last(a.local, '%') : -1;
                if (bang > 0 && (size_t)bang + 1 < a.local.len) {
                        a.domain = str_part(a.local, 0, (size_t)bang);
                        a.local = str_tail(a.local, (size_t)bang + 1);
                } else if (percent > 0 && (size_t)percent + 1 < a.local.len) {
                        a.domain = str_tail(a.local, (size_t)percent + 1);
                        a.local = str_part(a.local, 0, (size_t)percent);
                } else if (params->append_at_myorigin && origin.len) {
                        a.domain = origin;
                }
                if (!smtp_domain_is_valid(a.domain) && !smtp_domain_is_literal(a.domain)) {
                        a = *address;
                        a.domain = params->append_at_myorigin ? origin : (struct str){"", 0};
                }
        }
        if (params->append_dot_mydomain && a.domain.len && domain.len &&
            str_find(a.domain, '.') < 0 && a.domain.ptr[0] != '[')
                a.domain = arena_printf(arena, "%.*s.%.*s", STR_ARG(a.domain), STR_ARG(domain));
        return smtp_address_make(a.local, a.domain, arena);
}

/* What stands inside the local part; false: it is no route. */
static bool inner_address(const struct policy *p, const struct smtp_address *address,
                          struct arena *arena, struct smtp_address *out)
{
        const struct params *params = p->params;
        struct smtp_address bare = {.text = address->local, .local = address->local};
        struct smtp_address inner;
        bool has_at = params->resolve_dequoted_address && str_find_last(address->local, '@') > 0;
        if (has_at && smtp_address_parse(address->local, arena, &inner) == 0)
                bare = inner;
        else if (str_find(address->local, '%') < 0 && str_find(address->local, '!') < 0)
                return false;
        *out = policy_complete(params, (struct str){"", 0}, params->mydomain, &bare, arena);
        return out->domain.len && out->local.len;
}

int await_policy_unroute(struct policy *p, struct smtp_address *address, struct arena *arena,
                         struct why *why)
{
        for (int depth = 0; depth < ROUTE_DEPTH_MAX; depth++) {
                enum address_class class;
                struct smtp_address inner;
                if (str_is_empty(address->local))
                        return 0;
                int rc = await_policy_class(p, address->domain, arena, &class, why);
                if (rc)
                        return rc;
                if (class != CLASS_LOCAL || !inner_address(p, address, arena, &inner))
                        return 0;
                *address = inner;
        }
        return why_set(why, -ELOOP, "<%.*s>: more than %d routes in one address",
                       STR_ARG(address->text), (int)ROUTE_DEPTH_MAX);
}
