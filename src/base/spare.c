/* spare.c - blocks of memory of one size that a thread keeps for who needs the next one */
#include "base/spare.h"

#include "base/check.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_NONE 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define KEEPS_NONE 1
#endif
#ifndef KEEPS_NONE
#define KEEPS_NONE 0
#endif

static __thread struct spares *known;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_all(void *none)
{
        for (struct spares *s = known; s; s = s->next) {
                while (s->first) {
                        void *block = s->first;
                        s->first = *(void **)block;
                        free(block);
                }
                s->count = 0;
                s->is_known = false;
        }
        known = NULL;
}

static void make_key(void)
{
        check(pthread_key_create(&key, free_all) == 0);
}

/* What this thread keeps has to go when it ends. */
static void know(struct spares *s)
{
        pthread_once(&once, make_key);
        check(pthread_setspecific(key, &known) == 0);
        s->is_known = true;
        s->next = known;
        known = s;
}

void *spare_take(struct spares *s)
{
        void *block = s->first;
        if (block) {
                s->first = *(void **)block;
                s->count--;
                return block;
        }
        check(s->bytes >= sizeof(void *));
        block = malloc(s->bytes);
        check(block);
        return block;
}

void *spare_take_zeroed(struct spares *s)
{
        return memset(spare_take(s), 0, s->bytes);
}

void spare_give(struct spares *s, void *block)
{
        if (!block)
                return;
        if (KEEPS_NONE || s->count == s->count_max) {
                free(block);
                return;
        }
        if (!s->is_known)
                know(s);
        *(void **)block = s->first;
        s->first = block;
        s->count++;
}
