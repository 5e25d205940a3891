/* expand_test.c - $name references; the answers are those of Postfix 3.7.11 (postconf -hx) */
#include "config/fixture.h"

static const char definitions[] = "b = 1\ne =\n_x = 7\nq = $mail_name\ne2 = $e\n"
                                  "mail_name = Postfix\nmyhostname = b.example\n";

static const struct {
        const char *text;
        const char *wanted; /* NULL: an error */
} cases[] = {
        {"", ""},
        {"plain text", "plain text"},
        {"$b.c", "1.c"},
        {"$b$b", "11"},
        {"$b_c", ""},
        {"${b}x $(b)x", "1x 1x"},
        {"${ b }", "1"},
        {"${_x} $_x", "7 7"},
        {"${q}", "Postfix"},
        {"$$x", "$x"},
        {"$$", "$"},
        {"$$$b", "$1"},
        {"a${nosuch}b$nosuch", "ab"},
        /* text if set, text if not */
        {"${b?x:y}", "x:y"},
        {"${b?{x}:{y}}", "x"},
        {"${e?{x}:{y}}", "y"},
        {"${nosuch?{x}:{y}}", "y"},
        {"${e:foo}", "foo"},
        {"${nosuch:foo}", "foo"},
        {"[${b:foo}]", "[]"},
        {"[${nosuch?foo}]", "[]"},
        {"${b ? {x} : {y}}", "x"},
        {"${b ?{x}}", "x"},
        {"Z${b? x }z", "Z x z"},
        {"Z${b?{ x }}z", "Z x z"},
        {"Z${e:{ x }}z", "Z x z"},
        {"${q?{$q}}", "Postfix"},
        {"${b?{a}:b}", "a"},
        {"${b:{a}}z", "z"},
        {"${b?a{b}c}", "a{b}c"},
        {"${e:a{b}c}", "a{b}c"},
        {"[${e?{x}:}]", "[]"},
        {"[${b?{}}]", "[]"},
        {"[${b?}]", "[]"},
        {"${b?{$$q}}", "$q"},
        {"Z${b?{x}:{y} }", "Zx"},
        {"Z${e?{x}:y w}z", "Zy wz"},
        {"${e2?x}z", "xz"}, /* $e is a value, though an empty one */
        {"${e2:x}z", "z"},
        {"${b?${e:${q?{$mail_name!}}}}", "Postfix!"},
        {"${b?{x}y}", NULL},
        {"${b?{x} y}", NULL},
        {"${b?{x}:{y} w}", NULL},
        /* comparisons */
        {"${{1} == {1} ? {y} : {n}}", "y"},
        {"${{1} == {1} ? {y}}", "y"},
        {"[${{1}=={2}?y:n}]", "[]"},
        {"${{1}=={2}?{y}:n}", "n"},
        {"${{1}=={2}:n}", "n"},
        {"${{1}=={1}}", "true"},
        {"[${{1}=={2}}]", "[]"},
        {"${{10} < {9}?{y}:{n}}", "n"},
        {"${{abc} < {b}?{y}:{n}}", "y"},
        {"${{$b} == {1} ? {y} : {n}}", "y"},
        {"${{b} == {b}?{$q}:{n}}", "Postfix"},
        {"${{$e2}=={}?{same}}", "same"},
        {"[${{$e2}!={}?{diff}}]", "[]"},
        {"${{1} < {01}?{l}:{g}}", "g"},
        {"${{1}=={01}?{l}:{g}}", "l"},
        {"${{1}>{}?{l}:{g}}", "l"},
        {"${{2}>={1}?{l}:{g}}", "l"},
        {"${{2}<={1}?{l}:{g}}", "g"},
        {"${{ 1 }=={1}?{same}:{diff}}", "diff"},
        {"Z${{1}== level {1}?{y}:{n}}", NULL},
        {"Z${{1} ==level{1}?{y}:{n}}", "Zy"},
        {"${{3.10} >=level {3.9}?{y}:{n}}", "y"},
        {"${{3.6.1}>=level{3.6}?{y}:{n}}", "y"},
        {"${{3.6}<=level {3.6.0}?{y}:{n}}", "y"},
        {"${{3}!=level {3.0}?{y}:{n}}", "n"},
        {"${{x} >=level {3.9}?{y}:{n}}", NULL},
        {"${{1.2.3.4} >=level {3.9}?{y}:{n}}", NULL},
        {"${{1.} >=level {3.9}?{y}:{n}}", NULL},
        {"${{1} === {1} ? {y}}", NULL},
        {"${{1}==1?{same}:{diff}}", NULL},
        {"${{1}}", NULL},
        {"${{1} == {1} y}", NULL},
        /* what is none */
        {"$", NULL},
        {"$-", NULL},
        {"a$ b", NULL},
        {"${b!x}", NULL},
        {"$(b}", NULL},
        {"${b", NULL},
        {"${b?$}", NULL},
        {"$()", NULL},
        {"${}", NULL},
        {"${b.c}", NULL},
        {"${b-c}", NULL},
};

static void expands_as_postfix(void **state)
{
        struct findings f;
        struct config *c = fixture_read(definitions, NULL, &f);
        struct scope scope = {.private = c->private};
        struct buf out;
        buf_init(&out, VALUE_BYTES_MAX);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct setting s = {.raw = str_from(cases[i].text)};
                struct place at;
                struct why why = {{0}};
                int code = expand(&scope, &s, &out, NULL, &at, &why);
                struct str got = buf_str(&out);
                if (cases[i].wanted ? code || !str_eq(got, str_from(cases[i].wanted)) : !code)
                        fail_msg("%s: %d \"%.*s\" %s", cases[i].text, code, STR_ARG(got), why.text);
                assert_true(code == 0 || strlen(why.text) > 0);
        }
        buf_done(&out);
        fixture_done(&c, &f);
}

