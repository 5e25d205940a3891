/* dns_filter.c - records of the DNS that are to be overlooked */
#include "policy/dns_filter.h"

#include "base/log.h"

struct dns_filter {
        const char *parameter;
        struct table_list *tables;
};

struct dns_filter *dns_filter_open(const struct config *c, const char *parameter, struct str text,
                                   struct table_set *tables, struct arena *arena,
                                   struct findings *findings)
{
        if (str_is_empty(str_trim(text)))
                return NULL;
        struct table_list *list = table_list_open(tables, text, config_place_of(c, text), findings);
        if (!list || table_list_is_empty(list))
                return NULL;
        struct dns_filter *f = arena_new(arena, struct dns_filter);
        *f = (struct dns_filter){.parameter = parameter, .tables = list};
        return f;
}

/* What stands behind the type. */
static struct str value_of(const struct dns_record *r, enum dns_type type, struct arena *arena)
{
        switch (type) {
        case DNS_MX:
                return arena_printf(arena, "%u %.*s.", r->preference, STR_ARG(r->name));
        case DNS_SRV:
                return arena_printf(arena, "%u %u %u %.*s.", r->preference, r->weight, r->port,
                                    STR_ARG(r->name));
        case DNS_NS:
        case DNS_CNAME:
        case DNS_PTR:
                return arena_printf(arena, "%.*s.", STR_ARG(r->name));
        case DNS_A:
        case DNS_AAAA:
        case DNS_TXT:
        case DNS_TLSA:
        case DNS_SOA:
                break;
        }
        return r->text;
}

static const struct dns_answer *cannot_tell(const struct dns_answer *a, const char *why,
                                            struct arena *arena)
{
        struct dns_answer *failed = arena_new(arena, struct dns_answer);
        *failed = (struct dns_answer){
                .result = DNS_FAILED, .owner = a->owner, .took_us = a->took_us, .why = why};
        return failed;
}

/* TABLE_FOUND: the record is to be overlooked. */
static enum table_result await_look(const struct dns_filter *f, const struct dns_answer *a,
                                    const struct dns_record *r, enum dns_type type,
                                    struct arena *arena)
{
        struct str text = arena_printf(arena, "%.*s. %lld IN %s %.*s", STR_ARG(a->owner),
                                       (long long)(a->ttl_ms / 1000), dns_type_name(type),
                                       STR_ARG(value_of(r, type, arena)));
        struct str action;
        struct why why;
        enum table_result result = await_table_list_find(f->tables, text, arena, &action, &why);
        if (result == TABLE_ERROR)
                log_warning("dns", "%s: %s", f->parameter, why.text);
        if (result != TABLE_FOUND || str_eq_nocase(str_trim(action), STR("IGNORE")))
                return result;
        log_warning("dns", "%s: \"%.*s\" for \"%.*s\": only IGNORE is known", f->parameter,
                    STR_ARG(str_part(action, 0, 100)), STR_ARG(str_part(text, 0, 300)));
        return TABLE_ERROR;
}

const struct dns_answer *await_dns_filter(const struct dns_filter *f, const struct dns_answer *a,
                                          enum dns_type type, struct arena *arena)
{
        if (!f || a->result != DNS_FOUND || (type == DNS_MX && dns_is_null_mx(a)))
                return a;
        struct dns_record *kept = arena_array(arena, struct dns_record, a->count);
        size_t count = 0;
        for (size_t i = 0; i < a->count; i++) {
                switch (await_look(f, a, &a->records[i], type, arena)) {
                case TABLE_FOUND:
                        break;
                case TABLE_NOT_FOUND:
                        kept[count++] = a->records[i];
                        break;
                case TABLE_ERROR:
                        return cannot_tell(a, "the DNS reply filter cannot be used", arena);
                }
        }
        if (count == a->count)
                return a;
        struct dns_answer *left = arena_new(arena, struct dns_answer);
        *left = *a;
        left->records = kept;
        left->count = count;
        if (count == 0) {
                left->result = DNS_NO_DATA;
                left->is_dropped = true;
        }
        return left;
}
