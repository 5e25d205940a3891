/* outgoing_test.c - what the client makes of a message: smtp_generic_maps, smtp_header_checks and its kin */
#include "cleanup/outgoing.h"

#include "policy/rig_unit.h"

struct gate {
        struct rig rig;
        struct arena arena;
        struct outgoing_rules *rules;
        struct why why;
        size_t held_max; /* the most that the machine held of a message */
        size_t out_max;  /* and gave at once */
};

static void load_as(struct gate *g, const char *checks, const char *lines, bool is_lmtp)
{
        char main_cf[8000];
        *g = (struct gate){0};
        rig_init(&g->rig);
        rig_write(&g->rig, "checks", checks);
        rig_write(&g->rig, "generic",
                  "inner@in.example outer@out.example\n"
                  "tagged@in.example plain@out.example\n"
                  "@hidden.example @out.example\n"
                  "root root@out.example\n"
                  "bare only\n"
                  "noaddress@in.example <>\n"
                  "broken@in.example x@y\n");
        snprintf(main_cf, sizeof(main_cf),
                 RIG_MAIN_CF "mydomain = example.com\nrecipient_delimiter = +\n%s", lines);
        for (char *at; (at = strstr(main_cf, "DIR"));) {
                char rest[8000];
                snprintf(rest, sizeof(rest), "%s", at + 3);
                snprintf(at, sizeof(main_cf) - (size_t)(at - main_cf), "%s%s", g->rig.dir, rest);
        }
        rig_load(&g->rig, main_cf);
        arena_init(&g->arena, 0);
        g->rules = outgoing_rules_new(g->rig.config, &g->rig.config->params, is_lmtp, STR("smtp"),
                                      g->rig.tables, g->rig.policy, &g->arena, &g->rig.findings);
}

static void load(struct gate *g, const char *checks, const char *lines)
{
        load_as(g, checks, lines, false);
        if (findings_has_errors(&g->rig.findings))
                rig_print_findings(&g->rig);
        assert_false(findings_has_errors(&g->rig.findings));
}

static void done(struct gate *g)
{
        arena_done(&g->arena);
        rig_done(&g->rig);
}

/* False: it failed. Output goes to `result`. */
static bool run_in(struct gate *g, struct str text, size_t step, struct buf *result)
{
        struct outgoing o;
        struct buf out;
        enum outgoing_progress progress = OUTGOING_DONE;
        bool is_all = false;
        buf_init(&out, OUTGOING_ROOM_BYTES);
        outgoing_init(&o, g->rules, "4gXyZ12abcz9");
        while (progress != OUTGOING_FAILED && !(is_all && progress == OUTGOING_DONE)) {
                struct str part = {"", 0};
                if (progress == OUTGOING_DONE) {
                        part = str_part(text, 0, step);
                        text = str_tail(text, part.len);
                        is_all = text.len == 0;
                }
                progress = await_outgoing_content(&o, part, is_all, &out, &g->why);
                if (g->held_max < o.input.len)
                        g->held_max = o.input.len;
                if (g->out_max < out.len)
                        g->out_max = out.len;
                assert_int_equal(buf_append_str(result, buf_str(&out)), 0);
                buf_clear(&out);
        }
        outgoing_done(&o);
        buf_done(&out);
        return progress == OUTGOING_DONE;
}

/* However the text is cut into pieces, the same comes out. The reason, where it cannot be sent. */
static const char *run(struct gate *g, const char *text)
{
        static char whole[200000];
        struct buf at_once;
        struct buf in_bytes;
        buf_init(&at_once, 64 << 20);
        buf_init(&in_bytes, 64 << 20);
        bool is_sent = run_in(g, str_from(text), OUTGOING_PIECE_BYTES_MAX, &at_once);
        assert_int_equal(is_sent, run_in(g, str_from(text), 1, &in_bytes));
        if (is_sent && !str_eq(buf_str(&at_once), buf_str(&in_bytes)))
                fail_msg("at once \"%.*s\", byte by byte \"%.*s\"", STR_ARG(buf_str(&at_once)),
                         STR_ARG(buf_str(&in_bytes)));
        snprintf(whole, sizeof(whole), "%.*s",
                 STR_ARG(is_sent ? buf_str(&at_once) : str_from(g->why.text)));
        buf_done(&at_once);
        buf_done(&in_bytes);
        return whole;
}

