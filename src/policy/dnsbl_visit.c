/*
 * dnsbl_visit.c - what the lists say about one client, within what they may cost its session
 *
 * The deadline is a purse: each wait takes from it what it took, so ten lists that do not answer cost a session
 * dnsbl_deadline and not ten times as much, and questions that were asked at connect cost nothing when the client
 * talks while they are under way.
 */
#include "policy/dnsbl.h"

#include "base/check.h"
#include "base/map.h"
#include "loop/task.h"

#include <stdlib.h>

/* What was noted for a list and a name already. */
struct mark {
        const struct dnsbl_list *list;
        uint64_t name; /* its hash */
        bool is_answer_noted;
        unsigned effects; /* bits of enum dnsbl_effect */
};

struct dnsbl_visit {
        struct dns_questions *questions;
        int64_t wait_left_ms;
        struct mark *marks;
        size_t mark_count, mark_room;
};

struct dnsbl_visit *dnsbl_visit_new(struct dns_questions *questions, int64_t wait_ms_max)
{
        struct dnsbl_visit *v = calloc(1, sizeof(*v));
        check(v);
        v->questions = questions;
        v->wait_left_ms = wait_ms_max;
        return v;
}

void dnsbl_visit_free(struct dnsbl_visit **vp)
{
        struct dnsbl_visit *v = *vp;
        *vp = NULL;
        if (!v)
                return;
        free(v->marks);
        free(v);
}

/* NULL when the session asks more than any honest one. */
static struct mark *find_mark(struct dnsbl_visit *v, const struct dnsbl_list *list, struct str name)
{
        uint64_t hash = hash_bytes(name.ptr, name.len);
        for (size_t i = 0; i < v->mark_count; i++)
                if (v->marks[i].list == list && v->marks[i].name == hash)
                        return &v->marks[i];
        if (v->mark_count >= DNSBL_VISIT_QUESTIONS_MAX)
                return NULL;
        if (v->mark_count == v->mark_room) {
                v->mark_room = v->mark_room ? v->mark_room * 2 : 8;
                v->marks = realloc(v->marks, v->mark_room * sizeof(*v->marks));
                check(v->marks);
        }
        struct mark *m = &v->marks[v->mark_count++];
        *m = (struct mark){.list = list, .name = hash};
        return m;
}

/* ---- names ---- */

struct str dnsbl_address_name(const struct dnsbl_list *list, const unsigned char bits[16],
                              char out[DNS_NAME_BYTES_MAX])
{
        return dns_reverse(bits, dnsbl_list_domain(list), out);
}

/* Does it look like an address? Lists of names answer such questions with a reproach. */
static bool is_numeric(struct str domain)
{
        for (size_t i = 0; i < domain.len; i++)
                if (!char_is_digit(domain.ptr[i]) && domain.ptr[i] != '.')
                        return false;
        return true;
}

struct str dnsbl_domain_name(const struct dnsbl_list *list, struct str domain,
                             char out[DNS_NAME_BYTES_MAX])
{
        struct str zone = dnsbl_list_domain(list);
        if (str_ends(domain, STR(".")))
                domain.len--;
        if (str_is_empty(domain) || domain.ptr[0] == '[' || str_find(domain, ':') >= 0 ||
            is_numeric(domain) || domain.len + 1 + zone.len >= DNS_NAME_BYTES_MAX)
                return STR("");
        memcpy(out, domain.ptr, domain.len);
        out[domain.len] = '.';
        memcpy(out + domain.len + 1, zone.ptr, zone.len);
        out[domain.len + 1 + zone.len] = '\0';
        return str_make(out, domain.len + 1 + zone.len);
}

/* ---- questions ---- */

static void ask_test(struct dnsbl_visit *v, struct dnsbl_list *list)
{
        struct dnsbl_test test;
        dnsbl_list_test(list, &test);
        for (int i = 0; i < DNSBL_POINTS; i++)
                dns_ask(v->questions, str_from(test.names[i]), DNS_A);
}

void dnsbl_visit_ask(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name)
{
        int64_t now_ms = loop_now_ms();
        if (str_is_empty(name) || !dnsbl_list_is_used(list, now_ms))
                return;
        dns_ask(v->questions, name, DNS_A);
        if (dnsbl_list_wants_test(list, now_ms))
                ask_test(v, list);
}

static const struct dns_answer *await_answer(struct dnsbl_visit *v, struct str name,
                                             enum dns_type type)
{
        const struct dns_answer *known = dns_peek(v->questions, name, type);
        if (known)
                return known;
        int64_t began_ms = clock_mono_ms();
        const struct dns_answer *a =
                await_dns(v->questions, name, type, began_ms + v->wait_left_ms);
        v->wait_left_ms -= clock_mono_ms() - began_ms;
        if (v->wait_left_ms < 0)
                v->wait_left_ms = 0;
        return a;
}