/* A bad reference is an error with its line, and the parameter has its default. */
static void tells_where(void **state)
{
        struct findings f;
        struct config *c =
                fixture_read("smtpd_banner = one\n two\n three ${mail_name\n four\n", NULL, &f);
        /* its own, and that of postscreen_greet_banner, whose default it is */
        assert_int_equal(f.count[SEVERITY_ERROR], 2);
        assert_true(fixture_has(&f, "dir/main.cf:3: error: smtpd_banner: this reference is not "
                                    "closed: \"${mail_name four\" [bad-reference]"));
        assert_str_equal(c->params.smtpd_banner, "host.example.com ESMTP Forepost");
        fixture_done(&c, &f);
}

static void stops_at_circles(void **state)
{
        struct findings f;
        struct config *c = fixture_read("smtpd_banner = $a\na = x$b\nb = ${b?$a}\n", NULL, &f);
        const struct finding *found = fixture_find(&f, "bad-reference");
        assert_non_null(found);
        assert_int_equal(found->line, 2);
        assert_true(str_find_str(found->text, STR("nest too deep")) >= 0);
        fixture_done(&c, &f);

        c = fixture_read("myhostname = $myhostname\n", NULL, &f);
        assert_non_null(fixture_find(&f, "bad-reference"));
        assert_str_equal(c->params.myhostname, "host.example.com");
        fixture_done(&c, &f);
}

/* Each name twice the one after it: 2^40 bytes, or 2^40 nothings. */
static void stops_at_bombs(void **state)
{
        static char text[4096];
        for (int is_empty = 0; is_empty < 2; is_empty++) {
                size_t at = (size_t)snprintf(text, sizeof(text), "smtpd_banner = $x0\n");
                for (int i = 0; i < 40; i++)
                        at += (size_t)snprintf(text + at, sizeof(text) - at, "x%d = $x%d$x%d\n", i,
                                               i + 1, i + 1);
                snprintf(text + at, sizeof(text) - at, "x40 = %s\n", is_empty ? "" : "boom");
                struct findings f;
                struct config *c = fixture_read(text, NULL, &f);
                const struct finding *found = fixture_find(&f, "bad-reference");
                assert_non_null(found);
                assert_true(str_find_str(found->text, STR("too long")) >= 0);
                fixture_done(&c, &f);
        }
}

/* Parts of a value know their lines, also through names. */
static void keeps_places(void **state)
{
        struct findings f;
        struct config *c = fixture_read("# first\n"
                                        "mine = alpha,\n"
                                        "# between\n"
                                        "    beta\n"
                                        "\n"
                                        "smtpd_client_restrictions = one, $mine\n"
                                        "   ${mine?{two}} three\n"
                                        "smtpd_banner = plain\n",
                                        "smtp inet n - n - - smtpd\n"
                                        "  -o mail_name=x\n"
                                        "  -o { smtpd_helo_restrictions = here\n"
                                        "    there $mine }\n",
                                        &f);
        assert_null(f.first);
        static const struct {
                const char *item;
                int line;
        } client[] = {{"one", 6}, {"alpha", 2}, {"beta", 4}, {"two", 7}, {"three", 7}};
        struct str rest = c->params.smtpd_client_restrictions, item;
        for (size_t i = 0; i < sizeof(client) / sizeof(client[0]); i++) {
                assert_true(config_list_next(&rest, &item));
                assert_str_equal(item, client[i].item);
                struct place at = config_place_of(c, item);
                assert_str_equal(at.file, "dir/main.cf");
                assert_int_equal(at.line, client[i].line);
        }
        assert_false(config_list_next(&rest, &item));

        static const struct {
                const char *item, *file;
                int line;
        } helo[] = {{"here", "dir/master.cf", 3},
                    {"there", "dir/master.cf", 4},
                    {"alpha", "dir/main.cf", 2},
                    {"beta", "dir/main.cf", 4}};
        rest = c->services[0].params.smtpd_helo_restrictions;
        for (size_t i = 0; i < sizeof(helo) / sizeof(helo[0]); i++) {
                assert_true(config_list_next(&rest, &item));
                assert_str_equal(item, helo[i].item);
                struct place at = config_place_of(c, item);
                assert_true(str_eq(at.file, str_from(helo[i].file)));
                assert_int_equal(at.line, helo[i].line);
        }
        assert_int_equal(config_place_of(c, c->params.smtpd_banner).line, 8);
        assert_int_equal(config_place_of(c, c->params.mail_name).line, 0);
        assert_int_equal(config_place_of(c, STR("elsewhere")).line, 0);
        fixture_done(&c, &f);
}

static void collect(void *context, struct str name)
{
        struct buf *out = context;
        buf_append_str(out, name);
        buf_append_char(out, ' ');
}

static void finds_names(void **state)
{
        static const struct {
                const char *text, *names;
        } texts[] = {
                {"$a ${b} $(c) ${ d ?x}", "a b c d "},
                {"$$a $$$b", "b "},
                {"${a?{$b}:{${c:$d}}}", "a b c d "},
                {"${{$a} == {$b}?$c}", "a b c "},
                {"$ $- ${} $", ""},
                {"", ""},
        };
        struct buf out;
        buf_init(&out, 1000);
        for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
                buf_clear(&out);
                expand_names(str_from(texts[i].text), collect, &out);
                assert_str_equal(buf_str(&out), texts[i].names);
        }
        buf_done(&out);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(expands_as_postfix), cmocka_unit_test(tells_where),
                cmocka_unit_test(stops_at_circles),   cmocka_unit_test(stops_at_bombs),
                cmocka_unit_test(keeps_places),       cmocka_unit_test(finds_names),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
