/* broken_tables_unit.c - for rig_unit.h: tables that cannot be asked for a key with "broken" in it */
#include "table/table.h"

#include <errno.h>

#define REPLACES(name) __real_##name
#define WRAPS(name)    __wrap_##name

enum table_result REPLACES(await_table_find)(struct table *t, struct str key, struct arena *arena,
                                             struct str *value, struct why *why);
enum table_result WRAPS(await_table_find)(struct table *t, struct str key, struct arena *arena,
                                          struct str *value, struct why *why);
enum table_result REPLACES(await_table_list_find)(struct table_list *list, struct str key,
                                                  struct arena *arena, struct str *value,
                                                  struct why *why);
enum table_result WRAPS(await_table_list_find)(struct table_list *list, struct str key,
                                               struct arena *arena, struct str *value,
                                               struct why *why);
enum table_result REPLACES(await_table_list_find_address)(struct table_list *list,
                                                          const struct table_address *address,
                                                          struct arena *arena, struct str *value,
                                                          struct str *extension, struct why *why);
enum table_result WRAPS(await_table_list_find_address)(struct table_list *list,
                                                       const struct table_address *address,
                                                       struct arena *arena, struct str *value,
                                                       struct str *extension, struct why *why);
enum table_result REPLACES(await_match_list_find)(struct match_list *list, struct str key,
                                                  struct arena *arena, struct str *value,
                                                  struct why *why);
enum table_result WRAPS(await_match_list_find)(struct match_list *list, struct str key,
                                               struct arena *arena, struct str *value,
                                               struct why *why);

enum table_result REPLACES(await_table_find_rule)(struct table *t, struct str key,
                                                  struct arena *arena, struct str *value,
                                                  struct table_rule *rule, struct why *why);
enum table_result WRAPS(await_table_find_rule)(struct table *t, struct str key, struct arena *arena,
                                               struct str *value, struct table_rule *rule,
                                               struct why *why);
enum table_result REPLACES(await_table_list_find_rule)(struct table_list *list, struct str key,
                                                       struct arena *arena, struct str *value,
                                                       struct table_rule *rule, struct why *why);
enum table_result WRAPS(await_table_list_find_rule)(struct table_list *list, struct str key,
                                                    struct arena *arena, struct str *value,
                                                    struct table_rule *rule, struct why *why);

static bool is_broken(struct str key, struct why *why)
{
        if (str_find_str(key, STR("broken")) < 0)
                return false;
        why_set(why, -EIO, "the server of this table is down");
        return true;
}

enum table_result WRAPS(await_table_find)(struct table *t, struct str key, struct arena *arena,
                                          struct str *value, struct why *why)
{
        if (is_broken(key, why))
                return TABLE_ERROR;
        return REPLACES(await_table_find)(t, key, arena, value, why);
}

enum table_result WRAPS(await_table_list_find)(struct table_list *list, struct str key,
                                               struct arena *arena, struct str *value,
                                               struct why *why)
{
        if (is_broken(key, why))
                return TABLE_ERROR;
        return REPLACES(await_table_list_find)(list, key, arena, value, why);
}

enum table_result WRAPS(await_table_list_find_address)(struct table_list *list,
                                                       const struct table_address *address,
                                                       struct arena *arena, struct str *value,
                                                       struct str *extension, struct why *why)
{
        if (is_broken(address->local, why))
                return TABLE_ERROR;
        return REPLACES(await_table_list_find_address)(list, address, arena, value, extension, why);
}

enum table_result WRAPS(await_table_find_rule)(struct table *t, struct str key, struct arena *arena,
                                               struct str *value, struct table_rule *rule,
                                               struct why *why)
{
        *rule = (struct table_rule){.table = STR("")};
        if (is_broken(key, why))
                return TABLE_ERROR;
        return REPLACES(await_table_find_rule)(t, key, arena, value, rule, why);
}

enum table_result WRAPS(await_table_list_find_rule)(struct table_list *list, struct str key,
                                                    struct arena *arena, struct str *value,
                                                    struct table_rule *rule, struct why *why)
{
        *rule = (struct table_rule){.table = STR("")};
        if (is_broken(key, why))
                return TABLE_ERROR;
        return REPLACES(await_table_list_find_rule)(list, key, arena, value, rule, why);
}

enum table_result WRAPS(await_match_list_find)(struct match_list *list, struct str key,
                                               struct arena *arena, struct str *value,
                                               struct why *why)
{
        if (is_broken(key, why))
                return TABLE_ERROR;
        return REPLACES(await_match_list_find)(list, key, arena, value, why);
}
