/* box.c - an answer that many hold, in as little memory as it needs */
#include "dns/dns_private.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 176, ALIGN = 16 };

struct box_block {
        struct box_block *next;
        size_t left;
        _Alignas(ALIGN) char bytes[];
};

struct box *box_new(void)
{
        struct box *b = calloc(1, sizeof(*b));
        check(b);
        b->refs = 1;
        b->bytes = sizeof(*b);
        b->answer.owner = STR("");
        return b;
}

struct box *box_ref(struct box *b)
{
        __atomic_add_fetch(&b->refs, 1, __ATOMIC_RELAXED);
        return b;
}

void box_unref(struct box **bp)
{
        struct box *b = *bp;
        *bp = NULL;
        if (!b || __atomic_sub_fetch(&b->refs, 1, __ATOMIC_ACQ_REL) > 0)
                return;
        for (struct box_block *block = b->blocks, *next; block; block = next) {
                next = block->next;
                free(block);
        }
        free(b);
}

void *box_alloc(struct box *b, size_t bytes)
{
        size_t need = (bytes + ALIGN - 1) / ALIGN * ALIGN;
        struct box_block *block = b->blocks;
        if (!block || block->left < need) {
                size_t room = need > BLOCK_BYTES ? need : BLOCK_BYTES;
                block = calloc(1, sizeof(*block) + room);
                check(block);
                block->left = room;
                block->next = b->blocks;
                b->blocks = block;
                b->bytes += sizeof(*block) + room;
        }
        block->left -= need;
        return block->bytes + block->left; /* from its end downwards */
}

struct str box_str(struct box *b, struct str s)
{
        char *copy = box_alloc(b, s.len + 1);
        if (s.len)
                memcpy(copy, s.ptr, s.len);
        return str_make(copy, s.len);
}

/* ---- an answer that is complete ---- */

static struct str move_str(char **to, struct str s)
{
        char *copy = *to;
        if (s.len)
                memcpy(copy, s.ptr, s.len);
        copy[s.len] = '\0';
        *to += s.len + 1;
        return str_make(copy, s.len);
}

/* The association of a TLSA record is a part of its data, and moves with it. */
static void move_record(char **to, struct dns_record *r)
{
        const char *before = r->data.ptr;
        r->name = move_str(to, r->name);
        r->text = move_str(to, r->text);
        r->data = move_str(to, r->data);
        if (r->tlsa.association.len)
                r->tlsa.association.ptr = r->data.ptr + (r->tlsa.association.ptr - before);
}

struct box *box_seal(struct box **bp)
{
        struct box *b = *bp;
        const struct dns_answer *a = &b->answer;
        check(b->refs == 1 && !a->why);
        size_t bytes = sizeof(*b) + a->count * sizeof(*a->records) + a->owner.len + 1;
        for (size_t i = 0; i < a->count; i++)
                bytes += a->records[i].name.len + a->records[i].text.len + a->records[i].data.len +
                         3;
        struct box *sealed = malloc(bytes);
        check(sealed);
        *sealed = (struct box){.refs = 1, .answer = *a, .bytes = bytes};
        struct dns_record *records = (struct dns_record *)(void *)(sealed + 1);
        char *to = (char *)(records + a->count);
        if (a->count)
                memcpy(records, a->records, a->count * sizeof(*records));
        sealed->answer.records = a->count ? records : NULL;
        for (size_t i = 0; i < a->count; i++)
                move_record(&to, &records[i]);
        sealed->answer.owner = move_str(&to, a->owner);
        check(to == (char *)sealed + bytes);
        box_unref(bp);
        return sealed;
}

void box_make_room(struct box *b, size_t records)
{
        check(b->room == 0);
        b->room = records < RECORDS_MAX ? records : RECORDS_MAX;
        b->answer.records = box_alloc(b, b->room * sizeof(struct dns_record));
}

struct box *box_failed(const char *format, ...)
{
        struct box *b = box_new();
        char text[480];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        b->answer.result = DNS_FAILED;
        b->answer.why = box_str(b, str_from(text)).ptr;
        return b;
}
