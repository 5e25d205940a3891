/*
 * keys.h - certificates and keys, which as a rule only root may read
 *
 * At the start the worker reads them before it gives up its privileges. At a reload it has none left: then
 * the supervisor reads the files that the new configuration names, and hands over copies in memory.
 *
 * Not here: certificates of our own as a client (routes): those must be readable by mail_owner.
 */
#ifndef OPS_KEYS_H
#define OPS_KEYS_H

#include "config/config.h"
#include "wire/tls.h"

/* The TLS contexts of a configuration's services, by index in config->services; NULL: no STARTTLS. */
struct keys {
        struct tls_context **tls;
        size_t count;
};

/* Copies of files, by path. */
struct key_files {
        struct key_file {
                char *path;
                int fd;
        } * list;
        size_t count;
};

/* Before all that follows: OpenSSL's configuration (tls_config_file). */
void keys_begin(const struct config *c, struct findings *findings);
/* Makes the contexts, from `files` as far as they are there (NULL: none). What is wrong is in *findings. */
void keys_make(struct keys *keys, const struct config *c, const struct key_files *files,
               struct findings *findings);
/*
 * Certificates that have expired (an error: for `check`; a server starts with them, as others do) or will within a
 * week (a warning). `now_s` in seconds since 1970.
 */
void keys_lint(const struct keys *keys, const struct config *c, int64_t now_s,
               struct findings *findings);
void keys_done(struct keys *keys);

/* Calls `each` for every file that keys_make() would read, maybe more than once. */
void keys_each_file(const struct config *c, void (*each)(void *context, struct str path),
                    void *context);

/* A copy of the file in memory that any process may read which has the descriptor; or an error. */
int keys_copy_file(struct str path);

/* Takes the descriptor. */
void key_files_add(struct key_files *files, const char *path, int fd);
void key_files_done(struct key_files *files);

#endif
