/*
 * mailboxes.c - which mailboxes a configuration has, and whether we can write them
 *
 * Each service of master.cf that runs "virtual" may override parameters; without one, main.cf's hold
 * under the name "virtual".
 */
#include "core/core_private.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

struct core_mailboxes {
        int refs;
        struct config *config;
        struct table_set *tables;
        struct core_mailbox_service *services;
        size_t count;
};

static struct {
        pthread_mutex_t lock;
        struct core_mailboxes *mailboxes;
} in_use = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- lint ---- */

struct lint {
        const struct config *config;
        const struct params *params;
        struct findings *findings;
};

int core_static_id(struct str text, int64_t *id)
{
        text = str_trim(text);
        if (!str_starts(text, STR("static:")))
                return -EINVAL;
        int rc = str_to_int64(str_trim(str_tail(text, 7)), 0, UINT32_MAX - 1, id);
        return rc < 0 ? -EINVAL : 0;
}

static void lint_id(const struct lint *l, const char *parameter, struct str value, int64_t ours,
                    const char *whose)
{
        char cure[64];
        snprintf(cure, sizeof(cure), "%s = static:%lld", parameter, (long long)ours);
        struct place at = config_place(l->config, parameter);
        int64_t id;
        if (core_static_id(value, &id) < 0)
                findings_add(l->findings, SEVERITY_ERROR, "mailbox-owner", at, cure,
                             "%s must be static:ID: all mailboxes belong to the %s that the server "
                             "runs as, and it is \"%.*s\"",
                             parameter, whose, STR_ARG(value));
        else if (id != ours)
                findings_add(l->findings, SEVERITY_ERROR, "mailbox-owner", at, cure,
                             "%s is static:%lld, but the server runs as %s %lld and cannot give "
                             "files away",
                             parameter, (long long)id, whose, (long long)ours);
}

/* Is its parent a directory that we can write? */
static bool can_be_made(const char *path)
{
        char parent[513];
        snprintf(parent, sizeof(parent), "%s", path);
        size_t len = strlen(parent);
        while (len > 1 && parent[len - 1] == '/')
                parent[--len] = 0;
        char *slash = strrchr(parent, '/');
        if (!slash || slash == parent)
                return false;
        *slash = 0;
        return faccessat(AT_FDCWD, parent, W_OK | X_OK, AT_EACCESS) == 0;
}

static void lint_base(const struct lint *l)
{
        struct place at = config_place(l->config, "virtual_mailbox_base");
        struct str base = l->params->virtual_mailbox_base;
        if (base.len == 0) {
                findings_add(l->findings, SEVERITY_ERROR, "no-mailbox-base", at,
                             "set virtual_mailbox_base to a directory",
                             "virtual_mailbox_domains are delivered here, but "
                             "virtual_mailbox_base is empty");
                return;
        }
        char path[513];
        snprintf(path, sizeof(path), "%.*s", STR_ARG(base));
        unsigned uid = geteuid();
        unsigned gid = getegid();
        char cure[640];
        struct stat st;
        if (stat(path, &st) < 0) {
                int code = errno;
                if (code == ENOENT && can_be_made(path))
                        return; /* the first delivery makes it */
                snprintf(cure, sizeof(cure), "install -d -m 0700 -o %u -g %u %s", uid, gid, path);
                findings_add(l->findings, SEVERITY_ERROR, "mailbox-base", at, cure,
                             "virtual_mailbox_base %s: %s", path, why_errno(code));
        } else if (!S_ISDIR(st.st_mode)) {
                findings_add(l->findings, SEVERITY_ERROR, "mailbox-base", at, "name a directory",
                             "virtual_mailbox_base %s is not a directory", path);
        } else if (faccessat(AT_FDCWD, path, R_OK | W_OK | X_OK, AT_EACCESS) < 0) {
                snprintf(cure, sizeof(cure), "chown %u:%u %s", uid, gid, path);
                findings_add(l->findings, SEVERITY_ERROR, "mailbox-base", at, cure,
                             "virtual_mailbox_base %s cannot be written by user %u, whom the "
                             "server runs as: %s",
                             path, uid, why_errno(errno));
        }
}

