/*
 * dnsbl_list.c - the records of all lists: what each has said, and whether it is well
 *
 * A machine that is fed with answers and the clock and tells its state; it asks nothing itself. Every change to
 * a state that is not well is one warning in the log, and the way back one line. All records hang under one lock,
 * held for a few comparisons; an answer from the cache costs one such visit.
 */
#include "policy/dnsbl.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rand.h"
#include "config/dead_lists.h"
#include "loop/task.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
        FAILED_RUN_MAX = 5, /* answers that failed, one after the other, before a list is off */
        BELIEF_MS = 30000,  /* how long a test vouches for listings */
        RETRY_MS_MAX = 3600 * 1000,
        REASON_BYTES_MAX = 200,
};

struct dnsbl_list {
        unsigned refs;
        bool is_pinned; /* one of them is for ever */
        enum dnsbl_kind kind;
        char domain[DNSBL_DOMAIN_BYTES_MAX]; /* lower case */
        char shown[DNSBL_DOMAIN_BYTES_MAX];
        struct dnsbl_list *next; /* by domain */

        int64_t test_ms, retry_ms;
        int64_t budget, spent, day;
        bool was_over_budget; /* and the log said so */

        enum dnsbl_state state;
        char reason[REASON_BYTES_MAX];
        int64_t since_us, tested_us;
        int64_t next_test_ms, last_test_ms;
        int64_t backoff_ms; /* until the next test, while it is off */
        unsigned failed_run;
        bool has_listed; /* a client, since the last test */
        char probe[20];  /* the random point's first label or labels */

