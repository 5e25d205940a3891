/*
 * server_memory.h - what is remembered of a server that keeps a table: its answers, and whether it can be asked
 *
 * Private to this room. Tables of the same definition share one: so a reload, which opens every table anew, forgets neither
 * what was said nor that the server is down. Of another definition (other settings, another time limit) nothing
 * counts.
 *
 * Threads: any.
 */
#ifndef TABLE_SERVER_MEMORY_H
#define TABLE_SERVER_MEMORY_H

#include "table/answer_cache.h"
#include "table/server.h"

struct server_memory;

struct server_memory_limits {
        size_t cache_bytes_max;
        struct answer_cache_times times;
        int64_t timeout_ms;
};

/*
 * `definition`: all that its answers depend on. `name` is for the log. The memory of a table that is open under the same
 * definition, name and limits, or a new one.
 */
struct server_memory *server_memory_get(struct str name, struct str definition,
                                        const struct server_memory_limits *limits);
void server_memory_unref(struct server_memory **m);
struct answer_cache *server_memory_answers(struct server_memory *m);

/* ---- the circuit breaker ---- */

/* May it be asked now? Whoever is let through at the end of a pause tries for all. */
bool server_memory_admits(struct server_memory *m, int64_t now_ms);
/* How a question ended that was asked then. */
void server_memory_learn(struct server_memory *m, int64_t asked_ms,
                         const struct server_reply *reply);
bool server_memory_is_paused(struct server_memory *m);

#endif