static void await_test(struct dnsbl_visit *v, struct dnsbl_list *list)
{
        struct dnsbl_test test;
        enum dnsbl_answer answers[DNSBL_POINTS];
        dnsbl_list_test(list, &test);
        for (int i = 0; i < DNSBL_POINTS; i++)
                dns_ask(v->questions, str_from(test.names[i]), DNS_A);
        int64_t began_ms = clock_mono_ms();
        await_dnsbl_points(v->questions, list, &test, began_ms + v->wait_left_ms, answers);
        bool is_told_to_end = task_self() && task_is_canceled(task_self());
        /* half a test is none: there was no time, or no room, to hear it */
        bool was_heard = true;
        for (int i = 0; i < DNSBL_POINTS; i++)
                was_heard &= dns_peek(v->questions, str_from(test.names[i]), DNS_A) != NULL;
        v->wait_left_ms -= clock_mono_ms() - began_ms;
        if (v->wait_left_ms < 0)
                v->wait_left_ms = 0;
        if (!is_told_to_end && was_heard)
                dnsbl_list_note_test(list, &test, answers, clock_mono_ms());
}

static void note_answer(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                        const struct dns_answer *a, enum dnsbl_answer answer)
{
        struct mark *m = find_mark(v, list, name);
        if (!m || m->is_answer_noted)
                return;
        m->is_answer_noted = true;
        const struct dnsbl_note note = {
                .answer = answer, .was_cached = a->was_cached, .took_us = a->took_us};
        dnsbl_list_note(list, &note, clock_mono_ms());
}

static void copy_replies(const struct dns_answer *a, struct dnsbl_finding *out)
{
        for (size_t i = 0; i < a->count && i < DNSBL_REPLIES_MAX; i++)
                memcpy(out->replies[out->reply_count++], a->records[i].address + 12, 4);
}

void await_dnsbl_visit(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                       struct dnsbl_finding *out)
{
        *out = (struct dnsbl_finding){.answer = DNSBL_NOT_LISTED};
        if (str_is_empty(name))
                return;
        if (!dnsbl_list_is_used(list, clock_mono_ms())) {
                out->answer = DNSBL_FAILED;
                out->is_off = true;
                return;
        }
        bool could_wait = v->wait_left_ms > 0;
        const struct dns_answer *a = await_answer(v, name, DNS_A);
        enum dnsbl_kind kind = dnsbl_list_kind(list);
        enum dnsbl_answer answer = dnsbl_answer_read(a, kind);
        if (task_self() && task_is_canceled(task_self())) {
                out->answer = DNSBL_FAILED;
                return;
        }
        /*
         * That there was no time left, or that this session asks more than it may, is no failure of the list:
         * or strangers could have it switched off.
         */
        bool was_waited_for = could_wait && v->wait_left_ms == 0;
        if (answer != DNSBL_FAILED || was_waited_for || dns_peek(v->questions, name, DNS_A))
                note_answer(v, list, name, a, answer);
        if (answer == DNSBL_LISTED && dnsbl_list_wants_test(list, clock_mono_ms()))
                await_test(v, list);
        out->is_off = !dnsbl_list_is_used(list, clock_mono_ms());
        /* a listing by a list whose test did not come back in time is not believed yet */
        if (answer == DNSBL_LISTED && dnsbl_list_is_untested(list))
                out->is_off = true;
        out->answer = out->is_off ? DNSBL_FAILED : answer;
        out->ttl_ms = a->ttl_ms;
        if (out->answer == DNSBL_LISTED)
                copy_replies(a, out);
}

/* ---- reasons ---- */

enum { REASON_BYTES_MAX = 500 };

struct str await_dnsbl_reason(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                              struct arena *arena)
{
        const struct dns_answer *a = await_answer(v, name, DNS_TXT);
        if (a->result != DNS_FOUND)
                return STR("");
        char *clean = arena_alloc(arena, REASON_BYTES_MAX);
        struct str text = str_make(clean, 0);
        for (size_t i = 0; i < a->count; i++) {
                struct str piece = str_trim(a->records[i].text);
                size_t gap = text.len && piece.len ? 3 : 0;
                if (text.len + gap + piece.len > REASON_BYTES_MAX && text.len)
                        break;
                memcpy(clean + text.len, " / ", gap);
                piece = str_part(piece, 0, REASON_BYTES_MAX);
                memcpy(clean + text.len + gap, piece.ptr, piece.len);
                text.len += gap + piece.len;
        }
        for (size_t i = 0; i < text.len; i++)
                if (clean[i] < ' ' || clean[i] > '~')
                        clean[i] = '?';
        dnsbl_list_hide_key(list, clean, text.len);
        return text;
}

void dnsbl_visit_note_effect(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                             enum dnsbl_effect effect)
{
        struct mark *m = find_mark(v, list, name);
        if (!m || m->effects & 1u << effect)
                return;
        m->effects |= 1u << effect;
        dnsbl_list_note_effect(list, effect);
}

bool dnsbl_visit_had_effect(struct dnsbl_visit *v, struct dnsbl_list *list, struct str name,
                            enum dnsbl_effect effect)
{
        const struct mark *m = find_mark(v, list, name);
        return m && m->effects & 1u << effect;
}