/* ---- smtp_generic_maps ---- */

#define GENERIC "smtp_generic_maps = hash:DIR/generic\n"

static void envelope_addresses_are_mapped(void **state)
{
        static const struct {
                const char *given, *sent;
        } rows[] = {
                {"", ""},
                {"inner@in.example", "outer@out.example"},
                {"INNER@In.Example", "outer@out.example"},
                {"other@in.example", "other@in.example"},
                {"any@hidden.example", "any@out.example"},
                {"\"a b\"@hidden.example", "\"a b\"@out.example"},
                /* a bare key is for domains of ours alone */
                {"root@local.example", "root@out.example"},
                {"root@in.example", "root@in.example"},
                /* and a bare result is at myorigin; what is found is not asked again */
                {"bare@local.example", "only@origin.example"},
                /* propagate_unmatched_extensions does not have generic */
                {"tagged+x@in.example", "plain@out.example"},
                {"any+x@hidden.example", "any+x@out.example"},
        };
        struct gate g;
        load(&g, "", GENERIC);
        assert_true(outgoing_maps_envelope(g.rules));
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str sent;
                assert_int_equal(await_outgoing_address(g.rules, str_from(rows[i].given), &g.arena,
                                                        &sent, &g.why),
                                 0);
                if (!str_eq(sent, str_from(rows[i].sent)))
                        fail_msg("<%s> is sent as <%.*s>", rows[i].given, STR_ARG(sent));
        }
        done(&g);
}

static void extensions_go_along_where_they_may(void **state)
{
        struct gate g;
        struct str sent;
        load(&g, "", GENERIC "propagate_unmatched_extensions = generic\n");
        assert_int_equal(await_outgoing_address(g.rules, STR("tagged+x@in.example"), &g.arena,
                                                &sent, &g.why),
                         0);
        assert_true(str_eq(sent, STR("plain+x@out.example")));
        done(&g);
}

static void a_map_that_cannot_be_used_holds_the_mail(void **state)
{
        struct gate g;
        struct str sent;
        load(&g, "", GENERIC);
        assert_int_equal(
                await_outgoing_address(g.rules, STR("broken@in.example"), &g.arena, &sent, &g.why),
                -EAGAIN);
        assert_non_null(strstr(g.why.text, "smtp_generic_maps: "));
        assert_int_equal(await_outgoing_address(g.rules, STR("noaddress@in.example"), &g.arena,
                                                &sent, &g.why),
                         -EAGAIN);
        assert_non_null(strstr(g.why.text, "\"<>\" for <noaddress@in.example> is no address"));
        assert_non_null(strstr(run(&g, "To: broken@in.example\r\n\r\n"), "smtp_generic_maps: "));
        done(&g);
}

static void headers_are_mapped(void **state)
{
        struct gate g;
        load(&g, "", GENERIC);
        assert_string_equal(run(&g, "From: \"A, B\" <inner@in.example> (inner@in.example)\r\n"
                                    "To: x@y.example, any@hidden.example,\r\n\tinner@in.example\r\n"
                                    "X-To: inner@in.example\r\nSubject: inner@in.example\r\n"
                                    "Content-Type: message/rfc822\r\n\r\n"
                                    "To: inner@in.example\r\n\r\ninner@in.example\r\n"),
                            "From: \"A, B\" <outer@out.example> (inner@in.example)\r\n"
                            "To: x@y.example, any@out.example,\r\n\touter@out.example\r\n"
                            "X-To: inner@in.example\r\nSubject: inner@in.example\r\n"
                            "Content-Type: message/rfc822\r\n\r\n"
                            "To: inner@in.example\r\n\r\ninner@in.example\r\n");
        assert_string_equal(run(&g, ""), "");
        assert_string_equal(run(&g, "\r\nTo: inner@in.example\r\n"),
                            "\r\nTo: inner@in.example\r\n");
        assert_string_equal(run(&g, "To: inner@in.example"), "To: outer@out.example");
        done(&g);
}

/* ---- checks ---- */

struct row {
        const char *rule, *text, *expected;
};

