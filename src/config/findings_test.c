/* findings_test.c */
#include "base/unit.h"
#include "config/findings.h"

static const struct place line12 = {STR_INIT("main.cf"), 12};

static void prints(void **state)
{
        static const struct {
                enum severity severity;
                struct place at;
                const char *cure, *text, *line;
        } cases[] = {
                {SEVERITY_ERROR,
                 {STR_INIT("main.cf"), 12},
                 "do that",
                 "bad",
                 "main.cf:12: error: bad (do that) [c]\n"},
                {SEVERITY_WARNING,
                 {STR_INIT("main.cf"), 0},
                 NULL,
                 "bad",
                 "main.cf: warning: bad [c]\n"},
                {SEVERITY_NOTE, {STR_INIT(""), 0}, "", "bad", "note: bad [c]\n"},
                {SEVERITY_NOTE, {STR_INIT(""), 3}, NULL, "a\nb\033c", "line 3: note: a?b?c [c]\n"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct findings f;
                char line[200];
                findings_init(&f);
                findings_add(&f, cases[i].severity, "c", cases[i].at, cases[i].cure, "%s",
                             cases[i].text);
                size_t len = finding_format(f.first, line, sizeof(line));
                assert_string_equal(line, cases[i].line);
                assert_int_equal(len, strlen(line));
                assert_int_equal(findings_has_errors(&f), cases[i].severity == SEVERITY_ERROR);
                findings_done(&f);
        }
}

static void stand_in_order(void **state)
{
        static const struct {
                struct place at;
                const char *text;
        } added[] = {
                {{STR_INIT("master.cf"), 2}, "f"}, {{STR_INIT("main.cf"), 9}, "d"},
                {{STR_INIT("main.cf"), 2}, "b"},   {{STR_INIT(""), 0}, "a"},
                {{STR_INIT("main.cf"), 9}, "e"},   {{STR_INIT("main.cf"), 2}, "c"},
        };
        struct findings f;
        findings_init(&f);
        for (size_t i = 0; i < sizeof(added) / sizeof(*added); i++)
                findings_add(&f, SEVERITY_NOTE, "c", added[i].at, NULL, "%s", added[i].text);
        const char *expected = "abcdef";
        for (const struct finding *i = f.first; i; i = i->next)
                assert_int_equal(i->text.ptr[0], *expected++);
        assert_int_equal(*expected, 0);
        findings_done(&f);
}

static void cuts_at_the_room(void **state)
{
        struct findings f;
        findings_init(&f);
        findings_add(&f, SEVERITY_ERROR, "code", line12, "cure", "%s", "text");
        char whole[200];
        size_t whole_len = finding_format(f.first, whole, sizeof(whole));
        for (size_t room = 0; room <= whole_len + 2; room++) {
                char line[200];
                memset(line, 'x', sizeof(line));
                size_t len = finding_format(f.first, line, room);
                assert_int_equal(line[room], 'x');
                if (room == 0)
                        continue;
                assert_int_equal(len, strlen(line));
                assert_int_equal(len, room - 1 < whole_len ? room - 1 : whole_len);
                assert_true(room < 2 || line[len - 1] == '\n');
        }
        findings_done(&f);
}

static void says_nothing_twice(void **state)
{
        struct findings f;
        struct place other = {STR("main.cf"), 13};
        findings_init(&f);
        findings_add(&f, SEVERITY_ERROR, "code", line12, NULL, "text");
        findings_add(&f, SEVERITY_ERROR, "code", line12, NULL, "text");
        assert_int_equal(f.count[SEVERITY_ERROR], 1);
        assert_null(f.first->next);
        findings_add(&f, SEVERITY_ERROR, "code", other, NULL, "text");
        findings_add(&f, SEVERITY_ERROR, "other", line12, NULL, "text");
        findings_add(&f, SEVERITY_ERROR, "code", line12, NULL, "other");
        findings_add(&f, SEVERITY_NOTE, "code", line12, NULL, "text");
        assert_int_equal(f.count[SEVERITY_ERROR], 4);
        assert_int_equal(f.count[SEVERITY_NOTE], 1);
        findings_done(&f);
        assert_null(f.first);
        assert_false(findings_has_errors(&f));
}

/* Notes without end are not kept, do not hide errors, and a long text is cut. */
static void holds_its_limits(void **state)
{
        struct findings f;
        findings_init(&f);
        for (int i = 0; i < 3000; i++)
                findings_add(&f, SEVERITY_NOTE, "many", line12, NULL, "note %d", i);
        assert_int_equal(f.count[SEVERITY_NOTE], 3000);
        static char long_text[100000];
        memset(long_text, 'l', sizeof(long_text) - 1);
        findings_add(&f, SEVERITY_ERROR, "long", line12, NULL, "%s", long_text);
        assert_true(findings_has_errors(&f));
        size_t kept = 0;
        struct finding *last = NULL;
        for (struct finding *i = f.first; i; i = i->next, kept++)
                last = i;
        assert_int_equal(kept, 1001);
        assert_int_equal(last->severity, SEVERITY_ERROR);
        assert_true(last->text.len < 2000);
        findings_done(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(prints),           cmocka_unit_test(stand_in_order),
                cmocka_unit_test(cuts_at_the_room), cmocka_unit_test(says_nothing_twice),
                cmocka_unit_test(holds_its_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
