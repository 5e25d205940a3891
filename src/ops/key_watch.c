/* key_watch.c - have certificates and keys changed on disk? */
#include "ops/key_watch.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/map.h"
#include "ops/keys.h"

#include <sys/stat.h>

enum { PATHS_MAX = 200 * 1000 };

static void add_path(void *context, struct str path)
{
        struct key_watch *w = context;
        if (path.len == 0 || w->count == PATHS_MAX)
                return;
        w->paths = realloc(w->paths, (w->count + 1) * sizeof(*w->paths));
        check(w->paths);
        w->paths[w->count] = strndup(path.ptr, path.len);
        check(w->paths[w->count]);
        w->count++;
}

/* Those of the client and of the authorities: the worker may read them itself, but has to be told too. */
static void add_others(struct key_watch *w, const struct params *p)
{
        struct str rest = p->smtp_tls_chain_files;
        struct str path;
        while (config_list_next(&rest, &path))
                add_path(w, path);
        const struct str files[] = {p->smtp_tls_cert_file,   p->smtp_tls_key_file,
                                    p->smtp_tls_eccert_file, p->smtp_tls_eckey_file,
                                    p->smtp_tls_dcert_file,  p->smtp_tls_dkey_file,
                                    p->smtp_tls_CAfile,      p->smtpd_tls_CAfile};
        for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
                add_path(w, files[i]);
}

/* Of all files: which they are, and when they were written. Never 0. */
static uint64_t look(const struct key_watch *w)
{
        uint64_t all = 1;
        for (size_t i = 0; i < w->count; i++) {
                struct stat s;
                struct {
                        uint64_t all, device, inode, bytes, seconds, nanoseconds;
                } one = {.all = all};
                if (stat(w->paths[i], &s) == 0) {
                        one.device = s.st_dev;
                        one.inode = s.st_ino;
                        one.bytes = (uint64_t)s.st_size;
                        one.seconds = (uint64_t)s.st_mtim.tv_sec;
                        one.nanoseconds = (uint64_t)s.st_mtim.tv_nsec;
                }
                all = hash_bytes(&one, sizeof(one)) | 1;
        }
        return all;
}

static void forget(struct key_watch *w)
{
        for (size_t i = 0; i < w->count; i++)
                free(w->paths[i]);
        free(w->paths);
        w->paths = NULL;
        w->count = 0;
}

static void look_later(struct key_watch *w, int64_t now_ms)
{
        int64_t interval = w->config->params.tls_watch_interval;
        w->next_ms = interval > 0 && w->count ? now_ms + interval : CLOCK_NEVER;
}

void key_watch_begin(struct key_watch *w, const struct config *config, int64_t now_ms)
{
        forget(w);
        w->config = config;
        keys_each_file(config, add_path, w);
        for (size_t i = 0; i < config->service_count; i++)
                add_others(w, &config->services[i].params);
        w->seen = look(w);
        w->changed = 0;
        look_later(w, now_ms);
}

bool key_watch_is_due(struct key_watch *w, int64_t now_ms)
{
        if (!w->config || w->next_ms == CLOCK_NEVER || now_ms < w->next_ms)
                return false;
        uint64_t now = look(w);
        uint64_t before = w->changed;
        w->changed = now == w->seen ? 0 : now;
        look_later(w, now_ms);
        if (!w->changed || w->changed != before)
                return false;
        w->seen = now; /* whatever comes of it: the same files are not tried again and again */
        w->changed = 0;
        return true;
}

void key_watch_done(struct key_watch *w)
{
        forget(w);
        *w = (struct key_watch){.next_ms = CLOCK_NEVER};
}