static void run_rows(const char *parameter, const struct row *rows, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct gate g;
                char lines[200];
                snprintf(lines, sizeof(lines), "%s = pcre:DIR/checks\n", parameter);
                load(&g, rows[i].rule, lines);
                const char *sent = run(&g, rows[i].text);
                if (strcmp(sent, rows[i].expected) != 0)
                        fail_msg("%s: \"%s\" makes \"%s\"", parameter, rows[i].rule, sent);
                done(&g);
        }
}

#define MESSAGE "From: a@b\r\nSubject: x\r\n\r\nx\r\n"

static void actions_act_on_headers(void **state)
{
        static const struct row rows[] = {
                {"/^Subject: (x)/ REPLACE Subject: [$1]", MESSAGE,
                 "From: a@b\r\nSubject: [x]\r\n\r\nx\r\n"},
                {"/^subject:/ prepend X-A: b", MESSAGE,
                 "From: a@b\r\nX-A: b\r\nSubject: x\r\n\r\nx\r\n"},
                {"/^Subject:/ IGNORE", MESSAGE, "From: a@b\r\n\r\nx\r\n"},
                {"/^Subject:/ STRIP away", MESSAGE, "From: a@b\r\n\r\nx\r\n"},
                {"/./ IGNORE", MESSAGE, "\r\nx\r\n"},
                {"/^Subject:/ INFO", MESSAGE, MESSAGE},
                {"/^Subject:/ WARN", MESSAGE, MESSAGE},
                {"/^Subject:/ DUNNO\n/^Subject:/ IGNORE", MESSAGE, MESSAGE},
                {"/^Subject:/ OK", MESSAGE, MESSAGE},
                /* they come too late here */
                {"/^Subject:/ REJECT", MESSAGE, MESSAGE},
                {"/^Subject:/ DISCARD", MESSAGE, MESSAGE},
                {"/^Subject:/ HOLD", MESSAGE, MESSAGE},
                {"/^Subject:/ PASS", MESSAGE, MESSAGE},
                {"/^Subject:/ REDIRECT a@b", MESSAGE, MESSAGE},
                {"/^Subject:/ FILTER a:b", MESSAGE, MESSAGE},
                {"/^Subject:/ BCC a@b", MESSAGE, MESSAGE},
                /* mistakes */
                {"/^Subject:/ REPLCE Subject: x", MESSAGE,
                 "smtp_header_checks: \"REPLCE Subject: x\": no such action"},
                {"/^Subject:/ REPLACE", MESSAGE,
                 "smtp_header_checks: \"REPLACE\": a header line must follow, as in REPLACE X-Seen: yes"},
                {"/^Subject:/ PREPEND nothing", MESSAGE,
                 "smtp_header_checks: \"PREPEND nothing\": a header line must follow, as in PREPEND X-Seen: yes"},
                /* folds are line feeds to the pattern, and are kept */
                {"/^Subject: a\\n b$/ REPLACE Subject: c\\n d", "Subject: a\r\n b\r\n\r\n",
                 "Subject: c\\n d\r\n\r\n"},
                {"/^(To: a@b\\n c@d)/ REPLACE X-$1", "To: a@b\r\n c@d\r\n\r\n",
                 "X-To: a@b\r\n c@d\r\n\r\n"},
                /* MIME's own fields, and headers of parts, are not its */
                {"/./ IGNORE",
                 "A: b\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n",
                 "Content-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n"},
        };
        run_rows("smtp_header_checks", rows, sizeof(rows) / sizeof(rows[0]));
}

#define PARTS                                                                          \
        "A: 1\r\nContent-Type: multipart/mixed; boundary=\"=\"\r\n\r\n--=\r\nB: 2\r\n" \
        "\r\nbody\r\n--=\r\nContent-Type: message/rfc822\r\n\r\nC: 3\r\n\r\nbody\r\n--=--\r\n"

