/* environment.c - the environment becomes what import_environment says */
#include "ops/environment.h"

#include "base/arena.h"
#include "base/check.h"
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

struct variable {
        const char *name;
        const char *value; /* NULL: there is none */
};

static size_t count_items(struct str list)
{
        struct str item;
        size_t count = 0;
        while (config_list_next(&list, &item))
                count++;
        return count;
}

static struct variable read_item(struct str item, struct arena *arena)
{
        struct str value = item;
        bool is_set = str_find(value, '=') >= 0;
        struct str name = str_trim(str_cut(&value, '='));
        struct variable v = {.name = arena_str(arena, name).ptr};
        const char *kept = is_set ? NULL : getenv(v.name);
        if (is_set)
                v.value = arena_str(arena, str_trim(value)).ptr;
        else if (kept)
                v.value = arena_str(arena, str_from(kept)).ptr; /* what it points to goes */
        return v;
}

int environment_import(struct str list, struct why *why)
{
        struct arena arena;
        struct str item;
        size_t count = 0;
        int rc = 0;
        arena_init(&arena, 0);
        struct variable *all = arena_array(&arena, struct variable, count_items(list));
        while (rc == 0 && config_list_next(&list, &item)) {
                all[count] = read_item(item, &arena);
                if (!*all[count].name)
                        rc = why_set(why, -EINVAL, "import_environment: \"%.*s\" has no name",
                                     STR_ARG(item));
                count++;
        }
        if (rc == 0) {
                check(clearenv() == 0);
                for (size_t i = 0; i < count; i++)
                        if (all[i].value)
                                check(setenv(all[i].name, all[i].value, 1) == 0);
                tzset();
        }
        arena_done(&arena);
        return rc;
}
