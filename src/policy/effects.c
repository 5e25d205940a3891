/* effects.c - what rules ask for beside yes or no: whom else to send to, and through what */
#include "base/check.h"
#include "policy/policy.h"

enum { BCC_MAX = 100 };

bool policy_filter_is_valid(struct str text)
{
        ptrdiff_t colon = str_find(text, ':');
        if (colon <= 0)
                return false;
        for (size_t i = 0; i < text.len; i++)
                if ((unsigned char)text.ptr[i] <= ' ' || text.ptr[i] == 0x7f)
                        return false;
        return true;
}

bool policy_target_read(struct str text, struct arena *arena, struct smtp_address *out)
{
        return smtp_address_parse(text, arena, out) == 0 && out->local.len && out->domain.len;
}

bool policy_effects_add_bcc(struct policy_effects *effects, const struct smtp_address *address,
                            struct arena *arena)
{
        for (size_t i = 0; i < effects->bcc_count; i++)
                if (str_eq_nocase(effects->bcc[i].text, address->text))
                        return true;
        if (effects->bcc_count == BCC_MAX)
                return false;
        /* a new array each time: what a connection's rules asked for is not the transaction's */
        struct smtp_address *more = arena_array(arena, struct smtp_address, effects->bcc_count + 1);
        if (effects->bcc_count)
                memcpy(more, effects->bcc, effects->bcc_count * sizeof(*more));
        more[effects->bcc_count++] = *address;
        effects->bcc = more;
        return true;
}
