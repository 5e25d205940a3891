/* dnsbl_list_test.c - a list's state by what it answers; pure: the clock and the answers are given */
#include "policy/dnsbl.h"

#include "base/unit.h"

#include <pthread.h>

static struct dnsbl_rules rules = {
        .test_ms = 3600000, .retry_ms = 60000, .alive = STR_INIT(""), .budget = STR_INIT("")};

static struct dnsbl_list *get(const char *domain)
{
        struct dnsbl_list *l = dnsbl_list_get(str_from(domain), DNSBL_OF_ADDRESSES, &rules);
        assert_non_null(l);
        return l;
}

struct found {
        const char *domain;
        struct dnsbl_figures figures;
        char reason[200];
        size_t count;
};

static void look(void *context, const struct dnsbl_figures *f)
{
        struct found *found = context;
        found->count++;
        if (found->domain && str_eq(f->domain, str_from(found->domain))) {
                found->figures = *f;
                snprintf(found->reason, sizeof(found->reason), "%s", f->reason);
        }
}

static struct dnsbl_figures figures_of(const char *domain)
{
        struct found found = {.domain = domain};
        dnsbl_each(look, &found, 0);
        assert_true(found.figures.domain.len > 0);
        return found.figures;
}

static size_t count_lists(void)
{
        struct found found = {0};
        dnsbl_each(look, &found, 0);
        return found.count;
}

static void test(struct dnsbl_list *l, enum dnsbl_answer listed, enum dnsbl_answer unlisted,
                 enum dnsbl_answer random, int64_t now_ms)
{
        struct dnsbl_test t;
        dnsbl_list_test(l, &t);
        t.questions = DNSBL_POINTS;
        const enum dnsbl_answer answers[DNSBL_POINTS] = {
                [DNSBL_POINT_LISTED] = listed,
                [DNSBL_POINT_UNLISTED] = unlisted,
                [DNSBL_POINT_RANDOM] = random,
        };
        dnsbl_list_note_test(l, &t, answers, now_ms);
}

static void test_well(struct dnsbl_list *l, int64_t now_ms)
{
        test(l, DNSBL_LISTED, DNSBL_NOT_LISTED, DNSBL_NOT_LISTED, now_ms);
}

static void note(struct dnsbl_list *l, enum dnsbl_answer answer, int64_t now_ms)
{
        const struct dnsbl_note n = {.answer = answer, .took_us = 100};
        dnsbl_list_note(l, &n, now_ms);
}

static void assert_state(const char *domain, enum dnsbl_state state)
{
        assert_string_equal(dnsbl_state_name(figures_of(domain).state), dnsbl_state_name(state));
}

/* ---- the tests ---- */

static void one_record_for_one_list(void **state)
{
        struct dnsbl_list *a = get("One.Example");
        struct dnsbl_list *b = get("one.example");
        struct dnsbl_list *names = dnsbl_list_get(STR("one.example"), DNSBL_OF_NAMES, &rules);
        assert_ptr_equal(a, b);
        assert_ptr_not_equal(a, names);
        assert_true(str_eq(dnsbl_list_domain(a), STR("one.example")));
        assert_int_equal(count_lists(), 2);
        dnsbl_list_put(&a);
        assert_null(a);
        assert_int_equal(count_lists(), 2);
        dnsbl_list_put(&b);
        dnsbl_list_put(&names);
        assert_int_equal(count_lists(), 0);
        dnsbl_list_put(&names);
}

static void points_are_those_of_rfc_5782(void **state)
{
        struct dnsbl_list *a = get("l.example");
        struct dnsbl_list *n = dnsbl_list_get(STR("n.example"), DNSBL_OF_NAMES, &rules);
        struct dnsbl_test t;
        dnsbl_list_test(a, &t);
        assert_string_equal(t.names[DNSBL_POINT_LISTED], "2.0.0.127.l.example");
        assert_string_equal(t.names[DNSBL_POINT_UNLISTED], "1.0.0.127.l.example");
        unsigned z, y, x;
        assert_int_equal(sscanf(t.names[DNSBL_POINT_RANDOM], "%u.%u.%u.127.l.example", &z, &y, &x),
                         3);
        assert_true(x >= 1 && x <= 254 && y <= 255 && z <= 255);
        char before[DNS_NAME_BYTES_MAX];
        snprintf(before, sizeof(before), "%s", t.names[DNSBL_POINT_RANDOM]);
        dnsbl_list_test(a, &t);
        assert_string_equal(t.names[DNSBL_POINT_RANDOM], before); /* one test for all who make it */
        test_well(a, 0);
        dnsbl_list_test(a, &t);
        assert_string_not_equal(t.names[DNSBL_POINT_RANDOM], before);
        dnsbl_list_test(n, &t);
        assert_string_equal(t.names[DNSBL_POINT_LISTED], "test.n.example");
        assert_string_equal(t.names[DNSBL_POINT_UNLISTED], "invalid.n.example");
        assert_non_null(strstr(t.names[DNSBL_POINT_RANDOM], ".invalid.n.example"));
        dnsbl_list_put(&a);
        dnsbl_list_put(&n);
}

