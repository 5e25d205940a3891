/* check_test.c - header_checks and its kin, body_checks: each action in each table */
#include "cleanup/cleanup_unit.h"

static void load(struct mill *m, const char *table, const char *rules, const char *lines)
{
        char main_cf[4000];
        mill_init(m);
        rig_write(&m->rig, "checks", rules);
        snprintf(main_cf, sizeof(main_cf), "%s = pcre:%s/checks\n%s", table, m->rig.dir, lines);
        mill_load(m, main_cf);
        assert_false(findings_has_errors(&m->rig.findings));
}

struct row {
        const char *rule, *subject, *expected;
        bool is_held, is_discarded;
};

#define HEADER(subject) "From: a@b.example\r\nSubject: " subject "\r\nTo: c@d.example\r\n\r\n"
#define BROKEN          "451 4.3.5 Server configuration error"

static void actions_act_on_headers(void **state)
{
        static const struct row rows[] = {
                {"/^Subject: nothing/ REJECT", "x", HEADER("x"), false, false},
                {"/^Subject: x/ REJECT", "x", "550 5.7.1 message content rejected", false, false},
                {"/^SUBJECT: X/ reject Big sale", "x", "550 5.7.1 Big sale", false, false},
                {"/^Subject: x/ REJECT 5.6.1 no", "x", "550 5.6.1 no", false, false},
                {"/^Subject: x/ REJECT 4.7.0 later", "x", "451 4.7.0 later", false, false},
                {"/^Subject: x/ DISCARD", "x", HEADER("x"), false, true},
                {"/^From:/ DISCARD\n/^Subject:/ REJECT", "x", HEADER("x"), false, true},
                {"/^Subject: x/ HOLD", "x", HEADER("x"), true, false},
                {"/^Subject: x/ WARN", "x", HEADER("x"), false, false},
                {"/^Subject: x/ INFO", "x", HEADER("x"), false, false},
                {"/^Subject: x/ DUNNO", "x", HEADER("x"), false, false},
                {"/^Subject: x/ OK", "x", HEADER("x"), false, false},
                {"/^Subject: x/ IGNORE", "x", "From: a@b.example\r\nTo: c@d.example\r\n\r\n", false,
                 false},
                {"/^Subject: x/ STRIP", "x", "From: a@b.example\r\nTo: c@d.example\r\n\r\n", false,
                 false},
                {"/^(From|To):/ IGNORE", "x", "Subject: x\r\n\r\n", false, false},
                {"/./ IGNORE", "x", "\r\n", false, false},
                {"/^Subject: (x)/ PREPEND X-Seen: $1", "x",
                 "From: a@b.example\r\nX-Seen: x\r\nSubject: x\r\nTo: c@d.example\r\n\r\n", false,
                 false},
                {"/^Subject: (x)/ REPLACE Subject: [$1]", "x", HEADER("[x]"), false, false},
                {"/^(Subject: .*)/ REPLACE $1", "a\r\n b\r\n\tc", HEADER("a\r\n b\r\n\tc"), false,
                 false},
                {"/^Subject: a\\n b/ REJECT folded", "a\r\n b", "550 5.7.1 folded", false, false},
                {"/^From:/ PASS\n/^Subject:/ REJECT", "x", HEADER("x"), false, false},
                {"/^Subject: x/ BCC c@d", "x", HEADER("x"), false, false},
                {"/^Subject: x/ FILTER smtp:x", "x", HEADER("x"), false, false},
                {"/^Subject: x/ REDIRECT e@f", "x", HEADER("x"), false, false},
                /* never passed in silence */
                {"/^Subject: x/ BCC nobody", "x", BROKEN, false, false},
                {"/^Subject: x/ BCC", "x", BROKEN, false, false},
                {"/^Subject: x/ FILTER nowhere", "x", BROKEN, false, false},
                {"/^Subject: x/ FILTER smtp:a b", "x", BROKEN, false, false},
                {"/^Subject: x/ REDIRECT nobody", "x", BROKEN, false, false},
                {"/^Subject: x/ 550 no", "x", BROKEN, false, false},
                {"/^Subject: x/ REJCT", "x", BROKEN, false, false},
                {"/^Subject: x/ PREPEND", "x", BROKEN, false, false},
                {"/^Subject: x/ REPLACE no field", "x", BROKEN, false, false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                char text[1000];
                char rules[400];
                snprintf(rules, sizeof(rules), "%s\n", rows[i].rule);
                load(&m, "header_checks", rules, "");
                snprintf(text, sizeof(text), HEADER("%s"), rows[i].subject);
                const char *out = mill_run(&m, text);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].rule, out, rows[i].expected);
                assert_int_equal(m.rig.effects.is_held, rows[i].is_held);
                assert_int_equal(m.rig.effects.is_discarded, rows[i].is_discarded);
                mill_done(&m);
        }
}

