/* arena.c - memory for things that end together */
#include "base/arena.h"

#include "base/check.h"
#include "base/format.h"
#include "base/spare.h"

#include <stdarg.h>

enum { BLOCK_BYTES = 4096, ALIGN = 16, SPARE_BLOCKS_MAX = 64 };

struct arena_block {
        struct arena_block *next;
        size_t room;
        size_t used;
        size_t pad; /* keeps bytes[] aligned */
        char bytes[];
};

_Static_assert(sizeof(struct arena_block) % ALIGN == 0, "blocks keep alignment");

/* Each command of each session has an arena for its time. */
static __thread struct spares spare_blocks = {.bytes = BLOCK_BYTES, .count_max = SPARE_BLOCKS_MAX};

static struct arena_block *block_new(size_t need)
{
        size_t room = BLOCK_BYTES - sizeof(struct arena_block);
        struct arena_block *b;
        if (need <= room) {
                b = spare_take(&spare_blocks);
        } else {
                room = need;
                b = malloc(sizeof(*b) + room);
                check(b);
        }
        *b = (struct arena_block){.room = room};
        return b;
}

static void block_free(struct arena_block *b)
{
        if (b->room == BLOCK_BYTES - sizeof(*b))
                spare_give(&spare_blocks, b);
        else
                free(b);
}

void arena_init(struct arena *a, size_t bytes_max)
{
        *a = (struct arena){.bytes_max = bytes_max};
}

void arena_done(struct arena *a)
{
        for (struct arena_block *b = a->blocks, *next; b; b = next) {
                next = b->next;
                block_free(b);
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
                block_free(b);
        }
        keep->next = NULL;
        keep->used = 0;
        a->used = 0;
        if (keep->room > BLOCK_BYTES)
                arena_done(a);
}

static size_t aligned(size_t bytes)
{
        size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
        check(need >= bytes);
        return need;
}

/* The next bytes of a block that has room for them. */
static void *take(struct arena *a, struct arena_block *b, size_t bytes)
{
        char *at = b->bytes + b->used;
        b->used += aligned(bytes);
        a->used += aligned(bytes);
        return at;
}

void *arena_alloc(struct arena *a, size_t bytes)
{
        size_t need = aligned(bytes);
        struct arena_block *b = a->blocks;
        if (!b || b->room - b->used < need) {
                b = block_new(need);
                b->next = a->blocks;
                a->blocks = b;
        }
        return memset(take(a, b, need), 0, need);
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
        /* most texts find room where the next bytes would be taken, and are there at once */
        struct arena_block *b = a->blocks;
        size_t room = b ? b->room - b->used : 0;
        va_list args;
        va_start(args, format);
        int len = format_vprint(room ? b->bytes + b->used : NULL, room, format, args);
        va_end(args);
        check(len >= 0);
        if ((size_t)len < room)
                return str_make(take(a, b, (size_t)len + 1), (size_t)len);
        char *at = arena_alloc(a, (size_t)len + 1);
        va_start(args, format);
        format_vprint(at, (size_t)len + 1, format, args);
        va_end(args);
        return str_make(at, (size_t)len);
}