static void a_well_list_is_tested_hourly(void **state)
{
        struct dnsbl_list *l = get("l.example");
        assert_true(dnsbl_list_is_untested(l));
        assert_true(dnsbl_list_wants_test(l, 0));
        assert_true(dnsbl_list_is_used(l, 0));
        test_well(l, 1000);
        assert_state("l.example", DNSBL_WELL);
        assert_false(dnsbl_list_is_untested(l));
        assert_false(dnsbl_list_wants_test(l, 1001));
        assert_false(dnsbl_list_wants_test(l, 1000 + 3599999));
        assert_true(dnsbl_list_wants_test(l, 1000 + 3600000));
        assert_int_equal(figures_of("l.example").tests, 1);
        dnsbl_list_put(&l);
}

static void a_test_vouches_for_thirty_seconds_of_listings(void **state)
{
        struct dnsbl_list *l = get("l.example");
        test_well(l, 0);
        note(l, DNSBL_NOT_LISTED, 40000);
        assert_false(dnsbl_list_wants_test(l, 40000)); /* whom it does not list it does no harm */
        note(l, DNSBL_LISTED, 40000);
        assert_true(dnsbl_list_wants_test(l, 40000));
        test_well(l, 40001);
        note(l, DNSBL_LISTED, 50000);
        assert_false(dnsbl_list_wants_test(l, 70000));
        assert_true(dnsbl_list_wants_test(l, 70001));
        /* it has begun to list everything: off with the next listing, within a minute of it */
        test(l, DNSBL_LISTED, DNSBL_NOT_LISTED, DNSBL_LISTED, 70001);
        assert_state("l.example", DNSBL_OFF_LISTS_ALL);
        assert_false(dnsbl_list_is_used(l, 70001));
        dnsbl_list_put(&l);
}

static void bad_signs_in_a_test_switch_off(void **state)
{
        static const struct {
                enum dnsbl_answer listed, unlisted, random;
                enum dnsbl_state state;
        } cases[] = {
                {DNSBL_LISTED, DNSBL_LISTED, DNSBL_NOT_LISTED, DNSBL_OFF_LISTS_ALL},
                {DNSBL_LISTED, DNSBL_NOT_LISTED, DNSBL_LISTED, DNSBL_OFF_LISTS_ALL},
                {DNSBL_REFUSED, DNSBL_REFUSED, DNSBL_REFUSED, DNSBL_OFF_REFUSES},
                {DNSBL_LISTED, DNSBL_REFUSED, DNSBL_NOT_LISTED, DNSBL_OFF_REFUSES},
                {DNSBL_OUT_OF_RANGE, DNSBL_OUT_OF_RANGE, DNSBL_LISTED, DNSBL_OFF_OUT_OF_RANGE},
                {DNSBL_FAILED, DNSBL_FAILED, DNSBL_FAILED, DNSBL_OFF_UNREACHABLE},
                {DNSBL_NOT_LISTED, DNSBL_NOT_LISTED, DNSBL_NOT_LISTED, DNSBL_SILENT},
                {DNSBL_LISTED, DNSBL_FAILED, DNSBL_NOT_LISTED, DNSBL_WELL},
                {DNSBL_LISTED, DNSBL_NOT_LISTED, DNSBL_FAILED, DNSBL_WELL},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct dnsbl_list *l = get("l.example");
                test(l, cases[i].listed, cases[i].unlisted, cases[i].random, 5000);
                assert_state("l.example", cases[i].state);
                bool is_off = cases[i].state >= DNSBL_OFF_REFUSES;
                assert_int_equal(dnsbl_list_is_used(l, 5000), !is_off);
                assert_false(dnsbl_list_wants_test(l, 5000 + 59999));
                assert_int_equal(dnsbl_list_wants_test(l, 5000 + 60000), is_off);
                /* well again */
                test_well(l, 70000);
                assert_state("l.example", DNSBL_WELL);
                assert_true(dnsbl_list_is_used(l, 70000));
                dnsbl_list_put(&l);
        }
}

