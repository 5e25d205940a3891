/* address_list_test.c - the addresses of From, To and their like, as they come in the wild */
#include "base/unit.h"

#include "message/address_list.h"

#include <stdio.h>

/* "[span=address]..." */
static const char *find_all(const char *text)
{
        static char out[2000];
        struct arena arena;
        struct address_span span;
        size_t at = 0;
        size_t len = 0;
        out[0] = '\0';
        arena_init(&arena, 0);
        while (address_list_next(str_from(text), &at, &arena, &span))
                len += (size_t)snprintf(out + len, sizeof(out) - len, "[%.*s=%.*s]",
                                        (int)(span.to - span.from), text + span.from,
                                        STR_ARG(span.address.text));
        arena_done(&arena);
        return out;
}

static void finds_addresses(void **state)
{
        static const struct {
                const char *text, *expected;
        } rows[] = {
                {"", ""},
                {"a@b", "[a@b=a@b]"},
                {" a@b , c@d", "[a@b=a@b][c@d=c@d]"},
                {"a", "[a=a]"},
                {"<a@b>", "[a@b=a@b]"},
                {"Name <a@b>", "[a@b=a@b]"},
                {"Two Words <a@b>, \"Quoted, \\\"Name\\\" <x@y>\" <c@d>", "[a@b=a@b][c@d=c@d]"},
                {"a@b (comment, x@y)", "[a@b=a@b]"},
                {"(c) a@b", "[a@b=a@b]"},
                {"a @ b . c", "[a @ b . c=a@b.c]"},
                {"a(x)@(y)b", "[a(x)@(y)b=a@b]"},
                {"\"a b\"@c", "[\"a b\"@c=\"a b\"@c]"},
                {"<@r,@s:a@b>", "[@r,@s:a@b=a@b]"},
                {"Group: a@b, C <c@d>;, e@f", "[a@b=a@b][c@d=c@d][e@f=e@f]"},
                {"undisclosed-recipients:;", ""},
                {"Undisclosed recipients", ""},
                {"a@[192.0.2.1]", "[a@[192.0.2.1]=a@[192.0.2.1]]"},
                {"a@b,\r\n\tName\r\n <c@d>", "[a@b=a@b][c@d=c@d]"},
                {"<>", ""},
                {"a@b,,;c@d", "[a@b=a@b][c@d=c@d]"},
                {"a%b@c", "[a%b@c=a%b@c]"},
                {"site!user", "[site!user=site!user]"},
                {"a@b@c", ""},
                {"Name <a@b", "[a@b=a@b]"},
                {"\"never ends <a@b>", ""},
                {"\xc3\xa4@b", "[\xc3\xa4@b=\xc3\xa4@b]"},
                {"=?utf-8?q?x?= <a@b>", "[a@b=a@b]"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *out = find_all(rows[i].text);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("\"%s\": \"%s\", not \"%s\"", rows[i].text, out, rows[i].expected);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {cmocka_unit_test(finds_addresses)};
        return cmocka_run_group_tests(tests, NULL, NULL);
}