static void actions_act_on_bodies(void **state)
{
#define BODY(lines) "A: b\r\n\r\n" lines
        static const struct {
                const char *rule, *body, *expected;
                bool is_held, is_discarded;
        } rows[] = {
                {"/bad/ REJECT", BODY("good\r\n"), BODY("good\r\n"), false, false},
                {"/^bad$/ REJECT", BODY("a\r\nbad\r\n"), "550 5.7.1 message content rejected",
                 false, false},
                {"/bad/ REJECT 4.7.0 later", BODY("bad\r\n"), "451 4.7.0 later", false, false},
                {"/bad/ DISCARD\n/worse/ REJECT", BODY("bad\r\nworse\r\n"),
                 BODY("bad\r\nworse\r\n"), false, true},
                {"/bad/ HOLD", BODY("bad\r\n"), BODY("bad\r\n"), true, false},
                {"/bad/ IGNORE", BODY("a\r\nbad\r\nc\r\n"), BODY("a\r\nc\r\n"), false, false},
                {"/bad/ STRIP", BODY("a\r\nbad"), BODY("a\r\n"), false, false},
                {"/(bad)/ REPLACE not $1", BODY("a\r\nbad\r\nc\r\n"), BODY("a\r\nnot bad\r\nc\r\n"),
                 false, false},
                {"/bad/ PREPEND beware", BODY("a\r\nbad\r\n"), BODY("a\r\nbeware\r\nbad\r\n"),
                 false, false},
                {"/bad/ PASS\n/worse/ REJECT", BODY("bad\r\nworse\r\n"), BODY("bad\r\nworse\r\n"),
                 false, false},
                {"/bad/ WARN", BODY("bad\r\n"), BODY("bad\r\n"), false, false},
                {"/bad/ INFO", BODY("bad\r\n"), BODY("bad\r\n"), false, false},
                {"/bad/ DUNNO\n/bad/ REJECT", BODY("bad\r\n"), BODY("bad\r\n"), false, false},
                {"/bad/ FILTER smtp:x", BODY("bad\r\n"), BODY("bad\r\n"), false, false},
                {"/bad/ REDIRECT e@f", BODY("bad\r\n"), BODY("bad\r\n"), false, false},
                {"/bad/ BCC c@d", BODY("bad\r\n"), BODY("bad\r\n"), false, false},
                {"/^$/ REJECT empty", BODY("a\r\n\r\nb\r\n"), "550 5.7.1 empty", false, false},
                {"/A: b/ REJECT header", BODY("a\r\n"), BODY("a\r\n"), false, false},
                {"/bad/ REPLACE", BODY("bad\r\n"), BROKEN, false, false},
                {"/bad/ PREPEND", BODY("bad\r\n"), BROKEN, false, false},
                {"/bad/ NONSENSE", BODY("bad\r\n"), BROKEN, false, false},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                char rules[400];
                snprintf(rules, sizeof(rules), "%s\n", rows[i].rule);
                load(&m, "body_checks", rules, "");
                const char *out = mill_run(&m, rows[i].body);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\", not \"%s\"", rows[i].rule, out, rows[i].expected);
                assert_int_equal(m.rig.effects.is_held, rows[i].is_held);
                assert_int_equal(m.rig.effects.is_discarded, rows[i].is_discarded);
                mill_done(&m);
        }
}