static void a_half_test_of_a_list_that_is_off_proves_nothing(void **state)
{
        struct dnsbl_list *l = get("l.example");
        test(l, DNSBL_LISTED, DNSBL_LISTED, DNSBL_LISTED, 0);
        test(l, DNSBL_LISTED, DNSBL_FAILED, DNSBL_FAILED, 60000);
        assert_state("l.example", DNSBL_OFF_LISTS_ALL);
        dnsbl_list_put(&l);
}

static void a_list_without_a_counterproof_stays_untested(void **state)
{
        struct dnsbl_list *l = get("l.example");
        test(l, DNSBL_LISTED, DNSBL_FAILED, DNSBL_FAILED, 0);
        assert_state("l.example", DNSBL_UNTESTED);
        assert_true(dnsbl_list_wants_test(l, 1));
        dnsbl_list_put(&l);
}

static void a_list_that_stays_off_is_asked_less_and_less(void **state)
{
        struct dnsbl_list *l = get("l.example");
        int64_t now_ms = 0;
        int64_t wait_ms = 60000;
        for (int i = 0; i < 12; i++) {
                test(l, DNSBL_REFUSED, DNSBL_REFUSED, DNSBL_REFUSED, now_ms);
                assert_false(dnsbl_list_wants_test(l, now_ms + wait_ms - 1));
                assert_true(dnsbl_list_wants_test(l, now_ms + wait_ms));
                now_ms += wait_ms;
                if (wait_ms < 3600000)
                        wait_ms *= 2;
        }
        assert_true(wait_ms <= 2 * 3600000);
        test_well(l, now_ms);
        test(l, DNSBL_REFUSED, DNSBL_REFUSED, DNSBL_REFUSED, now_ms);
        assert_true(dnsbl_list_wants_test(l, now_ms + 60000));
        dnsbl_list_put(&l);
}

static void refusals_of_a_question_switch_off_at_once(void **state)
{
        struct dnsbl_list *l = get("l.example");
        test_well(l, 0);
        note(l, DNSBL_REFUSED, 10);
        assert_state("l.example", DNSBL_OFF_REFUSES);
        test_well(l, 60000);
        note(l, DNSBL_OUT_OF_RANGE, 60010);
        assert_state("l.example", DNSBL_OFF_OUT_OF_RANGE);
        struct dnsbl_figures f = figures_of("l.example");
        assert_int_equal(f.refused, 1);
        assert_int_equal(f.out_of_range, 1);
        assert_false(f.is_used);
        dnsbl_list_put(&l);
}

static void five_failures_in_a_row_switch_off(void **state)
{
        struct dnsbl_list *l = get("l.example");
        test_well(l, 0);
        for (int i = 0; i < 4; i++)
                note(l, DNSBL_FAILED, 0);
        note(l, DNSBL_NOT_LISTED, 0);
        for (int i = 0; i < 4; i++)
                note(l, DNSBL_FAILED, 0);
        assert_state("l.example", DNSBL_WELL);
        note(l, DNSBL_FAILED, 0);
        assert_state("l.example", DNSBL_OFF_UNREACHABLE);
        assert_int_equal(figures_of("l.example").failed, 9);
        dnsbl_list_put(&l);
}

static void figures_count_what_was_asked(void **state)
{
        struct dnsbl_list *l = get("l.example");
        const struct dnsbl_note slow = {.answer = DNSBL_LISTED, .took_us = 3000};
        const struct dnsbl_note cached = {.answer = DNSBL_LISTED, .was_cached = true, .took_us = 1};
        test_well(l, 0);
        note(l, DNSBL_NOT_LISTED, 0);
        note(l, DNSBL_NOT_LISTED, 0);
        dnsbl_list_note(l, &slow, 0);
        dnsbl_list_note(l, &cached, 0);
        dnsbl_list_note_effect(l, DNSBL_WOULD_REFUSE);
        dnsbl_list_note_effect(l, DNSBL_REFUSED_MAIL);
        dnsbl_list_note_effect(l, DNSBL_FILTERED);
        struct dnsbl_figures f = figures_of("l.example");
        assert_int_equal(f.asked, 4);
        assert_int_equal(f.cached, 1);
        assert_int_equal(f.listed, 2);
        assert_int_equal(f.not_listed, 2);
        assert_int_equal(f.would_refuse, 1);
        assert_int_equal(f.refused_mail, 1);
        assert_int_equal(f.filtered, 1);
        assert_int_equal(f.latency_max_us, 3000);
        assert_int_equal(f.latency_us, 3200 / 3);
        assert_int_equal(f.spent, 3 + DNSBL_POINTS);
        dnsbl_list_put(&l);
}