        struct dnsbl_figures figures;
        int64_t latency_sum_us;
        uint64_t latency_count;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct dnsbl_list *all_lists;
static size_t list_count;

/* ---- words ---- */

const char *dnsbl_state_name(enum dnsbl_state state)
{
        switch (state) {
        case DNSBL_UNTESTED:
                return "untested";
        case DNSBL_WELL:
                return "well";
        case DNSBL_SILENT:
                return "silent";
        case DNSBL_OFF_REFUSES:
                return "refuses";
        case DNSBL_OFF_LISTS_ALL:
                return "lists all";
        case DNSBL_OFF_OUT_OF_RANGE:
                return "out of range";
        case DNSBL_OFF_UNREACHABLE:
                return "unreachable";
        case DNSBL_OFF_DEAD:
                return "dead";
        }
        return "?";
}

static const char *state_reason(enum dnsbl_state state)
{
        switch (state) {
        case DNSBL_SILENT:
                return "its test point is not listed: it may be empty, or gone";
        case DNSBL_OFF_REFUSES:
                return "it refuses our questions (127.255.255.0/24): ask it without a public resolver, "
                       "or with a key of your own";
        case DNSBL_OFF_LISTS_ALL:
                return "it lists what no list may list: it lists everything";
        case DNSBL_OFF_OUT_OF_RANGE:
                return "it answers with addresses that mean no listing: its domain may be somebody "
                       "else's now";
        case DNSBL_OFF_UNREACHABLE:
                return "it does not answer";
        case DNSBL_UNTESTED:
        case DNSBL_WELL:
        case DNSBL_OFF_DEAD:
                break;
        }
        return "";
}

static bool is_off(enum dnsbl_state state)
{
        return state >= DNSBL_OFF_REFUSES;
}

/* ---- the machine; with the lock held. What is to be logged is left in *news ---- */

struct news {
        bool is_bad;
        char text[600]; /* empty: nothing */
};

static void tell(struct news *news, bool is_bad, const char *format, ...)
        __attribute__((format(printf, 3, 4)));

static void tell(struct news *news, bool is_bad, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        vsnprintf(news->text, sizeof(news->text), format, args);
        va_end(args);
        news->is_bad = is_bad;
}

static void log_news(const struct news *news)
{
        if (!news->text[0])
                return;
        if (news->is_bad)
                log_warning("dnsbl", "%s", news->text);
        else
                log_info("dnsbl", "%s", news->text);
}

static void new_probe(struct dnsbl_list *l)
{
        unsigned n = (unsigned)rand_below(0xffffff);
        if (l->kind == DNSBL_OF_ADDRESSES) /* reversed: z.y.x.127, x from 1 to 254 */
                snprintf(l->probe, sizeof(l->probe), "%u.%u.%u.127", n & 0xff, n >> 8 & 0xff,
                         1 + (n >> 16) % 254);
        else
                snprintf(l->probe, sizeof(l->probe), "x%06x.invalid", n);
}

static void set_state(struct dnsbl_list *l, enum dnsbl_state state, int64_t now_ms,
                      struct news *news)
{
        bool was_off = is_off(l->state);
        if (is_off(state)) {
                bool is_longer =
                        was_off && l->backoff_ms < RETRY_MS_MAX && state != DNSBL_OFF_UNREACHABLE;
                l->backoff_ms = was_off ? l->backoff_ms * (is_longer ? 2 : 1) : l->retry_ms;
                l->next_test_ms = now_ms + l->backoff_ms;
        } else {
                l->next_test_ms = now_ms + l->test_ms;
        }
        l->failed_run = 0;
        l->has_listed = false;
        if (state == l->state)
                return;
        enum dnsbl_state before = l->state;
        l->state = state;
        l->since_us = clock_wall_us();
        snprintf(l->reason, sizeof(l->reason), "%s", state_reason(state));
        if (is_off(state))
                tell(news, true, "%s is switched off: %s; no mail is judged by it until it is well",
                     l->shown, l->reason);
        else if (state == DNSBL_SILENT)
                tell(news, true, "%s: %s", l->shown, l->reason);
        else if (was_off || before == DNSBL_SILENT)
                tell(news, false, "%s is well again", l->shown);
}

static int64_t today(void)
{
        return clock_wall_us() / 1000000 / 86400;
}

/* The day's count begins anew at midnight UTC. */
static bool is_over_budget(struct dnsbl_list *l, struct news *news)
{
        int64_t day = today();
        if (day != l->day) {
                l->day = day;
                l->spent = 0;
                l->was_over_budget = false;
        }
        bool is_over = l->budget > 0 && l->spent >= l->budget;
        if (is_over && !l->was_over_budget) {
                l->was_over_budget = true;
                tell(news, true,
                     "%s is switched off until midnight (UTC): it was asked %lld times today "
                     "(dnsbl_query_budget)",
                     l->shown, (long long)l->spent);
        }
        return is_over;
}

static bool wants_test(const struct dnsbl_list *l, int64_t now_ms)
{
        if (l->state == DNSBL_OFF_DEAD)
                return false;
        if (l->state == DNSBL_UNTESTED || now_ms >= l->next_test_ms)
                return true;
        return !is_off(l->state) && l->has_listed && now_ms - l->last_test_ms >= BELIEF_MS;
}

/* A test's verdict; the worst sign decides. */
static enum dnsbl_state judge_test(enum dnsbl_state before,
                                   const enum dnsbl_answer answers[DNSBL_POINTS])
{
        unsigned failed = 0;
        for (int i = 0; i < DNSBL_POINTS; i++) {
                if (answers[i] == DNSBL_OUT_OF_RANGE)
                        return DNSBL_OFF_OUT_OF_RANGE;
                if (answers[i] == DNSBL_REFUSED)
                        return DNSBL_OFF_REFUSES;
                failed += answers[i] == DNSBL_FAILED;
        }
        if (answers[DNSBL_POINT_UNLISTED] == DNSBL_LISTED ||
            answers[DNSBL_POINT_RANDOM] == DNSBL_LISTED)
                return DNSBL_OFF_LISTS_ALL;
        if (failed == DNSBL_POINTS)
                return DNSBL_OFF_UNREACHABLE;
        /* nobody has said yet that it does not list everything */
        if (answers[DNSBL_POINT_UNLISTED] == DNSBL_FAILED &&
            answers[DNSBL_POINT_RANDOM] == DNSBL_FAILED)
                return before;
        /* half an answer proves nothing: a list that was off stays so */
        if (failed && before != DNSBL_UNTESTED)
                return before;
        return answers[DNSBL_POINT_LISTED] == DNSBL_NOT_LISTED ? DNSBL_SILENT : DNSBL_WELL;
}

/* ---- the registry ---- */

static struct dnsbl_list **find_place(struct str domain, enum dnsbl_kind kind)
{
        struct dnsbl_list **at = &all_lists;
        for (; *at; at = &(*at)->next) {
                int order = str_cmp(str_from((*at)->domain), domain);
                if (order > 0 || (order == 0 && (*at)->kind >= kind))
                        break;
        }
        return at;
}

static bool is_alive_by_rule(struct str domain, struct str alive)
{
        struct str word;
        while (str_next_word(&alive, ", \t\r\n", &word))
                if (str_eq_nocase(word, domain))
                        return true;
        return false;
}

static struct dnsbl_list *list_new(struct str domain, enum dnsbl_kind kind)
{
        struct dnsbl_list *l = calloc(1, sizeof(*l));
        check(l);
        struct arena arena;
        arena_init(&arena, 0);
        l->kind = kind;
        memcpy(l->domain, domain.ptr, domain.len);
        snprintf(l->shown, sizeof(l->shown), "%.*s", STR_ARG(list_domain_shown(domain, &arena)));
        l->since_us = clock_wall_us();
        l->day = today();
        new_probe(l);
        arena_done(&arena);
        return l;
}

static void apply_rules(struct dnsbl_list *l, const struct dnsbl_rules *rules, struct news *news)
{
        struct str domain = str_from(l->domain);
        struct why why;
        l->test_ms = rules->test_ms;
        l->retry_ms = rules->retry_ms;
        if (dnsbl_budget_parse(rules->budget, domain, &l->budget, &why) < 0)
                l->budget = 0; /* a finding has told it */
        const struct dead_list *dead = dead_list_find(domain);
        if (is_alive_by_rule(domain, rules->alive))
                dead = NULL;
        if (dead && l->state != DNSBL_OFF_DEAD) {
                l->state = DNSBL_OFF_DEAD;
                snprintf(l->reason, sizeof(l->reason), "it ended in %s%s%s (as of %s)", dead->ended,
                         dead->reason ? ": " : "", dead->reason ? dead->reason : "",
                         DEAD_LISTS_AS_OF);
                tell(news, true, "%s is not asked: %s", l->shown, l->reason);
        } else if (!dead && l->state == DNSBL_OFF_DEAD) {
                l->state = DNSBL_UNTESTED;
                l->reason[0] = '\0';
        }
}

struct dnsbl_list *dnsbl_list_get(struct str domain, enum dnsbl_kind kind,
                                  const struct dnsbl_rules *rules)
{
        char lower[DNSBL_DOMAIN_BYTES_MAX];
        struct news news = {0};
        check(domain.len > 0 && domain.len < sizeof(lower));
        for (size_t i = 0; i < domain.len; i++)
                lower[i] = char_lower(domain.ptr[i]);
        domain = str_make(lower, domain.len);

        pthread_mutex_lock(&lock);
        struct dnsbl_list **place = find_place(domain, kind);
        struct dnsbl_list *l = *place;
        if (!l || l->kind != kind || !str_eq(str_from(l->domain), domain)) {
                l = list_count < DNSBL_LISTS_MAX ? list_new(domain, kind) : NULL;
                if (l) {
                        l->next = *place;
                        *place = l;
                        list_count++;
                }
        }
        if (l) {
                l->refs++;
                apply_rules(l, rules, &news);
        }
        pthread_mutex_unlock(&lock);
        log_news(&news);
        return l;
}

struct dnsbl_list *dnsbl_list_pin(struct str domain, enum dnsbl_kind kind,
                                  const struct dnsbl_rules *rules)
{
        struct dnsbl_list *l = dnsbl_list_get(domain, kind, rules);
        if (!l)
                return NULL;
        pthread_mutex_lock(&lock);
        if (l->is_pinned)
                l->refs--;
        l->is_pinned = true;
        pthread_mutex_unlock(&lock);
        return l;
}

void dnsbl_list_put(struct dnsbl_list **lp)
{
        struct dnsbl_list *l = *lp;
        *lp = NULL;
        if (!l)
                return;
        pthread_mutex_lock(&lock);
        if (--l->refs == 0) {
                struct dnsbl_list **at = &all_lists;
                while (*at != l)
                        at = &(*at)->next;
                *at = l->next;
                list_count--;
                free(l);
        }
        pthread_mutex_unlock(&lock);
}

struct str dnsbl_list_domain(const struct dnsbl_list *list)
{
        return str_from(list->domain);
}

struct str dnsbl_list_shown(const struct dnsbl_list *list)
{
        return str_from(list->shown);
}

enum dnsbl_kind dnsbl_list_kind(const struct dnsbl_list *list)
{
        return list->kind;
}

void dnsbl_list_hide_key(const struct dnsbl_list *list, char *text, size_t len)
{
        struct str key = list_domain_key(str_from(list->domain));
        for (size_t i = 0; key.len && i + key.len <= len; i++)
                if (str_eq_nocase(str_make(text + i, key.len), key))
                        memset(text + i, '*', key.len);
}

/* ---- asked and answered ---- */

bool dnsbl_list_is_untested(struct dnsbl_list *l)
{
        pthread_mutex_lock(&lock);
        bool is_untested = l->state == DNSBL_UNTESTED;
        pthread_mutex_unlock(&lock);
        return is_untested;
}

bool dnsbl_list_is_used(struct dnsbl_list *l, int64_t now_ms)
{
        struct news news = {0};
        pthread_mutex_lock(&lock);
        bool is_used = !is_off(l->state) && !is_over_budget(l, &news);
        pthread_mutex_unlock(&lock);
        log_news(&news);
        return is_used;
}

bool dnsbl_list_wants_test(struct dnsbl_list *l, int64_t now_ms)
{
        pthread_mutex_lock(&lock);
        bool wants = wants_test(l, now_ms);
        pthread_mutex_unlock(&lock);
        return wants;
}

void dnsbl_list_test(struct dnsbl_list *l, struct dnsbl_test *out)
{
        static const char *const points[2][2] = {{"2.0.0.127", "1.0.0.127"}, {"test", "invalid"}};
        bool is_names = l->kind == DNSBL_OF_NAMES;
        pthread_mutex_lock(&lock);
        snprintf(out->names[DNSBL_POINT_LISTED], DNS_NAME_BYTES_MAX, "%s.%s", points[is_names][0],
                 l->domain);
        snprintf(out->names[DNSBL_POINT_UNLISTED], DNS_NAME_BYTES_MAX, "%s.%s", points[is_names][1],
                 l->domain);
        snprintf(out->names[DNSBL_POINT_RANDOM], DNS_NAME_BYTES_MAX, "%s.%s", l->probe, l->domain);
        pthread_mutex_unlock(&lock);
}

void dnsbl_list_note_test(struct dnsbl_list *l, const struct dnsbl_test *test,
                          const enum dnsbl_answer answers[DNSBL_POINTS], int64_t now_ms)
{
        struct news news = {0};
        pthread_mutex_lock(&lock);
        char random[DNS_NAME_BYTES_MAX];
        snprintf(random, sizeof(random), "%s.%s", l->probe, l->domain);
        l->spent += test->questions;
        /* many sessions may make one test: the first to come back judges, and the next has another point */
        if (l->state != DNSBL_OFF_DEAD && strcmp(test->names[DNSBL_POINT_RANDOM], random) == 0) {
                l->figures.tests++;
                l->tested_us = clock_wall_us();
                l->last_test_ms = now_ms;
                set_state(l, judge_test(l->state, answers), now_ms, &news);
                new_probe(l);
        }
        pthread_mutex_unlock(&lock);
        log_news(&news);
}

static void note_latency(struct dnsbl_list *l, int64_t took_us)
{
        l->latency_sum_us += took_us;
        l->latency_count++;
        if (took_us > l->figures.latency_max_us)
                l->figures.latency_max_us = took_us;
}

void dnsbl_list_note(struct dnsbl_list *l, const struct dnsbl_note *note, int64_t now_ms)
{
        struct news news = {0};
        pthread_mutex_lock(&lock);
        struct dnsbl_figures *f = &l->figures;
        f->asked++;
        f->cached += note->was_cached;
        if (!note->was_cached) {
                l->spent++;
                note_latency(l, note->took_us);
        }
        bool was_on = !is_off(l->state);
        l->failed_run = note->answer == DNSBL_FAILED ? l->failed_run + 1 : 0;
        switch (note->answer) {
        case DNSBL_NOT_LISTED:
                f->not_listed++;
                break;
        case DNSBL_LISTED:
                f->listed++;
                l->has_listed |= !note->was_cached;
                break;
        case DNSBL_REFUSED:
                f->refused++;
                if (was_on)
                        set_state(l, DNSBL_OFF_REFUSES, now_ms, &news);
                break;
        case DNSBL_OUT_OF_RANGE:
                f->out_of_range++;
                if (was_on)
                        set_state(l, DNSBL_OFF_OUT_OF_RANGE, now_ms, &news);
                break;
        case DNSBL_FAILED:
                f->failed++;
                if (was_on && l->failed_run >= FAILED_RUN_MAX)
                        set_state(l, DNSBL_OFF_UNREACHABLE, now_ms, &news);
                break;
        }
        pthread_mutex_unlock(&lock);
        log_news(&news);
}

void dnsbl_list_note_effect(struct dnsbl_list *l, enum dnsbl_effect effect)
{
        pthread_mutex_lock(&lock);
        l->figures.filtered += effect == DNSBL_FILTERED;
        l->figures.would_refuse += effect == DNSBL_WOULD_REFUSE;
        l->figures.refused_mail += effect == DNSBL_REFUSED_MAIL;
        pthread_mutex_unlock(&lock);
}

/* ---- figures ---- */

void dnsbl_each(dnsbl_visitor *visit, void *context, int64_t now_ms)
{
        struct news news = {0};
        pthread_mutex_lock(&lock);
        for (struct dnsbl_list *l = all_lists; l; l = l->next) {
                struct dnsbl_figures f = l->figures;
                f.domain = str_from(l->shown);
                f.kind = l->kind;
                f.state = l->state;
                f.is_over_budget = is_over_budget(l, &news);
                f.is_used = !is_off(l->state) && !f.is_over_budget;
                f.reason = l->reason;
                f.since_s = l->since_us / 1000000;
                f.tested_s = l->tested_us / 1000000;
                f.latency_us = l->latency_count ? l->latency_sum_us / (int64_t)l->latency_count : 0;
                f.budget = l->budget;
                f.spent = l->spent;
                visit(context, &f);
        }
        pthread_mutex_unlock(&lock);
        log_news(&news);
}

/* ---- tests that are due ---- */

void await_dnsbl_points(struct dns_questions *questions, const struct dnsbl_list *l,
                        struct dnsbl_test *test, int64_t deadline_ms,
                        enum dnsbl_answer answers[DNSBL_POINTS])
{
        test->questions = 0;
        for (int i = 0; i < DNSBL_POINTS; i++) {
                const struct dns_answer *a =
                        await_dns(questions, str_from(test->names[i]), DNS_A, deadline_ms);
                answers[i] = dnsbl_answer_read(a, l->kind);
                test->questions += !a->was_cached;
        }
}

struct due_test {
        struct dnsbl_list *list;
        struct dnsbl_test test;
};

/* Takes a reference to each list that is due. */
static size_t take_due(struct due_test *due, size_t room, int64_t now_ms)
{
        size_t count = 0;
        pthread_mutex_lock(&lock);
        for (struct dnsbl_list *l = all_lists; l && count < room; l = l->next) {
                if (!wants_test(l, now_ms))
                        continue;
                l->refs++;
                due[count++].list = l;
        }
        pthread_mutex_unlock(&lock);
        return count;
}

size_t await_dnsbl_test_due(struct dns *dns, int64_t deadline_ms)
{
        enum { AT_ONCE = 60 }; /* within what one struct dns_questions holds */
        struct due_test *due = calloc(AT_ONCE, sizeof(*due));
        check(due);
        size_t count = take_due(due, AT_ONCE, loop_now_ms());
        struct dns_questions *questions = count ? dns_questions_new(dns) : NULL;
        for (size_t i = 0; i < count; i++) {
                dnsbl_list_test(due[i].list, &due[i].test);
                for (int k = 0; k < DNSBL_POINTS; k++)
                        dns_ask(questions, str_from(due[i].test.names[k]), DNS_A);
        }
        for (size_t i = 0; i < count; i++) {
                enum dnsbl_answer answers[DNSBL_POINTS];
                await_dnsbl_points(questions, due[i].list, &due[i].test, deadline_ms, answers);
                /* told to end: what was not heard is no sign */
                if (!task_self() || !task_is_canceled(task_self()))
                        dnsbl_list_note_test(due[i].list, &due[i].test, answers, loop_now_ms());
                dnsbl_list_put(&due[i].list);
        }
        dns_questions_free(&questions);
        free(due);
        return count;
}
