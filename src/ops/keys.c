/* keys.c - certificates and keys, which as a rule only root may read */
#include "ops/keys.h"

#include "base/check.h"
#include "ops/sni.h"
#include "session/session.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DAY_S = 24 * 3600, SOON_S = 7 * DAY_S };
enum { KEY_FILE_BYTES_MAX = 1024 * 1024, PATH_BYTES_MAX = 1024 };

static bool has_tls(const struct service *s)
{
        return s->is_inet && (s->params.smtpd_tls_security_level > TLS_LEVEL_NONE ||
                              s->params.smtpd_tls_wrappermode);
}

struct each_file {
        void (*each)(void *context, struct str path);
        void *context;
};

static void each_of_name(void *context, struct str name, struct str files, struct str contents)
{
        const struct each_file *e = context;
        struct str path;
        while (config_list_next(&files, &path))
                e->each(e->context, path);
}

void keys_each_file(const struct config *c, void (*each)(void *context, struct str path),
                    void *context)
{
        for (size_t i = 0; i < c->service_count; i++) {
                const struct params *p = &c->services[i].params;
                if (!has_tls(&c->services[i]))
                        continue;
                struct str rest = p->smtpd_tls_chain_files;
                struct str path;
                while (config_list_next(&rest, &path))
                        each(context, path);
                const struct str files[] = {p->smtpd_tls_cert_file,   p->smtpd_tls_key_file,
                                            p->smtpd_tls_eccert_file, p->smtpd_tls_eckey_file,
                                            p->smtpd_tls_dcert_file,  p->smtpd_tls_dkey_file};
                for (size_t k = 0; k < sizeof(files) / sizeof(files[0]); k++)
                        if (files[k].len)
                                each(context, files[k]);
                struct each_file e = {each, context};
                sni_each(c, p, each_of_name, &e, NULL);
        }
}

int keys_copy_file(struct str path)
{
        char name[PATH_BYTES_MAX];
        if (path.len >= sizeof(name))
                return -ENAMETOOLONG;
        memcpy(name, path.ptr, path.len);
        name[path.len] = 0;
        int from = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (from < 0)
                return -errno;
        char *bytes = malloc(KEY_FILE_BYTES_MAX);
        check(bytes);
        ssize_t len = read(from, bytes, KEY_FILE_BYTES_MAX);
        close(from);
        int to = len > 0 ? memfd_create("key", MFD_CLOEXEC) : -EIO;
        if (to >= 0 && write(to, bytes, (size_t)len) != len) {
                close(to);
                to = -EIO;
        }
        explicit_bzero(bytes, KEY_FILE_BYTES_MAX);
        free(bytes);
        return to == -1 ? -errno : to;
}

void key_files_add(struct key_files *files, const char *path, int fd)
{
        files->list = realloc(files->list, (files->count + 1) * sizeof(*files->list));
        check(files->list);
        struct key_file *f = &files->list[files->count++];
        *f = (struct key_file){.path = strdup(path), .fd = fd};
        check(f->path);
}

void key_files_done(struct key_files *files)
{
        for (size_t i = 0; i < files->count; i++) {
                close(files->list[i].fd);
                free(files->list[i].path);
        }
        free(files->list);
        *files = (struct key_files){0};
}

/* Where a copy of this file can be read; else the path itself. */
static struct str replace(struct str path, const struct key_files *files, struct arena *arena)
{
        for (size_t i = 0; files && i < files->count; i++)
                if (str_eq(path, str_from(files->list[i].path)))
                        return arena_printf(arena, "/proc/self/fd/%d", files->list[i].fd);
        return path;
}

static struct str replace_list(struct str list, const struct key_files *files, struct arena *arena)
{
        struct str out = STR("");
        struct str path;
        while (config_list_next(&list, &path)) {
                struct str other = replace(path, files, arena);
                out = arena_printf(arena, "%.*s%s%.*s", STR_ARG(out), out.len ? " " : "",
                                   STR_ARG(other));
        }
        return out;
}

/* People know the file, not our copy of it. */
static struct str name_files(struct str text, const struct key_files *files, struct arena *arena)
{
        for (size_t i = 0; files && i < files->count; i++) {
                struct str copy = arena_printf(arena, "/proc/self/fd/%d", files->list[i].fd);
                ptrdiff_t at = str_find_str(text, copy);
                if (at < 0)
                        continue;
                struct str before = str_part(text, 0, (size_t)at);
                struct str after = str_tail(text, before.len + copy.len);
                return arena_printf(arena, "%.*s%s%.*s", STR_ARG(before), files->list[i].path,
                                    STR_ARG(after));
        }
        return text;
}

/* ---- names that clients ask for ---- */

struct naming {
        const struct config *config;
        struct tls_context *tls;
        const struct key_files *files;
        struct findings *findings;
};