#define PARTS                                                                                        \
        "MIME-Version: 1.0\r\nSubject: one\r\nContent-Type: multipart/mixed; boundary=\"x\"\r\n\r\n" \
        "preamble\r\n--x\r\nSubject: two\r\nContent-Disposition: attachment; filename=a.exe\r\n\r\n" \
        "text\r\n--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: three\r\n"                      \
        "Content-Type: text/html\r\n\r\ninner\r\n--x--\r\nepilogue\r\n"

static void each_table_sees_its_headers(void **state)
{
        static const struct {
                const char *table, *rule;
                bool is_refused;
        } rows[] = {
                {"header_checks", "/^Subject: one/", true},
                {"mime_header_checks", "/^Subject: one/", false},
                {"nested_header_checks", "/^Subject: one/", false},
                {"body_checks", "/^Subject: one/", false},
                {"mime_header_checks", "/^MIME-Version:/", true},
                {"mime_header_checks", "/^Content-Type: multipart/", true},
                {"mime_header_checks", "/^Subject: two/", true},
                {"mime_header_checks", "/filename=a\\.exe/", true},
                {"nested_header_checks", "/filename=a\\.exe/", false},
                {"nested_header_checks", "/^Subject: three/", true},
                {"mime_header_checks", "/^Subject: three/", false},
                {"mime_header_checks", "/^Content-Type: text.html/", true},
                /* header_checks are the default of the two others */
                {"header_checks", "/^Subject: two/", true},
                {"header_checks", "/^Subject: three/", true},
                {"header_checks", "/^text/", false},
                {"body_checks", "/^Subject: two/", false},
                {"body_checks", "/^(preamble|epilogue)/", true},
                {"body_checks", "/^--x$/", true},
                {"body_checks", "/^--x--$/", true},
                {"body_checks", "/^inner/", true},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                char rules[200];
                snprintf(rules, sizeof(rules), "%s REJECT\n", rows[i].rule);
                load(&m, rows[i].table, rules, "");
                const char *out = mill_run(&m, PARTS);
                if ((strcmp(out, PARTS) != 0) != rows[i].is_refused)
                        fail_msg("%s %s: \"%s\"", rows[i].table, rows[i].rule, out);
                mill_done(&m);
        }
}

static void without_mime_all_behind_the_header_is_body(void **state)
{
        struct mill m;
        load(&m, "header_checks", "/^Subject: (two|three)/ REJECT\n",
             "disable_mime_input_processing = yes\n");
        assert_string_equal(mill_run(&m, PARTS), PARTS);
        mill_done(&m);
        load(&m, "body_checks", "/^Subject: two/ REJECT\n",
             "disable_mime_input_processing = yes\n");
        assert_string_equal(mill_run(&m, PARTS), "550 5.7.1 message content rejected");
        mill_done(&m);
}

static void bodies_are_looked_at_up_to_their_limit(void **state)
{
        struct mill m;
        char text[1000];
        load(&m, "body_checks", "/needle/ REJECT\n", "body_checks_size_limit = 100\n");
        snprintf(text, sizeof(text), "A: b\r\n\r\n%090d\r\nneedle\r\n", 1);
        assert_string_equal(mill_run(&m, text), "550 5.7.1 message content rejected");
        snprintf(text, sizeof(text), "A: b\r\n\r\n%098d\r\nneedle\r\n", 1);
        assert_string_equal(mill_run(&m, text), text);
        /* each part has its own */
        snprintf(text, sizeof(text),
                 "Content-Type: multipart/mixed; boundary=x\r\n\r\n%098d\r\n--x\r\n\r\n%090d\r\n"
                 "needle\r\n",
                 1, 2);
        assert_string_equal(mill_run(&m, text), "550 5.7.1 message content rejected");
        mill_done(&m);
        load(&m, "body_checks", "/needle/ REJECT\n", "body_checks_size_limit = 0\n");
        snprintf(text, sizeof(text), "A: b\r\n\r\n%0500d\r\nneedle\r\n", 1);
        assert_string_equal(mill_run(&m, text), "550 5.7.1 message content rejected");
        mill_done(&m);
}

