/* permission.c - what users of this machine may, by lists of their names */
#include "ops/permission.h"

#include "base/check.h"
#include "table/table.h"

#include <pwd.h>
#include <stdlib.h>

bool permission_look_up(const struct config *c, struct str users, uid_t uid,
                        char name[USER_NAME_BYTES])
{
        struct passwd entry, *found = NULL;
        static __thread char bytes[16384];
        snprintf(name, USER_NAME_BYTES, "unknown");
        if (getpwuid_r(uid, &entry, bytes, sizeof(bytes), &found) == 0 && found)
                snprintf(name, USER_NAME_BYTES, "%s", found->pw_name);
        struct findings findings;
        struct arena arena;
        struct why why;
        findings_init(&findings);
        arena_init(&arena, 0);
        char *dir = strndup(c->dir.ptr, c->dir.len);
        check(dir);
        struct table_set *set = table_set_new(dir);
        struct match_list *list = match_list_open(set, users, MATCH_STRING, false,
                                                  (struct place){.line = 0}, &findings);
        bool is_permitted = list && await_match_list_find(list, str_from(name), &arena, NULL,
                                                          &why) == TABLE_FOUND;
        table_set_free(&set);
        arena_done(&arena);
        findings_done(&findings);
        free(dir);
        return is_permitted;
}