static void each_table_sees_its_own(void **state)
{
        static const struct row mime[] = {
                {"/^(A|B|C): / REPLACE X: y", PARTS,
                 "A: 1\r\nContent-Type: multipart/mixed; boundary=\"=\"\r\n\r\n--=\r\nX: y\r\n"
                 "\r\nbody\r\n--=\r\nContent-Type: message/rfc822\r\n\r\nC: 3\r\n\r\nbody\r\n--=--\r\n"},
        };
        static const struct row nested[] = {
                {"/^(A|B|C): / REPLACE X: y", PARTS,
                 "A: 1\r\nContent-Type: multipart/mixed; boundary=\"=\"\r\n\r\n--=\r\nB: 2\r\n"
                 "\r\nbody\r\n--=\r\nContent-Type: message/rfc822\r\n\r\nX: y\r\n\r\nbody\r\n--=--\r\n"},
        };
        static const struct row body[] = {
                {"/^(A|B|C|body)/ REPLACE text", PARTS,
                 "A: 1\r\nContent-Type: multipart/mixed; boundary=\"=\"\r\n\r\n--=\r\nB: 2\r\n"
                 "\r\ntext\r\n--=\r\nContent-Type: message/rfc822\r\n\r\nC: 3\r\n\r\ntext\r\n--=--\r\n"},
                {"/x/ PREPEND -", MESSAGE, "From: a@b\r\nSubject: x\r\n\r\n-\r\nx\r\n"},
                {"/x/ PREPEND", MESSAGE,
                 "smtp_body_checks: \"PREPEND\": a header line must follow, as in PREPEND X-Seen: yes"},
                {"/^/ IGNORE", "A: b\r\n\r\n1\r\n\r\n2\r\n", "A: b\r\n\r\n\r\n"},
        };
        run_rows("smtp_mime_header_checks", mime, 1);
        run_rows("smtp_nested_header_checks", nested, 1);
        run_rows("smtp_body_checks", body, sizeof(body) / sizeof(body[0]));
}

static void checks_come_before_the_map(void **state)
{
        struct gate g;
        load(&g, "/^X-Real-To: (.*)/ REPLACE To: $1\n/^To:/ PREPEND To: inner@in.example\n",
             GENERIC "smtp_header_checks = pcre:DIR/checks\n");
        assert_string_equal(run(&g, "X-Real-To: inner@in.example\r\nTo: inner@in.example\r\n\r\n"),
                            "To: outer@out.example\r\nTo: inner@in.example\r\n"
                            "To: outer@out.example\r\n\r\n");
        done(&g);
}

static void a_table_that_cannot_be_asked_holds_the_mail(void **state)
{
        struct gate g;
        load(&g, "", "smtp_body_checks = pcre:DIR/checks\n");
        assert_non_null(strstr(run(&g, "A: b\r\n\r\nbroken\r\n"), "smtp_body_checks: "));
        done(&g);
}

static void what_was_done_is_logged(void **state)
{
        struct gate g;
        load(&g, "/^Subject/ REPLACE Subject: y\n/^From/ INFO seen\n/^To/ STRIP\n/^Cc/ HOLD\n",
             "smtp_header_checks = pcre:DIR/checks\n");
        struct buf out;
        buf_init(&out, 1 << 20);
        char text[300] = "From: a@b\r\nTo: c@d\r\nCc: e@f\r\nSubject: ";
        memset(text + strlen(text), 's', 100);
        rig_log(&g.rig);
        assert_true(run_in(&g, str_from(text), 1000, &out));
        const char *log = rig_log(&g.rig);
        assert_non_null(strstr(log, "postfix/smtp["));
        assert_non_null(strstr(log, ": 4gXyZ12abcz9: info: header From: a@b: seen\n"));
        assert_non_null(strstr(log, ": 4gXyZ12abcz9: strip: header To: c@d\n"));
        assert_non_null(strstr(log, "smtp_header_checks: HOLD is not supported here"));
        /* 60 bytes of it, as Postfix's client */
        assert_non_null(strstr(log, ": replace: header Subject: sssssssssssssssssssssssssssssssssss"
                                    "ssssssssssssssss: Subject: y\n"));
        buf_done(&out);
        done(&g);
}

/* ---- limits ---- */

static void bodies_are_looked_at_up_to_their_limit(void **state)
{
        struct gate g;
        load(&g, "/x/ REPLACE y\n",
             "smtp_body_checks = pcre:DIR/checks\nbody_checks_size_limit = 4\n");
        assert_string_equal(run(&g, "A: b\r\n\r\nx\r\nx\r\nx\r\n"), "A: b\r\n\r\ny\r\ny\r\nx\r\n");
        done(&g);
}

