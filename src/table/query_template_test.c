/* query_template_test.c - queries and results with the parts of an address put in */
#include "base/unit.h"
#include "table/query_template.h"

#include <errno.h>

static int quote_apostrophe(void *context, struct str part, struct buf *out)
{
        for (size_t i = 0; i < part.len; i++)
                if ((part.ptr[i] == '\'' && buf_append_char(out, '\'')) ||
                    buf_append_char(out, part.ptr[i]))
                        return -ENOBUFS;
        return 0;
}

static const char *expand(const char *text, bool is_result, const char *key, const char *value)
{
        static char said[500];
        struct query_template t;
        struct why why;
        struct buf out;
        if (query_template_parse(&t, str_from(text), is_result, &why) < 0)
                return "bad";
        buf_init(&out, 400);
        int rc = query_template_expand(&t, str_from(key), str_from(value),
                                       is_result ? NULL : quote_apostrophe, NULL, &out);
        assert_int_equal(query_template_fits(&t, str_from(key)) || rc == -ENOENT, true);
        snprintf(said, sizeof(said), "%.*s", (int)out.len, out.ptr ? out.ptr : "");
        buf_done(&out);
        return rc == 0 ? said : rc == -ENOENT ? "none" : "error";
}

static void queries(void **state)
{
        static const char *const cases[][3] = {
                {"x = '%s'", "u@d.com", "x = 'u@d.com'"},
                {"%u at %d", "u@d.com", "u at d.com"},
                {"%U at %D of %S", "u@d.com", "u at d.com of u@d.com"},
                {"%u", "bare", "bare"},
                {"%d", "bare", "none"},
                {"%u", "@d.com", "none"},
                {"%d", "@d.com", "d.com"},
                {"%s", "@d.com", "@d.com"},
                {"%d", "u@", "none"},
                {"%1.%2.%3", "u@a.b.c", "c.b.a"},
                {"%4", "u@a.b.c", "none"},
                {"%1", "a.b.c", "none"},
                {"100%%", "k", "100%"},
                {"'%u'", "o'x@d", "'o''x'"},
                {"%s", "a@b@c", "a@b@c"},
                {"%u %d", "a@b@c", "a@b c"},
                {"%x", "k", "bad"},
                {"ends %", "k", "bad"},
                {"%0", "k", "bad"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_string_equal(expand(cases[i][0], false, cases[i][1], ""), cases[i][2]);
}

static void results(void **state)
{
        static const char *const cases[][4] = {
                {"%s", "k@d", "v@e", "v@e"},
                {"%u+%d", "k@d", "v@e", "v+e"},
                {"%u", "k@d", "bare", "bare"},
                {"%d", "k@d", "bare", "none"},
                {"smtp:[%s] %U %D %1", "k@x.y", "h", "smtp:[h] k x.y y"},
                {"%D", "k", "h", "none"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_string_equal(expand(cases[i][0], true, cases[i][1], cases[i][2]),
                                    cases[i][3]);
}

static void there_is_a_ceiling(void **state)
{
        char key[300];
        memset(key, 'a', sizeof(key) - 1);
        key[sizeof(key) - 1] = '\0';
        assert_string_equal(expand("%s", false, key, ""), key);
        assert_string_equal(expand("%s %s", false, key, ""), "error");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(queries),
                cmocka_unit_test(results),
                cmocka_unit_test(there_is_a_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
