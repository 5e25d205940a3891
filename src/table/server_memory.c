/* server_memory.c - what is remembered of a server that keeps a table */
#include "table/server_memory.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"

enum {
        FAILURES_MAX = 3, /* in a row, while others are answered; then the server counts as down */
        PAUSE_MS_MIN = 1000,
        PAUSE_MS_MAX = 30000,
};

struct server_memory {
        struct list link; /* in `all` */
        unsigned refs;    /* under all_lock */
        char *name;
        size_t definition_len;
        char *definition;
        struct server_memory_limits limits;
        struct answer_cache answers;

        pthread_mutex_t lock; /* over the breaker */
        int failures;
        int64_t answered_ms;     /* when it last answered anything */
        int64_t paused_until_ms; /* 0: asked freely */
        int64_t pause_ms;        /* the last */
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all = {&all, &all};

/* ---- life ---- */

static bool is_same(const struct server_memory *m, struct str name, struct str definition,
                    const struct server_memory_limits *l)
{
        return str_eq(str_make(m->definition, m->definition_len), definition) &&
               str_eq(str_from(m->name), name) && m->limits.timeout_ms == l->timeout_ms &&
               m->limits.cache_bytes_max == l->cache_bytes_max &&
               m->limits.times.found_ms == l->times.found_ms &&
               m->limits.times.not_found_ms == l->times.not_found_ms &&
               m->limits.times.stale_ms == l->times.stale_ms;
}

static struct server_memory *memory_new(struct str name, struct str definition,
                                        const struct server_memory_limits *limits)
{
        struct server_memory *m = calloc(1, sizeof(*m));
        check(m);
        m->name = strndup(name.ptr, name.len);
        m->definition = malloc(definition.len + 1);
        check(m->name && m->definition);
        if (definition.len)
                memcpy(m->definition, definition.ptr, definition.len);
        m->definition_len = definition.len;
        m->limits = *limits;
        pthread_mutex_init(&m->lock, NULL);
        answer_cache_init(&m->answers, limits->cache_bytes_max, limits->times);
        return m;
}

struct server_memory *server_memory_get(struct str name, struct str definition,
                                        const struct server_memory_limits *limits)
{
        struct server_memory *found = NULL;
        pthread_mutex_lock(&all_lock);
        list_each (link, &all) {
                struct server_memory *m = list_of(link, struct server_memory, link);
                if (!found && is_same(m, name, definition, limits))
                        found = m;
        }
        if (!found) {
                found = memory_new(name, definition, limits);
                list_add_last(&all, &found->link);
        }
        found->refs++;
        pthread_mutex_unlock(&all_lock);
        return found;
}

void server_memory_unref(struct server_memory **mp)
{
        struct server_memory *m = *mp;
        *mp = NULL;
        pthread_mutex_lock(&all_lock);
        bool is_last = --m->refs == 0;
        if (is_last)
                list_remove(&m->link);
        pthread_mutex_unlock(&all_lock);
        if (!is_last)
                return;
        answer_cache_done(&m->answers);
        pthread_mutex_destroy(&m->lock);
        free(m->definition);
        free(m->name);
        free(m);
}

struct answer_cache *server_memory_answers(struct server_memory *m)
{
        return &m->answers;
}

/* ---- the breaker ---- */

bool server_memory_is_paused(struct server_memory *m)
{
        pthread_mutex_lock(&m->lock);
        bool is_paused = m->pause_ms != 0;
        pthread_mutex_unlock(&m->lock);
        return is_paused;
}

bool server_memory_admits(struct server_memory *m, int64_t now_ms)
{
        pthread_mutex_lock(&m->lock);
        bool admits = now_ms >= m->paused_until_ms;
        if (admits && m->paused_until_ms)
                m->paused_until_ms = now_ms + m->limits.timeout_ms;
        pthread_mutex_unlock(&m->lock);
        return admits;
}

static void breaker_open(struct server_memory *m, int64_t now_ms, const struct why *why)
{
        bool is_new = m->pause_ms == 0;
        m->pause_ms = is_new ? PAUSE_MS_MIN : m->pause_ms * 2;
        if (m->pause_ms > PAUSE_MS_MAX)
                m->pause_ms = PAUSE_MS_MAX;
        m->paused_until_ms = now_ms + m->pause_ms;
        if (is_new)
                log_warning(NULL,
                            "%s: cannot be asked: %s; what was found lately counts on, all else is "
                            "a temporary failure until it answers",
                            m->name, why->text);
}

void server_memory_learn(struct server_memory *m, int64_t asked_ms,
                         const struct server_reply *reply)
{
        int64_t now_ms = clock_mono_ms();
        pthread_mutex_lock(&m->lock);
        switch (reply->outcome) {
        case SERVER_ANSWERED:
        case SERVER_REFUSED:
                if (m->pause_ms)
                        log_info(NULL, "%s: answers again", m->name);
                m->failures = 0;
                m->answered_ms = now_ms;
                m->pause_ms = m->paused_until_ms = 0;
                break;
        case SERVER_FAILED:
                /* Others were answered meanwhile: it is this question, or a connection. */
                if (m->answered_ms >= asked_ms && ++m->failures < FAILURES_MAX && !m->pause_ms)
                        break;
                __attribute__((fallthrough));
        case SERVER_DOWN:
                /* Others that failed in the same pause make it no longer. */
                if (!m->pause_ms || now_ms + m->limits.timeout_ms >= m->paused_until_ms)
                        breaker_open(m, now_ms, &reply->why);
                break;
        case SERVER_BUSY:
                break;
        }
        pthread_mutex_unlock(&m->lock);
}