static int file_of(struct str contents)
{
        int fd = memfd_create("key", MFD_CLOEXEC);
        if (fd >= 0 && write(fd, contents.ptr, contents.len) != (ssize_t)contents.len) {
                close(fd);
                return -1;
        }
        return fd;
}

static void add_name(void *context, struct str name, struct str files, struct str contents)
{
        const struct naming *n = context;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        int fd = contents.len ? file_of(contents) : -1;
        struct str list = fd >= 0 ? arena_printf(&arena, "/proc/self/fd/%d", fd)
                                  : replace_list(files, n->files, &arena);
        if (tls_context_add_name(n->tls, name, list, &why) < 0) {
                struct str text = name_files(str_from(why.text), n->files, &arena);
                findings_add(n->findings, SEVERITY_ERROR, "bad-tls",
                             config_place(n->config, "tls_server_sni_maps"), NULL,
                             "tls_server_sni_maps: %.*s: %.*s", STR_ARG(name), STR_ARG(text));
        }
        if (fd >= 0)
                close(fd);
        arena_done(&arena);
}

/* ---- all ---- */

static void make_one(struct keys *keys, const struct config *c, size_t i,
                     const struct key_files *files, struct findings *findings)
{
        const struct service *service = &c->services[i];
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        struct params *p = arena_new(&arena, struct params);
        *p = service->params;
        p->smtpd_tls_chain_files = replace_list(p->smtpd_tls_chain_files, files, &arena);
        p->smtpd_tls_cert_file = replace(p->smtpd_tls_cert_file, files, &arena);
        p->smtpd_tls_key_file = replace(p->smtpd_tls_key_file, files, &arena);
        p->smtpd_tls_eccert_file = replace(p->smtpd_tls_eccert_file, files, &arena);
        p->smtpd_tls_eckey_file = replace(p->smtpd_tls_eckey_file, files, &arena);
        p->smtpd_tls_dcert_file = replace(p->smtpd_tls_dcert_file, files, &arena);
        p->smtpd_tls_dkey_file = replace(p->smtpd_tls_dkey_file, files, &arena);
        if (session_tls_new(p, &keys->tls[i], &why) < 0) {
                const char *name = p->smtpd_tls_chain_files.len ? "smtpd_tls_chain_files"
                                                                : "smtpd_tls_cert_file";
                struct place at = config_is_set(c, name) ? config_place(c, name) : service->at;
                struct str text = name_files(str_from(why.text), files, &arena);
                findings_add(findings, SEVERITY_ERROR, "bad-tls", at, NULL, "service %.*s: %.*s",
                             STR_ARG(service->name), STR_ARG(text));
        } else if (keys->tls[i]) {
                struct naming n = {c, keys->tls[i], files, findings};
                sni_each(c, p, add_name, &n, findings);
        }
        arena_done(&arena);
}

void keys_begin(const struct config *c, struct findings *findings)
{
        struct why why;
        if (tls_library_begin(c->params.tls_config_file, c->params.tls_config_name, &why) < 0)
                findings_add(
                        findings, SEVERITY_ERROR, "tls-config", config_place(c, "tls_config_file"),
                        "see config(5ssl), or write tls_config_file = default", "%s", why.text);
}

void keys_make(struct keys *keys, const struct config *c, const struct key_files *files,
               struct findings *findings)
{
        *keys = (struct keys){.count = c->service_count};
        keys->tls = calloc(c->service_count + 1, sizeof(struct tls_context *));
        check(keys->tls);
        for (size_t i = 0; i < c->service_count; i++)
                if (has_tls(&c->services[i]))
                        make_one(keys, c, i, files, findings);
}

void keys_lint(const struct keys *keys, const struct config *c, int64_t now_s,
               struct findings *findings)
{
        for (size_t i = 0; i < keys->count; i++) {
                int64_t left_s =
                        keys->tls[i] ? tls_context_expires(keys->tls[i]) - now_s : INT64_MAX;
                const struct service *service = &c->services[i];
                const char *name = service->params.smtpd_tls_chain_files.len
                                           ? "smtpd_tls_chain_files"
                                           : "smtpd_tls_cert_file";
                struct place at = config_is_set(c, name) ? config_place(c, name) : service->at;
                if (left_s < 0)
                        findings_add(findings, SEVERITY_ERROR, "certificate-expired", at,
                                     "renew it; clients that check it do not come in any more",
                                     "service %.*s: the certificate has expired %lld days ago",
                                     STR_ARG(service->name), (long long)(-left_s / DAY_S));
                else if (left_s < SOON_S)
                        findings_add(findings, SEVERITY_WARNING, "certificate-expires", at,
                                     "renew it",
                                     "service %.*s: the certificate expires in %lld days",
                                     STR_ARG(service->name), (long long)(left_s / DAY_S));
        }
}

void keys_done(struct keys *keys)
{
        for (size_t i = 0; i < keys->count; i++)
                tls_context_unref(&keys->tls[i]);
        free(keys->tls);
        *keys = (struct keys){0};
}