static void large_messages_stream(void **state)
{
        enum { LINES = 400000 };
        struct gate g;
        struct buf text;
        struct buf out;
        /* each line of the body becomes a hundred times as long */
        char rule[300] = "/^x/ REPLACE ";
        memset(rule + strlen(rule), 'y', 200);
        load(&g, rule, "smtp_body_checks = pcre:DIR/checks\nbody_checks_size_limit = 0\n" GENERIC);
        buf_init(&text, 16 << 20);
        buf_init(&out, 256 << 20);
        buf_append_str(&text, STR("To: inner@in.example\r\n\r\n"));
        for (size_t i = 0; i < LINES; i++)
                buf_append_str(&text, STR("x\r\n"));
        assert_true(run_in(&g, buf_str(&text), OUTGOING_PIECE_BYTES_MAX, &out));
        assert_int_equal(out.len, strlen("To: outer@out.example\r\n\r\n") + LINES * 202);
        assert_true(g.held_max <= 2 * OUTGOING_PIECE_BYTES_MAX);
        assert_true(g.out_max <= 32 << 10);
        buf_done(&text);
        buf_done(&out);
        done(&g);
}

/* A field of 200 KB passes as it is; one whose addresses grow without end does not pass. */
static void long_fields(void **state)
{
        struct gate g;
        struct buf text;
        struct buf out;
        load(&g, "", GENERIC);
        buf_init(&text, 1 << 20);
        buf_init(&out, 4 << 20);
        buf_append_str(&text, STR("To: "));
        while (text.len < 200000)
                buf_append_str(&text, STR("inner@in.example,"));
        buf_append_str(&text, STR("\r\nCc: inner@in.example\r\n\r\n"));
        assert_true(run_in(&g, buf_str(&text), OUTGOING_PIECE_BYTES_MAX, &out));
        struct str end = STR("inner@in.example,\r\nCc: outer@out.example\r\n\r\n");
        assert_true(str_ends(buf_str(&out), end));
        assert_int_equal(out.len, text.len + 1); /* the second field alone */
        buf_done(&text);
        buf_done(&out);
        done(&g);

        char local[400] = "";
        char lines[500];
        memset(local, 'l', sizeof(local) - 1);
        snprintf(lines, sizeof(lines), "smtp_generic_maps = inline:{ {a@b = %s@out.example} }\n",
                 local);
        load(&g, "", lines);
        buf_init(&text, 1 << 20);
        buf_init(&out, 4 << 20);
        buf_append_str(&text, STR("To: "));
        while (text.len < 50000)
                buf_append_str(&text, STR("a@b,"));
        buf_append_str(&text, STR("\r\n\r\n"));
        assert_false(run_in(&g, buf_str(&text), OUTGOING_PIECE_BYTES_MAX, &out));
        assert_non_null(strstr(g.why.text, "a header line grows over 524288 bytes"));
        buf_done(&text);
        buf_done(&out);
        done(&g);
}

/* ---- rules ---- */

static void nothing_is_made_where_nothing_is_asked(void **state)
{
        struct gate g;
        load(&g, "", "");
        assert_null(g.rules);
        done(&g);
        load_as(&g, "", "smtp_header_checks = pcre:/nowhere\n", false);
        assert_null(g.rules);
        assert_true(findings_has_errors(&g.rig.findings));
        done(&g);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(envelope_addresses_are_mapped),
                cmocka_unit_test(extensions_go_along_where_they_may),
                cmocka_unit_test(a_map_that_cannot_be_used_holds_the_mail),
                cmocka_unit_test(headers_are_mapped),
                cmocka_unit_test(actions_act_on_headers),
                cmocka_unit_test(each_table_sees_its_own),
                cmocka_unit_test(checks_come_before_the_map),
                cmocka_unit_test(a_table_that_cannot_be_asked_holds_the_mail),
                cmocka_unit_test(what_was_done_is_logged),
                cmocka_unit_test(bodies_are_looked_at_up_to_their_limit),
                cmocka_unit_test(large_messages_stream),
                cmocka_unit_test(long_fields),
                cmocka_unit_test(nothing_is_made_where_nothing_is_asked),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
