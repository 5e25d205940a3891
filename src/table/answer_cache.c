/* answer_cache.c - what a server said lately */
#include "table/answer_cache.h"

#include "base/check.h"
#include "base/heap.h"

struct entry {
        struct list link;
        int64_t fresh_until_ms;
        int64_t until_ms;
        size_t key_len;
        size_t value_len;
        bool is_found;
        char bytes[]; /* key, value */
};

static size_t cost_of(const struct entry *e)
{
        /* with its slot and its second copy of the key in the map */
        return sizeof(*e) + e->key_len * 2 + e->value_len + 100;
}

void answer_cache_init(struct answer_cache *c, size_t bytes_max, struct answer_cache_times times)
{
        *c = (struct answer_cache){.bytes_max = bytes_max, .times = times};
        pthread_mutex_init(&c->lock, NULL);
        map_init(&c->entries);
        list_init(&c->by_use);
}

static void drop(struct answer_cache *c, struct entry *e)
{
        list_remove(&e->link);
        c->bytes -= cost_of(e);
        free(e);
}

void answer_cache_done(struct answer_cache *c)
{
        while (!list_is_empty(&c->by_use))
                drop(c, list_of(c->by_use.next, struct entry, link));
        map_done(&c->entries);
        pthread_mutex_destroy(&c->lock);
}

enum answer_state answer_cache_find(struct answer_cache *c, struct str key, int64_t now_ms,
                                    struct arena *arena, struct str *value)
{
        enum answer_state state = ANSWER_UNKNOWN;
        pthread_mutex_lock(&c->lock);
        struct entry *e = map_find(&c->entries, key);
        if (e && now_ms < e->until_ms) {
                list_remove(&e->link);
                list_add_last(&c->by_use, &e->link);
                if (e->is_found)
                        *value = arena_str(arena, str_make(e->bytes + e->key_len, e->value_len));
                state = !e->is_found                 ? ANSWER_NOT_FOUND
                        : now_ms < e->fresh_until_ms ? ANSWER_FOUND
                                                     : ANSWER_STALE;
        }
        pthread_mutex_unlock(&c->lock);
        return state;
}

static struct entry *entry_new(const struct answer_cache *c, struct str key, bool is_found,
                               struct str value, int64_t now_ms)
{
        struct entry *e = malloc(sizeof(*e) + key.len + (is_found ? value.len : 0));
        check(e);
        *e = (struct entry){
                .key_len = key.len,
                .value_len = is_found ? value.len : 0,
                .is_found = is_found,
                .fresh_until_ms = now_ms + (is_found ? c->times.found_ms : c->times.not_found_ms),
        };
        e->until_ms = e->fresh_until_ms + (is_found ? c->times.stale_ms : 0);
        memcpy(e->bytes, key.ptr, key.len);
        if (e->value_len)
                memcpy(e->bytes + key.len, value.ptr, value.len);
        return e;
}

void answer_cache_put(struct answer_cache *c, struct str key, bool is_found, struct str value,
                      int64_t now_ms)
{
        if (c->bytes_max == 0)
                return;
        struct entry *e = entry_new(c, key, is_found, value, now_ms);
        pthread_mutex_lock(&c->lock);
        struct entry *before = map_remove(&c->entries, key);
        if (before)
                drop(c, before);
        if (cost_of(e) <= c->bytes_max / 4) {
                c->bytes += cost_of(e);
                list_add_last(&c->by_use, &e->link);
                map_put(&c->entries, key, e);
                while (c->bytes > c->bytes_max) {
                        struct entry *oldest = list_of(c->by_use.next, struct entry, link);
                        map_remove(&c->entries, str_make(oldest->bytes, oldest->key_len));
                        drop(c, oldest);
                }
        } else {
                free(e);
        }
        pthread_mutex_unlock(&c->lock);
}