static void decoded_text_is_what_a_reader_sees(void **state)
{
        static const struct {
                const char *rule, *field;
                bool is_refused;
        } rows[] = {
                {"/^Subject: Gl\xc3\xbc"
                 "ck/",
                 "Subject: =?iso-8859-1?Q?Gl=FCck?=", true},
                {"/\\p{Han}/", "Subject: =?utf-8?B?5Lit5paH?=", true},
                {"/\\p{Han}/", "Subject: =?utf-8?B?5Lit?=\r\n =?utf-8?B?5paH?=", true},
                {"/\\p{Han}/", "Subject: =?gb2312?B?1tDOxA==?=", true},
                {"/\\p{Han}/", "Subject: Chinese", false},
                {"/\\p{Cyrillic}{3}/", "Subject: =?koi8-r?B?0NLJ18XU?=", true},
                {"/^Subject: a b$/", "Subject: a\r\n b", true},
                {"/^Subject: =.no-such/", "Subject: =?no-such?Q?x?=", true},
                {"/^.{10}$/", "Subject: \xc3\xa4", true},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                char text[400];
                char rules[200];
                snprintf(rules, sizeof(rules), "%s REJECT\n", rows[i].rule);
                load(&m, "decoded_header_checks", rules, "");
                snprintf(text, sizeof(text), "%s\r\n\r\n", rows[i].field);
                if ((strcmp(mill_run(&m, text), text) != 0) != rows[i].is_refused)
                        fail_msg("%s %s", rows[i].rule, rows[i].field);
                mill_done(&m);
        }
        struct mill m;
        load(&m, "decoded_header_checks", "/^(Subject): (.*)/ REPLACE $1: [$2]\n", "");
        assert_string_equal(mill_run(&m, "Subject: =?utf-8?Q?a?=\r\n\r\n"), "Subject: [a]\r\n\r\n");
        mill_done(&m);
}

