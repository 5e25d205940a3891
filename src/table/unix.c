/*
 * unix.c - unix:passwd.byname, unix:group.byname: who this machine knows
 *
 * The value is the entry's line, as in /etc/passwd and /etc/group (without group members). The C library may ask
 * servers for it (nsswitch.conf), so it is asked on a thread of the pool.
 */
#include "loop/pool.h"
#include "table/table_private.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>

enum { ENTRY_BYTES_MAX = 64 * 1024, LINE_BYTES_MAX = 4096 };

struct question {
        char name[TABLE_KEY_BYTES_MAX + 1];
        bool is_group;
        bool is_found;
        char line[LINE_BYTES_MAX];
};

/* What the C library may say when there is no such name; else the error. */
static int error_of(int rc)
{
        return rc == ENOENT || rc == ESRCH ? 0 : -rc;
}

static int ask_passwd(struct question *q, char *bytes)
{
        struct passwd entry, *found = NULL;
        int rc = getpwnam_r(q->name, &entry, bytes, ENTRY_BYTES_MAX, &found);
        if (!found)
                return error_of(rc);
        q->is_found = true;
        snprintf(q->line, sizeof(q->line), "%s:%s:%u:%u:%s:%s:%s", entry.pw_name, entry.pw_passwd,
                 entry.pw_uid, entry.pw_gid, entry.pw_gecos, entry.pw_dir, entry.pw_shell);
        return 0;
}

static int ask_group(struct question *q, char *bytes)
{
        struct group entry, *found = NULL;
        int rc = getgrnam_r(q->name, &entry, bytes, ENTRY_BYTES_MAX, &found);
        if (!found)
                return error_of(rc);
        q->is_found = true;
        snprintf(q->line, sizeof(q->line), "%s:%s:%u:", entry.gr_name, entry.gr_passwd,
                 entry.gr_gid);
        return 0;
}

static int ask(void *arg)
{
        struct question *q = arg;
        char *bytes = malloc(ENTRY_BYTES_MAX);
        if (!bytes)
                return -ENOMEM;
        int rc = q->is_group ? ask_group(q, bytes) : ask_passwd(q, bytes);
        free(bytes);
        return rc;
}

static const char group_map[] = "group.byname";

static int unix_open(struct table_text *text, void **contents)
{
        if (str_eq(text->name, str_from(group_map)))
                *contents = (void *)(uintptr_t)group_map;
        else if (str_eq(text->name, STR("passwd.byname")))
                *contents = NULL;
        else
                return text_fault(text, 0, -EINVAL, "table-syntax",
                                  "write unix:passwd.byname or unix:group.byname",
                                  "unix: has no map of this name");
        return 0;
}

static enum table_result await_unix_find(const void *contents, const struct table_query *query)
{
        if (query->key.len > TABLE_KEY_BYTES_MAX || query->key.len == 0 ||
            memchr(query->key.ptr, '\0', query->key.len))
                return TABLE_NOT_FOUND;
        struct question *q = arena_new(query->arena, struct question);
        q->is_group = contents != NULL;
        memcpy(q->name, query->key.ptr, query->key.len);
        q->name[query->key.len] = '\0';
        int rc = pool_is_started() ? await_pool_run_remote("asking for a user", query->key, ask, q)
                                   : ask(q);
        if (rc < 0) {
                why_set(query->why, rc, "the system's users cannot be asked: %s", strerror(-rc));
                return TABLE_ERROR;
        }
        if (!q->is_found)
                return TABLE_NOT_FOUND;
        *query->value = str_from(q->line);
        return TABLE_FOUND;
}

static void nothing_free(void *contents)
{
}

const struct table_type table_type_unix = {
        .name = "unix",
        .source = SOURCE_NAME,
        .folds_key = true,
        .bytes_max = 1000,
        .open = unix_open,
        .find = await_unix_find,
        .free = nothing_free,
};
