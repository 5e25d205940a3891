/*
 * known_clients.c - where the clients that have passed postscreen's tests are kept between two runs, and when they are written
 *
 * postscreen_cache_map names the file, as it names Postfix's: with .forepost behind it, so that neither reads the other's.
 * A directory that is not there, or not ours to write, is no reason to forget them: then the file stands in the queue
 * directory. Written every SAVE_S seconds and at the stop; a crash forgets what was learned since.
 */
#include "base/check.h"
#include "base/log.h"
#include "loop/pool.h"
#include "ops/ops_private.h"
#include "ops/queue_directory.h"

#include <errno.h>
#include <unistd.h>

enum { SAVE_S = 600, PATH_BYTES_MAX = 1024 };

static bool has_postscreen(const struct config *c)
{
        for (size_t i = 0; i < c->service_count; i++)
                if (c->services[i].is_inet && str_eq(c->services[i].command, STR("postscreen")))
                        return true;
        return false;
}

/* The path in "btree:/var/lib/x", "proxy:btree:/var/lib/x"; empty: none that is absolute. */
static struct str map_path(struct str map)
{
        struct str path = str_trim(map);
        while (path.len && path.ptr[0] != '/' && str_find(path, ':') >= 0)
                path = str_tail(path, (size_t)str_find(path, ':') + 1);
        bool is_server =
                str_find_str(map, STR("memcache:")) >= 0; /* its path is a file of settings */
        return path.len && path.ptr[0] == '/' && !is_server ? path : STR("");
}

static bool find_in_map(struct str path, char out[PATH_BYTES_MAX])
{
        ptrdiff_t slash = str_find_last(path, '/');
        if (slash < 0 || path.len + 16 > PATH_BYTES_MAX)
                return false;
        snprintf(out, PATH_BYTES_MAX, "%.*s/.", STR_ARG(str_part(path, 0, (size_t)slash)));
        if (access(out, W_OK | X_OK) < 0)
                return false;
        snprintf(out, PATH_BYTES_MAX, "%.*s.forepost", STR_ARG(path));
        return true;
}

static void find_path(const struct config *c, char out[PATH_BYTES_MAX])
{
        char queue[QUEUE_DIRECTORY_BYTES_MAX];
        if (find_in_map(map_path(c->params.postscreen_cache_map), out))
                return;
        queue_directory_find(c, queue);
        snprintf(out, PATH_BYTES_MAX, "%s/postscreen_cache.forepost", queue);
}

void worker_load_known_clients(struct worker *w)
{
        char path[PATH_BYTES_MAX];
        struct why why;
        if (!has_postscreen(w->site->config))
                return;
        find_path(w->site->config, path);
        int rc = front_door_load_known(w->door, path, &why);
        if (rc < 0 && rc != -ENOENT)
                log_warning("postscreen", "clients that were known are tested again: %s", why.text);
}

void worker_save_known_clients(struct worker *w, struct site *site)
{
        char path[PATH_BYTES_MAX];
        struct why why;
        if (!has_postscreen(site->config))
                return;
        find_path(site->config, path);
        if (front_door_save_known(w->door, path, &why) < 0)
                log_warning("postscreen", "clients that are known cannot be kept: %s", why.text);
}

struct saving {
        struct worker *worker;
        struct site *site;
};

static int save(void *arg)
{
        struct saving *s = arg;
        worker_save_known_clients(s->worker, s->site);
        return 0;
}

void await_save_known_clients(struct worker *w, int64_t seconds)
{
        if (seconds % SAVE_S || !has_postscreen(w->site->config))
                return;
        struct saving s = {w, site_ref(w->site)};
        await_pool_run("writing", STR("the clients that postscreen knows"), save, &s);
        site_unref(&s.site);
}
