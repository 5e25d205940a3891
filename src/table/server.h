/*
 * server.h - asking a table that another program keeps: cached, with a time limit and a circuit breaker
 *
 * Private to this room. A kind says how one question is asked; what all have in common is here:
 *
 *   - an answer is believed for a while (answer_cache.h), so that a burst of mail is one question;
 *   - tasks of one loop that ask the same at the same time wait for one answer;
 *   - each question has a time limit (table_timeout), whatever the server does;
 *   - when the server is down it is not asked again for a second, then two, up to half a minute (one
 *     question tries). Meanwhile, and whenever a question fails, an entry that was found lately
 *     counts on; for any other key the answer is TABLE_ERROR at once. That there is no entry is never
 *     said of a server that did not say it within table_cache_negative_ttl.
 *
 * Threads: any. Waits: suspends the task; without one it blocks (tools, the reading of a
 * configuration).
 */
#ifndef TABLE_SERVER_H
#define TABLE_SERVER_H

#include "base/buf.h"
#include "table/table_private.h"

enum { SERVER_ANSWER_BYTES_MAX = 1 << 20 };

/* How a question ended. */
enum server_outcome {
        SERVER_ANSWERED, /* with is_found, or that there is none */
        SERVER_REFUSED,  /* it is there, but will not answer this */
        SERVER_FAILED,   /* it was lost, or too slow, this time */
        SERVER_DOWN,     /* nobody could be reached */
        SERVER_BUSY,     /* we had no time left to ask */
};

struct server_reply {
        enum server_outcome outcome;
        bool is_found;
        struct buf value; /* of what was found */
        struct why why;   /* of all but SERVER_ANSWERED; no passwords */
};

struct server_kind {
        bool is_blocking; /* ask() blocks and is for the pool; else it is called in a task and may await */
        /* Is there anything to ask for this key? When not, there is no entry. May be NULL. */
        bool (*await_wants)(const void *backend, struct str key);
        /* Fills *reply, whose value is empty, before the deadline (on the monotonic clock). */
        void (*ask)(void *backend, struct str key, int64_t deadline_ms, struct server_reply *reply);
        /* Lets go of what is idle; may be NULL. */
        void (*tend)(void *backend);
        void (*free)(void *backend);
};

/*
 * Becomes the contents of a table; owns the backend. `definition`: all that answers depend on. A table of the
 * same definition that is open already, of the configuration before, shares what the server has said and whether it is
 * down.
 */
void *server_new(const struct table_text *text, const struct server_kind *kind, void *backend,
                 struct str definition);

/* For a struct table_type. */
enum table_result await_server_find(const void *contents, const struct table_query *query);
void server_free(void *contents);
void server_tend(const void *contents);
void server_figures(const void *contents, struct table_figures *out);

static inline enum server_outcome server_fail(struct server_reply *reply,
                                              enum server_outcome outcome)
{
        reply->outcome = outcome;
        return outcome;
}

#endif
