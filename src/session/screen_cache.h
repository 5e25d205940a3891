/*
 * screen_cache.h - who has passed which test of postscreen, and until when
 *
 * By the whole address (Postfix's postscreen_cache_map), in memory, for all loops and listeners, and in a file between two
 * runs (screen_file.c). Bounded: when SCREEN_CLIENTS_MAX are known, further ones are tested each time.
 *
 * Threads: any.
 */
#ifndef SESSION_SCREEN_CACHE_H
#define SESSION_SCREEN_CACHE_H

#include "base/why.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum screen_test {
        SCREEN_PREGREET,
        SCREEN_DNSBL,
        SCREEN_PIPELINING,
        SCREEN_NON_SMTP,
        SCREEN_BARE_NEWLINE,
        SCREEN_TESTS
};

enum { SCREEN_CLIENTS_MAX = 1000000 };

/* Until when each test counts as passed: seconds since 1970; 0: never passed. */
struct screen_passes {
        uint32_t until_s[SCREEN_TESTS];
};

struct screen_cache;
struct screen_cache *screen_cache_new(size_t clients_max);
void screen_cache_free(struct screen_cache **c);

/* False: nothing is known of it. */
bool screen_cache_find(struct screen_cache *c, const unsigned char address[16],
                       struct screen_passes *out);
/*
 * Takes over what is later than what is known. A client whose tests have all lapsed is forgotten after another
 * `retention_s`.
 */
void screen_cache_put(struct screen_cache *c, const unsigned char address[16],
                      const struct screen_passes *passes, int64_t now_s, int64_t retention_s);

/*
 * Some of what is known, under the lock: those among the next `steps` places from *at on (0 at first), which goes on. False: that
 * was the last.
 */
typedef void screen_visit(void *context, const unsigned char address[16],
                          const struct screen_passes *passes, uint32_t forgotten_s);
bool screen_cache_slice(struct screen_cache *c, uint32_t *at, uint32_t steps, screen_visit *visit,
                        void *context);
/* As it was kept; nothing when it is to be forgotten by now. */
void screen_cache_restore(struct screen_cache *c, const unsigned char address[16],
                          const struct screen_passes *passes, uint32_t forgotten_s, int64_t now_s);

/*
 * All of it into a file, in the place of the one that is there; and back, added to what is known. Block; from one thread at
 * a time. 0 or a negative errno value with *why: -ENOENT: there is none; -EBADMSG: it is not a whole one, and nothing was
 * taken.
 */
int screen_cache_save(struct screen_cache *c, const char *path, int64_t now_s, struct why *why);
int screen_cache_load(struct screen_cache *c, const char *path, int64_t now_s, struct why *why);

size_t screen_cache_count(struct screen_cache *c);
/* What it has taken from the machine, and what it could take. */
size_t screen_cache_bytes(struct screen_cache *c);
size_t screen_cache_bytes_max(const struct screen_cache *c);

#endif
