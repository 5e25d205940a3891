/*
 * questions.c - what one session, or whoever else, has asked
 *
 * A list that is searched from its start: it rarely has more than twenty. Each question has its own answer, whose
 * records it shares with the cache and with all who asked the same.
 */
#include "dns/dns_private.h"

#include "base/check.h"
#include "base/clock.h"
#include "loop/task.h"

#include <errno.h>
#include <stdlib.h>

struct dns_questions {
        struct dns *dns;
        struct question **list;
        size_t count, room;
};

struct waiter {
        struct list link;
        struct task *task;
};

#define FAILED(words)                                                     \
        {                                                                 \
                .result = DNS_FAILED, .owner = STR_INIT(""), .why = words \
        }
static const struct dns_answer too_many = FAILED("too many questions for one session");
static const struct dns_answer too_late = FAILED(DNS_TIMED_OUT);
static const struct dns_answer canceled = FAILED("whoever asked was told to stop");

struct dns_questions *dns_questions_new(struct dns *d)
{
        struct dns_questions *q = calloc(1, sizeof(*q));
        check(q);
        q->dns = dns_ref(d);
        return q;
}

static void question_free(struct question *q)
{
        check(list_is_empty(&q->waiters));
        if (q->query)
                resolver_cancel(q);
        box_unref(&q->box);
        free(q);
}

void dns_questions_free(struct dns_questions **qp)
{
        struct dns_questions *q = *qp;
        *qp = NULL;
        if (!q)
                return;
        for (size_t i = 0; i < q->count; i++)
                question_free(q->list[i]);
        free(q->list);
        dns_unref(&q->dns);
        free(q);
}

/* What is no name is remembered as it was asked, in part: that it is none does not depend on the rest. */
static bool key_of(struct str name, char out[DNS_NAME_BYTES_MAX], size_t *len)
{
        if (name_normalize(name, out, len))
                return true;
        *len = name.len < DNS_NAME_BYTES_MAX ? name.len : DNS_NAME_BYTES_MAX - 1;
        memcpy(out, name.ptr, *len);
        return false;
}

static struct question *find(const struct dns_questions *q, struct str name, enum dns_type type)
{
        for (size_t i = 0; i < q->count; i++)
                if (q->list[i]->type == type && str_eq(q->list[i]->name, name))
                        return q->list[i];
        return NULL;
}

static struct question *question_add(struct dns_questions *q, struct str name, enum dns_type type)
{
        if (q->count == q->room) {
                q->room = q->room ? 2 * q->room : 8;
                q->list = realloc(q->list, q->room * sizeof(struct question *));
                check(q->list);
        }
        struct question *new = calloc(1, sizeof(*new) + name.len + 1);
        check(new);
        char *copy = (char *)(new + 1);
        memcpy(copy, name.ptr, name.len);
        new->name = str_make(copy, name.len);
        new->type = type;
        new->owner = q;
        new->asked_us = clock_mono_us();
        list_init(&new->waiters);
        q->list[q->count++] = new;
        return new;
}

void question_answer(struct question *q, struct box *b, bool was_cached)
{
        check(!q->is_answered);
        q->box = b;
        q->answer = b->answer;
        q->answer.was_cached = was_cached;
        q->answer.took_us = clock_mono_us() - q->asked_us;
        q->query = NULL;
        q->is_answered = true;
        list_each (link, &q->waiters) {
                task_wake(list_of(link, struct waiter, link)->task);
        }
}

static struct box *no_name(void)
{
        struct box *b = box_new();
        b->answer.result = DNS_NO_NAME;
        return b;
}

/* NULL: there are too many. */
static struct question *ask(struct dns_questions *q, struct str name, enum dns_type type)
{
        char key[DNS_NAME_BYTES_MAX];
        size_t len;
        bool is_name = key_of(name, key, &len);
        struct question *one = find(q, str_make(key, len), type);
        if (one || q->count == QUESTIONS_MAX)
                return one;
        one = question_add(q, str_make(key, len), type);
        if (!is_name) {
                question_answer(one, no_name(), false);
        } else if (q->dns->given) {
                question_answer(one, given_find(q->dns->given, one->name, type), false);
                figures_count(q->dns->figures, one->name, &one->answer, false);
        } else {
                resolver_ask(q->dns, one);
        }
        return one;
}

void dns_ask(struct dns_questions *q, struct str name, enum dns_type type)
{
        ask(q, name, type);
}

const struct dns_answer *await_dns(struct dns_questions *q, struct str name, enum dns_type type,
                                   int64_t deadline_ms)
{
        struct question *one = ask(q, name, type);
        if (!one)
                return &too_many;
        if (one->is_answered)
                return &one->answer;
        struct waiter w = {.task = task_self()};
        check(w.task);
        list_add_last(&one->waiters, &w.link);
        int rc = 0;
        while (!one->is_answered && rc == 0)
                rc = await_wake("asking DNS for", one->name, deadline_ms);
        list_remove(&w.link);
        if (one->is_answered)
                return &one->answer;
        return rc == -ECANCELED ? &canceled : &too_late;
}

const struct dns_answer *dns_peek(struct dns_questions *q, struct str name, enum dns_type type)
{
        char key[DNS_NAME_BYTES_MAX];
        size_t len;
        key_of(name, key, &len);
        const struct question *one = find(q, str_make(key, len), type);
        return one && one->is_answered ? &one->answer : NULL;
}

void dns_questions_each(const struct dns_questions *q, dns_visit *visit, void *context)
{
        for (size_t i = 0; i < q->count; i++) {
                const struct question *one = q->list[i];
                visit(context, one->name, one->type, one->is_answered ? &one->answer : NULL);
        }
}
