/* heap.c - the earliest of many things: a binary heap that knows where each thing is */
#include "base/heap.h"

#include "base/check.h"

void heap_init(struct heap *h)
{
        *h = (struct heap){0};
}

void heap_done(struct heap *h)
{
        free(h->items);
        heap_init(h);
}

static void place(struct heap *h, struct heap_item *item, size_t at)
{
        h->items[at] = item;
        item->at = at;
}

static void move_up(struct heap *h, struct heap_item *item, size_t at)
{
        for (; at > 1 && h->items[at / 2]->key > item->key; at /= 2)
                place(h, h->items[at / 2], at);
        place(h, item, at);
}

static void move_down(struct heap *h, struct heap_item *item, size_t at)
{
        for (size_t child; (child = at * 2) <= h->count; at = child) {
                if (child < h->count && h->items[child + 1]->key < h->items[child]->key)
                        child++;
                if (h->items[child]->key >= item->key)
                        break;
                place(h, h->items[child], at);
        }
        place(h, item, at);
}

static void settle(struct heap *h, struct heap_item *item, size_t at)
{
        if (at > 1 && h->items[at / 2]->key > item->key)
                move_up(h, item, at);
        else
                move_down(h, item, at);
}

void heap_set(struct heap *h, struct heap_item *item, int64_t key)
{
        item->key = key;
        if (item->at) {
                settle(h, item, item->at);
                return;
        }
        if (h->count + 2 > h->room) {
                size_t room = h->room ? h->room * 2 : 64;
                struct heap_item **items = realloc(h->items, room * sizeof(*items));
                check(items);
                h->items = items;
                h->room = room;
        }
        move_up(h, item, ++h->count);
}

void heap_remove(struct heap *h, struct heap_item *item)
{
        if (!item->at)
                return;
        check(h->items[item->at] == item);
        struct heap_item *last = h->items[h->count--];
        if (last != item)
                settle(h, last, item->at);
        item->at = 0;
}