static void lint_service(const struct lint *l)
{
        if (l->params->virtual_mailbox_maps.len == 0)
                findings_add(l->findings, SEVERITY_ERROR, "no-mailbox-maps",
                             config_place(l->config, "virtual_mailbox_domains"),
                             "set virtual_mailbox_maps, or virtual_transport",
                             "virtual_mailbox_domains are delivered here, but "
                             "virtual_mailbox_maps is empty: no mailbox can be found");
        lint_base(l);
        lint_id(l, "virtual_uid_maps", l->params->virtual_uid_maps, geteuid(), "user");
        lint_id(l, "virtual_gid_maps", l->params->virtual_gid_maps, getegid(), "group");
        int64_t uid;
        if (core_static_id(l->params->virtual_uid_maps, &uid) == 0 &&
            uid < l->params->virtual_minimum_uid)
                findings_add(l->findings, SEVERITY_ERROR, "mailbox-owner",
                             config_place(l->config, "virtual_uid_maps"),
                             "run the server as another user (mail_owner), or lower "
                             "virtual_minimum_uid",
                             "virtual_uid_maps names user %lld, below virtual_minimum_uid = %lld",
                             (long long)uid, (long long)l->params->virtual_minimum_uid);
}

/* Does virtual_transport lead to this service? */
static bool is_reached(const struct params *params, struct str service)
{
        if (str_trim(params->virtual_mailbox_domains).len == 0)
                return false;
        struct str transport = params->virtual_transport;
        return str_eq(str_trim(str_cut(&transport, ':')), service);
}

/* ---- life ---- */

static void add_service(struct core_mailboxes *m, struct str name, const struct params *params,
                        struct table_set *tables, struct findings *findings)
{
        struct core_mailbox_service *service = &m->services[m->count++];
        *service = (struct core_mailbox_service){.name = name,
                                                 .base = params->virtual_mailbox_base,
                                                 .delimiters = params->recipient_delimiter,
                                                 .bytes_max = params->virtual_mailbox_limit};
        if (!is_reached(&m->config->params, name))
                return;
        struct lint lint = {.config = m->config, .params = params, .findings = findings};
        lint_service(&lint);
        service->maps = table_list_open(tables, params->virtual_mailbox_maps,
                                        config_place(m->config, "virtual_mailbox_maps"), findings);
}

static bool is_virtual(const struct service *service)
{
        return !service->is_inet && str_eq(service->command, STR("virtual"));
}

struct core_mailboxes *core_mailboxes_new(struct config *c, struct table_set *tables,
                                          struct findings *findings)
{
        struct core_mailboxes *m = calloc(1, sizeof(*m));
        check(m);
        m->refs = 1;
        m->config = config_ref(c);
        m->tables = table_set_ref(tables);
        m->services = calloc(c->service_count + 1, sizeof(*m->services));
        check(m->services);
        for (size_t i = 0; i < c->service_count; i++)
                if (is_virtual(&c->services[i]))
                        add_service(m, c->services[i].name, &c->services[i].params, tables,
                                    findings);
        if (m->count == 0)
                add_service(m, STR("virtual"), &c->params, tables, findings);
        return m;
}

struct core_mailboxes *core_mailboxes_ref(struct core_mailboxes *m)
{
        if (m)
                __atomic_add_fetch(&m->refs, 1, __ATOMIC_RELAXED);
        return m;
}

void core_mailboxes_unref(struct core_mailboxes **mp)
{
        struct core_mailboxes *m = *mp;
        *mp = NULL;
        if (!m || __atomic_sub_fetch(&m->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        table_set_free(&m->tables);
        config_unref(&m->config);
        free(m->services);
        free(m);
}

void core_mailboxes_use(struct core_mailboxes *m)
{
        core_mailboxes_ref(m);
        pthread_mutex_lock(&in_use.lock);
        struct core_mailboxes *before = in_use.mailboxes;
        in_use.mailboxes = m;
        pthread_mutex_unlock(&in_use.lock);
        core_mailboxes_unref(&before);
}

struct core_mailboxes *core_mailboxes_in_use(void)
{
        pthread_mutex_lock(&in_use.lock);
        struct core_mailboxes *m = core_mailboxes_ref(in_use.mailboxes);
        pthread_mutex_unlock(&in_use.lock);
        return m;
}

const struct core_mailbox_service *core_mailboxes_service(const struct core_mailboxes *m,
                                                          struct str name)
{
        for (size_t i = 0; i < m->count; i++)
                if (str_eq(m->services[i].name, name))
                        return &m->services[i];
        return &m->services[0];
}
