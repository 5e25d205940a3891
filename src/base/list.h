/*
 * list.h - a doubly linked list through a member of its things
 *
 * The head is a struct list; each thing has a struct list in it. list_init() makes a thing's link
 * point at itself, so that list_remove() may be called twice.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
        struct list *next;
        struct list *prev;
};

#define list_of(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))
/* `each` may be removed in the body; others may not */
#define list_each(each, head)                                                             \
        for (struct list *each = (head)->next, *each##_next = each->next; each != (head); \
             each = each##_next, each##_next = each->next)

static inline void list_init(struct list *l)
{
        l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *l)
{
        return l->next == l;
}

static inline void list_add_last(struct list *head, struct list *l)
{
        l->prev = head->prev;
        l->next = head;
        head->prev->next = l;
        head->prev = l;
}

static inline void list_add_first(struct list *head, struct list *l)
{
        list_add_last(head->next, l);
}

static inline void list_remove(struct list *l)
{
        l->prev->next = l->next;
        l->next->prev = l->prev;
        list_init(l);
}

#endif