static void a_budget_that_is_spent_switches_off(void **state)
{
        rules.budget = STR("l.example=5");
        struct dnsbl_list *l = get("l.example");
        test_well(l, 0); /* three of them */
        note(l, DNSBL_LISTED, 0);
        assert_true(dnsbl_list_is_used(l, 0));
        note(l, DNSBL_NOT_LISTED, 0);
        assert_false(dnsbl_list_is_used(l, 0));
        struct dnsbl_figures f = figures_of("l.example");
        assert_true(f.is_over_budget);
        assert_int_equal(f.budget, 5);
        assert_int_equal(f.spent, 5);
        dnsbl_list_put(&l);
        rules.budget = STR("");
}

static void dead_lists_are_never_asked(void **state)
{
        struct dnsbl_list *l = get("list.dsbl.org");
        assert_state("list.dsbl.org", DNSBL_OFF_DEAD);
        assert_false(dnsbl_list_is_used(l, 0));
        assert_false(dnsbl_list_wants_test(l, INT64_MAX));
        test_well(l, 0);
        assert_state("list.dsbl.org", DNSBL_OFF_DEAD);
        struct found found = {.domain = "list.dsbl.org"};
        dnsbl_each(look, &found, 0);
        assert_non_null(strstr(found.reason, "May 2008"));
        /* unless it is told to be alive */
        rules.alive = STR("other.example, LIST.dsbl.org");
        struct dnsbl_list *again = get("list.dsbl.org");
        assert_ptr_equal(l, again);
        assert_state("list.dsbl.org", DNSBL_UNTESTED);
        rules.alive = STR("");
        dnsbl_list_put(&l);
        dnsbl_list_put(&again);
}

static void keys_are_shown_nowhere(void **state)
{
        struct dnsbl_list *l = get("SecretKey.zen.dq.spamhaus.net");
        assert_true(str_eq(dnsbl_list_shown(l), STR("zen.dq.spamhaus.net")));
        assert_state("zen.dq.spamhaus.net", DNSBL_UNTESTED);
        char text[] = "see http://x/SECRETKEY?secretkey";
        dnsbl_list_hide_key(l, text, strlen(text));
        assert_string_equal(text, "see http://x/*********?*********");
        dnsbl_list_put(&l);
}

static void the_registry_has_a_ceiling(void **state)
{
        static struct dnsbl_list *lists[DNSBL_LISTS_MAX];
        char name[40];
        for (int i = 0; i < DNSBL_LISTS_MAX; i++) {
                snprintf(name, sizeof(name), "l%d.example", i);
                lists[i] = get(name);
        }
        assert_null(dnsbl_list_get(STR("over.example"), DNSBL_OF_ADDRESSES, &rules));
        for (int i = 0; i < DNSBL_LISTS_MAX; i++)
                dnsbl_list_put(&lists[i]);
        assert_int_equal(count_lists(), 0);
}

static void *note_many(void *arg)
{
        struct dnsbl_list *l = get("shared.example");
        for (int i = 0; i < 20000; i++) {
                note(l, i % 3 ? DNSBL_NOT_LISTED : DNSBL_LISTED, i);
                if (dnsbl_list_wants_test(l, i))
                        test_well(l, i);
        }
        dnsbl_list_put(&l);
        return NULL;
}

static void loops_share_a_record(void **state)
{
        pthread_t threads[4];
        struct dnsbl_list *l = get("shared.example");
        for (int i = 0; i < 4; i++)
                assert_int_equal(pthread_create(&threads[i], NULL, note_many, NULL), 0);
        for (int i = 0; i < 4; i++)
                pthread_join(threads[i], NULL);
        assert_int_equal(figures_of("shared.example").asked, 80000);
        assert_state("shared.example", DNSBL_WELL);
        dnsbl_list_put(&l);
        assert_int_equal(count_lists(), 0);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_record_for_one_list),
                cmocka_unit_test(points_are_those_of_rfc_5782),
                cmocka_unit_test(a_well_list_is_tested_hourly),
                cmocka_unit_test(a_test_vouches_for_thirty_seconds_of_listings),
                cmocka_unit_test(bad_signs_in_a_test_switch_off),
                cmocka_unit_test(a_half_test_of_a_list_that_is_off_proves_nothing),
                cmocka_unit_test(a_list_without_a_counterproof_stays_untested),
                cmocka_unit_test(a_list_that_stays_off_is_asked_less_and_less),
                cmocka_unit_test(refusals_of_a_question_switch_off_at_once),
                cmocka_unit_test(five_failures_in_a_row_switch_off),
                cmocka_unit_test(figures_count_what_was_asked),
                cmocka_unit_test(a_budget_that_is_spent_switches_off),
                cmocka_unit_test(dead_lists_are_never_asked),
                cmocka_unit_test(keys_are_shown_nowhere),
                cmocka_unit_test(the_registry_has_a_ceiling),
                cmocka_unit_test(loops_share_a_record),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
