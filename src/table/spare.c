/* spare.c - connections to a server that nobody uses now */
#include "table/spare.h"

#include "base/check.h"
#include "base/clock.h"

#include <stdlib.h>

struct spare {
        struct list link;
        void *connection;
        int64_t since_ms;
};

void spares_init(struct spares *s, void (*close)(void *connection))
{
        pthread_mutex_init(&s->lock, NULL);
        list_init(&s->list);
        s->close = close;
}

void spares_done(struct spares *s)
{
        spares_close(s, INT64_MAX);
        pthread_mutex_destroy(&s->lock);
}

void *spares_take(struct spares *s)
{
        struct spare *found = NULL;
        pthread_mutex_lock(&s->lock);
        if (!list_is_empty(&s->list)) {
                found = list_of(s->list.prev, struct spare, link);
                list_remove(&found->link);
        }
        pthread_mutex_unlock(&s->lock);
        void *connection = found ? found->connection : NULL;
        free(found);
        return connection;
}

void spares_put(struct spares *s, void *connection)
{
        struct spare *spare = malloc(sizeof(*spare));
        check(spare);
        spare->connection = connection;
        spare->since_ms = clock_mono_ms();
        pthread_mutex_lock(&s->lock);
        list_add_last(&s->list, &spare->link);
        pthread_mutex_unlock(&s->lock);
}

void spares_close(struct spares *s, int64_t before_ms)
{
        struct list old;
        list_init(&old);
        pthread_mutex_lock(&s->lock);
        list_each (link, &s->list) {
                if (list_of(link, struct spare, link)->since_ms >= before_ms)
                        break;
                list_remove(link);
                list_add_last(&old, link);
        }
        pthread_mutex_unlock(&s->lock);
        list_each (link, &old) {
                struct spare *spare = list_of(link, struct spare, link);
                s->close(spare->connection);
                free(spare);
        }
}
