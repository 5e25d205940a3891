/* arena.c - memory for things that end together */
#include "base/arena.h"

#include "base/check.h"

#include <stdarg.h>

enum { BLOCK_BYTES = 4096, ALIGN = 16 };

struct arena_block {
        struct arena_block *next;
        size_t room;
        size_t used;
        size_t pad; /* keeps bytes[] aligned */
        char bytes[];
};

_Static_assert(sizeof(struct arena_block) % ALIGN == 0, "blocks keep alignment");

void arena_init(struct arena *a, size_t bytes_max)
{
        *a = (struct arena){.bytes_max = bytes_max};
}

void arena_done(struct arena *a)
{
        for (struct arena_block *b = a->blocks, *next; b; b = next) {
                next = b->next;
                free(b);
        }
        arena_init(a, a->bytes_max);
}

void arena_clear(struct arena *a)
{
        struct arena_block *keep = a->blocks;
        if (!keep)
                return;
        for (struct arena_block *b = keep->next, *next; b; b = next) {
                next = b->next;
                free(b);
        }
        keep->next = NULL;
        keep->used = 0;
        a->used = 0;
        if (keep->room > BLOCK_BYTES)
                arena_done(a);
}

void *arena_alloc(struct arena *a, size_t bytes)
{
        size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
        check(need >= bytes);
        struct arena_block *b = a->blocks;
        if (!b || b->room - b->used < need) {
                size_t room = BLOCK_BYTES - sizeof(*b);
                if (room < need)
                        room = need;
                b = malloc(sizeof(*b) + room);
                check(b);
                *b = (struct arena_block){.next = a->blocks, .room = room};
                a->blocks = b;
        }
        void *at = b->bytes + b->used;
        b->used += need;
        a->used += need;
        return memset(at, 0, need);
}

struct str arena_str(struct arena *a, struct str s)
{
        char *at = arena_alloc(a, s.len + 1);
        if (s.len)
                memcpy(at, s.ptr, s.len);
        return str_make(at, s.len);
}

struct str arena_str_lower(struct arena *a, struct str s)
{
        char *at = arena_alloc(a, s.len + 1);
        for (size_t i = 0; i < s.len; i++)
                at[i] = char_lower(s.ptr[i]);
        return str_make(at, s.len);
}

struct str arena_printf(struct arena *a, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        int len = vsnprintf(NULL, 0, format, args);
        va_end(args);
        check(len >= 0);
        char *at = arena_alloc(a, (size_t)len + 1);
        va_start(args, format);
        vsnprintf(at, (size_t)len + 1, format, args);
        va_end(args);
        return str_make(at, (size_t)len);
}