static void strict_rules_refuse(void **state)
{
#define HEADER_8BIT "550 5.6.0 improper use of 8-bit data in message header"
#define BODY_8BIT   "550 5.6.0 improper use of 8-bit data in message body"
#define ENCODED     "550 5.6.0 invalid message/* or multipart/* encoding domain"
        static const struct {
                const char *lines, *text, *expected; /* NULL: as it was */
        } rows[] = {
                {"strict_7bit_headers = yes\n", "A: \xe4\r\n\r\nb\r\n", HEADER_8BIT},
                {"strict_7bit_headers = yes\n", "A: a\r\n\r\n\xe4\r\n", NULL},
                {"strict_8bitmime_body = yes\n", "A: \xe4\r\n\r\nb\r\n", NULL},
                {"strict_8bitmime_body = yes\n", "A: a\r\n\r\n\xe4\r\n", BODY_8BIT},
                {"strict_8bitmime_body = yes\n", "Content-Transfer-Encoding: 8bit\r\n\r\n\xe4\r\n",
                 NULL},
                {"strict_8bitmime_body = yes\n",
                 "Content-Transfer-Encoding: base64\r\n\r\n\xe4\r\n", NULL},
                {"strict_8bitmime = yes\n", "A: \xe4\r\n\r\nb\r\n", HEADER_8BIT},
                {"strict_8bitmime = yes\n", "A: a\r\n\r\n\xe4\r\n", BODY_8BIT},
                {"strict_mime_encoding_domain = yes\n",
                 "Content-Type: multipart/mixed; boundary=x\r\n"
                 "Content-Transfer-Encoding: base64\r\n\r\nb\r\n",
                 ENCODED},
                {"strict_mime_encoding_domain = yes\n",
                 "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nb\r\n",
                 NULL},
                {"soft_bounce = yes\nstrict_8bitmime_body = yes\n", "A: a\r\n\r\n\xe4\r\n",
                 "450 4.6.0 improper use of 8-bit data in message body"},
                {"body_checks = pcre:{{/never/ REJECT}}\nmime_nesting_limit = 1\n",
                 "Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n"
                 "Content-Type: multipart/mixed; boundary=y\r\n\r\n--y\r\n\r\n",
                 "550 5.6.0 MIME nesting exceeds safety limit"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                const char *out = mill_run(&m, rows[i].text);
                const char *expected = rows[i].expected ? rows[i].expected : rows[i].text;
                if (strcmp(out, expected) != 0)
                        fail_msg("%s%s: \"%s\"", rows[i].lines, rows[i].text, out);
                mill_done(&m);
        }
}

static void lines_are_logged_as_cleanup_does(void **state)
{
        struct mill m;
        load(&m, "header_checks",
             "/^Subject: r/ REJECT Big sale\n/^Subject: w/ WARN look\n/^Subject: h/ HOLD\n"
             "/^Subject: d/ DISCARD\n/^Subject: u/ NONSENSE\n/^Subject: f/ FILTER smtp:x\n"
             "/^Subject: e/ REDIRECT a@b\n/^Subject: b/ BCC a@b\n/^Subject: p/ PREPEND X: y\n",
             "body_checks = pcre:{{/^bad/ REJECT worse}}\n");
        static const struct {
                const char *subject, *expected;
        } rows[] = {
                {"r", "postfix/cleanup["},
                {"r", "4gXyZ12abcz9: reject: header Subject: r from client.example[192.0.2.1]; "
                      "from=<a@b.example> to=<user@relay.example> proto=ESMTP "
                      "helo=<client.example> rule=<pcre:"},
                {"r", "/checks:1>: 5.7.1 Big sale\n"},
                {"w", "4gXyZ12abcz9: warning: header Subject: w from client.example[192.0.2.1]; "
                      "from=<a@b.example> to=<user@relay.example> proto=ESMTP "
                      "helo=<client.example> rule=<pcre:"},
                {"w", "/checks:2>: look\n"},
                {"h", "hold: header Subject: h from"},
                {"d", "discard: header Subject: d from"},
                {"u", "warning: header_checks: \"NONSENSE\": no such action"},
                {"u", "reject: header Subject: u from"},
                {"f", "filter: header Subject: f from"},
                {"e", "redirect: header Subject: e from"},
                {"b", "bcc: header Subject: b from"},
                {"p", "prepend: header Subject: p from"},
                {"x", "reject: body bad from client.example[192.0.2.1]; from=<a@b.example> "
                      "to=<user@relay.example> proto=ESMTP helo=<client.example> "
                      "rule=<pcre:{...}:1>: 5.7.1 worse\n"},
                {"x", "message-id=<1@x>"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                char text[200];
                snprintf(text, sizeof(text), "Subject: %s\r\nMessage-Id: <1@x>\r\n\r\nbad\r\n",
                         rows[i].subject);
                mill_run(&m, text);
                const char *log = rig_log(&m.rig);
                if (!strstr(log, rows[i].expected))
                        fail_msg("\"%s\" not in \"%s\"", rows[i].expected, log);
        }
        mill_done(&m);
}

static void fields_and_lines_have_ceilings(void **state)
{
        struct mill m;
        static char text[250000];
        load(&m, "header_checks", "/needle/ REJECT\n", "header_size_limit = 100\n");
        snprintf(text, sizeof(text), "X: %060d needle\r\n\r\n", 1);
        assert_string_equal(mill_run(&m, text), "550 5.7.1 message content rejected");
        snprintf(text, sizeof(text), "X: %0120d needle\r\n\r\n", 1);
        assert_string_equal(mill_run(&m, text), text);
        /* longer than is held in memory: it passes, whole */
        snprintf(text, sizeof(text), "X: %0150000d needle\r\nY: z\r\n\r\nb\r\n", 1);
        assert_string_equal(mill_run(&m, text), text);
        mill_done(&m);
        /* what is taken out is taken out whole */
        load(&m, "header_checks", "/^X:/ IGNORE\n", "");
        assert_string_equal(mill_run(&m, text), "Y: z\r\n\r\nb\r\n");
        mill_done(&m);
        load(&m, "header_checks", "/^X:/ REPLACE X: y\n", "");
        assert_string_equal(mill_run(&m, text), "X: y\r\nY: z\r\n\r\nb\r\n");
        mill_done(&m);
        /* lines of bodies are cut for those who look */
        load(&m, "body_checks", "/^needle$/ REJECT\n", "line_length_limit = 4000\n");
        snprintf(text, sizeof(text), "A: b\r\n\r\n%04000dneedle\r\n", 1);
        assert_string_equal(mill_run(&m, text), "550 5.7.1 message content rejected");
        mill_done(&m);
        /* a header without an end */
        load(&m, "header_checks", "/never/ REJECT\n", "large_message_threshold = 65536\n");
        snprintf(text, sizeof(text), "X: %040000d\r\nY: %040000d\r\n\r\n", 1, 2);
        assert_string_equal(mill_run(&m, text), "552 5.3.4 Error: message header too big");
        mill_done(&m);
        /* a rule that makes much of little */
        static char rules[3000];
        snprintf(rules, sizeof(rules), "/x/ PREPEND %01000d\n", 1);
        load(&m, "body_checks", rules, "");
        size_t len = (size_t)snprintf(text, sizeof(text), "A: b\r\n\r\n");
        for (int i = 0; i < 20000; i++)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "x\r\n");
        assert_string_equal(mill_run_in(&m, str_make(text, len), 65536),
                            "452 4.3.1 Insufficient system storage");
        mill_done(&m);
}

static void a_table_that_cannot_be_asked_refuses_for_now(void **state)
{
        struct mill m;
        load(&m, "header_checks", "/^X:/ REJECT\n", "body_checks = pcre:{{/x/ REJECT}}\n");
        assert_string_equal(mill_run(&m, "Subject: broken\r\n\r\n"),
                            "451 4.3.0 Temporary lookup failure");
        assert_string_equal(mill_run(&m, "Subject: a\r\n\r\nbroken\r\n"),
                            "451 4.3.0 Temporary lookup failure");
        mill_done(&m);
}

static void without_checks_text_passes_as_it_is(void **state)
{
        struct mill m;
        mill_init(&m);
        mill_load(&m, "");
        /* parts are looked at until one says 8bit */
        assert_string_equal(mill_run(&m, PARTS), PARTS);
        assert_non_null(cleanup_input(m.cleanup));
        assert_string_equal(mill_run(&m, "Content-Transfer-Encoding: 8bit\r\n" PARTS),
                            "Content-Transfer-Encoding: 8bit\r\n" PARTS);
        assert_null(cleanup_input(m.cleanup));
        assert_string_equal(mill_run(&m, "A: b\r\n\r\nc\r\n"), "A: b\r\n\r\nc\r\n");
        assert_null(cleanup_input(m.cleanup));
        assert_string_equal(mill_run(&m, "no header\r\n"), "\r\nno header\r\n");
        assert_string_equal(mill_run(&m, ""), "");
        mill_done(&m);
}

/* ---- what is told of it ---- */

struct told {
        char rule[1000];
        unsigned times;
};

static void hear(void *context, struct str rule)
{
        struct told *t = context;
        t->times++;
        snprintf(t->rule, sizeof(t->rule), "%.*s", STR_ARG(rule));
}

/* The message goes through with a trace; what refused it is in *told, the steps in *trace. */
static void run_traced(struct mill *m, struct policy_trace *trace, struct told *told,
                       const char *text)
{
        trace_begin(trace, &m->rig.arena);
        m->rig.facts.trace = trace;
        *told = (struct told){.times = 0};
        mill_begin(m);
        m->cleanup->work.refuses = hear;
        m->cleanup->work.context = told;
        if (mill_push(m, str_from(text), false))
                mill_push(m, STR(""), true);
        cleanup_explain(m->cleanup, trace);
}

static const struct trace_step *step_of(const struct policy_trace *trace, const char *list)
{
        for (size_t i = 0; i < trace->count; i++)
                if (str_eq(trace->steps[i]->list, str_from(list)))
                        return trace->steps[i];
        fail_msg("no step for %s", list);
        return NULL;
}

/* Each table that was asked is a step, with its fields, and with file, line and pattern of the rule that answered. */
static void checks_tell_what_they_asked(void **state)
{
        struct mill m;
        struct policy_trace trace;
        struct told told;
        load(&m, "header_checks", "/^X-a:/ WARN\n\n/^Subject: spam/i REJECT no\n",
             "body_checks = pcre:{{/^shop/ HOLD}}\n");
        run_traced(&m, &trace, &told, "X-a: b\r\nFrom: c\r\n\r\none\r\nshop\r\ntwo\r\n");
        assert_int_equal(told.times, 0);
        const struct trace_step *s = step_of(&trace, "header_checks");
        assert_true(str_ends(s->source, STR(" header_checks")));
        assert_true(str_starts(s->source, STR("main.cf:")));
        assert_string_equal(s->outcome, "warn");
        assert_int_equal(s->look_count, 2);
        assert_int_equal(s->looks[0].line, 1);
        assert_true(str_eq(s->looks[0].pattern, STR("/^X-a:/")));
        assert_true(str_eq(s->looks[1].asked, STR("From: c")));
        assert_string_equal(s->looks[1].result, "not found");
        s = step_of(&trace, "body_checks");
        assert_string_equal(s->outcome, "hold");
        assert_int_equal(s->look_count, 2);
        assert_true(str_eq(s->looks[0].said, STR("HOLD")));
        assert_true(str_eq(s->looks[1].asked, STR("2 lines")));

        run_traced(&m, &trace, &told, "Subject: SPAM x\r\n\r\n");
        assert_int_equal(told.times, 0);
        run_traced(&m, &trace, &told, "Subject: spam x\r\n\r\n");
        assert_int_equal(told.times, 1);
        if (!strstr(told.rule, " header_checks (pcre:/") ||
            !strstr(told.rule, "/checks:3 /^Subject: spam/i)"))
                fail_msg("%s", told.rule);
        assert_string_equal(step_of(&trace, "header_checks")->outcome, "refuse");
        mill_done(&m);
}

/* However many fields a message has, few are kept; the rule that refuses it always is. */
static void what_is_told_has_a_ceiling(void **state)
{
        static char text[400000];
        struct mill m;
        struct policy_trace trace;
        struct told told;
        size_t len = 0;
        load(&m, "header_checks", "/^Y:/ WARN\n/^Z:/ REJECT\n", "");
        for (int i = 0; i < 500; i++)
                len += (size_t)snprintf(text + len, sizeof(text) - len, "X: %0300d\r\nY: 1\r\n", i);
        snprintf(text + len, sizeof(text) - len, "Z: last\r\n\r\n");
        run_traced(&m, &trace, &told, text);
        const struct trace_step *s = step_of(&trace, "header_checks");
        assert_int_equal(s->look_count, 31);
        assert_true(str_eq(s->looks[29].asked, STR("Z: last")));
        assert_true(str_eq(s->looks[30].asked, STR("485 more")));
        for (size_t i = 0; i < s->look_count; i++)
                assert_true(s->looks[i].asked.len <= 120);
        assert_int_equal(told.times, 1);
        mill_done(&m);
}

/* What has no table names its parameter. */
static void strict_rules_tell_their_parameter(void **state)
{
        static const struct {
                const char *lines, *text, *rule;
        } rows[] = {
                {"strict_8bitmime = yes\n", "A: \xc3\xa4\r\n\r\n", " strict_8bitmime"},
                {"strict_7bit_headers = yes\n", "A: \xc3\xa4\r\n\r\n", " strict_7bit_headers"},
                {"message_reject_characters = \\0\n", "A: b\r\n\r\n", ""},
                {"hopcount_limit = 1\n", "Received: a\r\nReceived: b\r\n\r\n", " hopcount_limit"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                struct policy_trace trace;
                struct told told;
                load(&m, "header_checks", "/^never:/ WARN\n", rows[i].lines);
                run_traced(&m, &trace, &told, rows[i].text);
                assert_int_equal(told.times, rows[i].rule[0] != 0);
                assert_true(str_ends(str_from(told.rule), str_from(rows[i].rule)));
                mill_done(&m);
        }
}

/* What we put in front ourselves is seen by header_checks too, and by nothing else. */
static void lines_of_ours_are_checked(void **state)
{
        static const struct {
                const char *rule, *expected;
        } rows[] = {
                {"/^Subject:/ IGNORE", "X-Seen: yes\r\nReceived: from pc.inside\r\n\tby mx\r\n"},
                {"/^Received: from .*inside\\n\\s+by/ REPLACE Received: by mx",
                 "X-Seen: yes\r\nReceived: by mx\r\n"},
                {"/^Received:/ IGNORE", "X-Seen: yes\r\n"},
                {"/^Received:/ PREPEND X-Next: $$",
                 "X-Seen: yes\r\nX-Next: $\r\nReceived: from pc.inside\r\n\tby mx\r\n"},
                {"/^X-Seen:/ REJECT 5.7.1 seen", "550 5.7.1 seen"},
                {"/^Received:/ REJECT", "550 5.7.1 message content rejected"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                load(&m, "header_checks", rows[i].rule, "message_drop_headers = x-seen\n");
                mill_begin(&m);
                await_cleanup_front(m.cleanup,
                                    STR("X-Seen: yes\r\nReceived: from pc.inside\r\n\tby mx\r\n"),
                                    &m.out);
                size_t len = m.out.len;
                bool is_taken = mill_push(&m, STR("To: c@d.example\r\n\r\n"), true);
                assert_int_equal(is_taken, rows[i].expected[0] != '5');
                if (is_taken)
                        assert_true(str_eq(str_part(buf_str(&m.out), 0, len),
                                           str_from(rows[i].expected)));
                else
                        assert_true(str_starts(str_from(rows[i].expected), STR("550 5.7.1 ")) &&
                                    str_ends(str_from(rows[i].expected), m.refusal.text));
                mill_done(&m);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_of_ours_are_checked),
                cmocka_unit_test(actions_act_on_headers),
                cmocka_unit_test(actions_act_on_bodies),
                cmocka_unit_test(each_table_sees_its_headers),
                cmocka_unit_test(without_mime_all_behind_the_header_is_body),
                cmocka_unit_test(bodies_are_looked_at_up_to_their_limit),
                cmocka_unit_test(decoded_text_is_what_a_reader_sees),
                cmocka_unit_test(strict_rules_refuse),
                cmocka_unit_test(lines_are_logged_as_cleanup_does),
                cmocka_unit_test(fields_and_lines_have_ceilings),
                cmocka_unit_test(a_table_that_cannot_be_asked_refuses_for_now),
                cmocka_unit_test(without_checks_text_passes_as_it_is),
                cmocka_unit_test(checks_tell_what_they_asked),
                cmocka_unit_test(what_is_told_has_a_ceiling),
                cmocka_unit_test(strict_rules_tell_their_parameter),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
