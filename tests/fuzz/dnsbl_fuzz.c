/* dnsbl_fuzz.c - a list as it is configured (domain=filter*weight), a budget, and a reply template */
#include "fuzz.h"

#include "config/dead_lists.h"
#include "policy/dnsbl.h"
#include "policy/template.h"

#include <errno.h>

static void check_site(const struct dnsbl_site *s, struct str text)
{
        check(s->domain.len > 0 && s->domain.len < DNSBL_DOMAIN_BYTES_MAX);
        check(s->domain.ptr == text.ptr);
        for (size_t i = 0; i < s->domain.len; i++)
                check(s->domain.ptr[i] == '.' || s->domain.ptr[i] == '-' ||
                      s->domain.ptr[i] == '_' || char_is_alnum(s->domain.ptr[i]));
        check(s->weight >= -DNSBL_WEIGHT_MAX && s->weight <= DNSBL_WEIGHT_MAX);
        /* a filter lets at least one reply through: each part has a number */
        unsigned char reply[4] = {0};
        for (int part = 0; part < 4 && s->filter.is_set; part++) {
                int value = 0;
                while (value < 256 && !(s->filter.sets[part][value / 32] >> (value % 32) & 1))
                        value++;
                check(value < 256);
                reply[part] = (unsigned char)value;
        }
        check(dnsbl_filter_matches(&s->filter, reply));
}

static struct str value_of(void *context, struct str name)
{
        return name.len % 2 ? name : STR("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str text = fuzz_str(data, size);
        struct arena arena;
        struct dnsbl_site site;
        struct why why = {""};
        arena_init(&arena, 0);

        int rc = dnsbl_site_parse(text, true, &site, &why);
        check(rc == 0 || (rc == -EINVAL && why.text[0]));
        if (rc == 0) {
                check_site(&site, text);
                /* a key that is found is not shown */
                struct str key = list_domain_key(site.domain);
                struct str shown = list_domain_shown(site.domain, &arena);
                check(key.len == 0 || shown.len < site.domain.len);
        }
        int64_t budget;
        check(dnsbl_budget_parse(text, STR("bl.example"), &budget, &why) != 0 || budget >= 0);

        struct str reply = template_expand(text, value_of, NULL, &arena);
        check(reply.len <= TEMPLATE_BYTES_MAX);
        struct template_filter filter;
        template_filter_parse(text, &filter);
        struct str clean = template_filter_apply(&filter, text, &arena);
        check(clean.len == text.len);
        for (size_t i = 0; i < clean.len; i++)
                check(clean.ptr[i] != '\r' && clean.ptr[i] != '\n');
        arena_done(&arena);
        return 0;
}
