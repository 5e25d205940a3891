/* packet_test.c - packets of filters, and what is none */
#include "base/unit.h"
#include "milter/milter_private.h"

#include <errno.h>

static struct str packet(struct buf *b, char command, struct str data)
{
        buf_clear(b);
        size_t at = milter_packet_begin(b, command);
        milter_put_bytes(b, data);
        assert_int_equal(milter_packet_end(b, at), 0);
        return buf_str(b);
}

static void replies_are_taken_apart(void **state)
{
        struct buf b;
        struct milter_reply r;
        struct why why;
        buf_init(&b, 10000);
        struct str in = packet(&b, 'm', str_make("\0\0\1\2Subject\0new\0", 16));
        assert_int_equal(milter_reply_take(&in, &r, &why), 1);
        assert_int_equal(r.index, 258);
        assert_str_equal(r.name, "Subject");
        assert_str_equal(r.text, "new");
        assert_int_equal(in.len, 0);
        in = packet(&b, 'e', str_make("<a@b>\0", 6));
        assert_int_equal(milter_reply_take(&in, &r, &why), 1);
        assert_str_equal(r.name, "<a@b>");
        assert_int_equal(r.text.len, 0);
        in = packet(&b, '2', str_make("<a@b>\0NOTIFY=NEVER\0", 19));
        assert_int_equal(milter_reply_take(&in, &r, &why), 1);
        assert_str_equal(r.text, "NOTIFY=NEVER");
        /* byte by byte: nothing before the last */
        struct str whole = packet(&b, 'y', str_make("550 no\0", 7));
        for (size_t i = 0; i < whole.len; i++) {
                in = str_part(whole, 0, i);
                assert_int_equal(milter_reply_take(&in, &r, &why), 0);
                assert_int_equal(in.len, i);
        }
        in = whole;
        assert_int_equal(milter_reply_take(&in, &r, &why), 1);
        buf_done(&b);
}

static void others_are_refused(void **state)
{
        static const struct {
                const char *bytes;
                size_t len;
        } rows[] = {
                {"\0\0\0\0", 4},    /* no command */
                {"\0\x11\0\0c", 5}, /* over the ceiling */
                {"\xff\xff\xff\xff", 4},
                {"\0\0\0\1Z", 5}, /* no such reply */
                {"\0\0\0\1\0", 5},
                {"\0\0\0\4m\0\0\0", 8}, /* not whole */
                {"\0\0\0\x0ahSubject\0x", 14},
                {"\0\0\0\4+a@b", 8},
                {"\0\0\0\3yno", 7},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct str in = str_make(rows[i].bytes, rows[i].len);
                struct milter_reply r;
                struct why why;
                if (milter_reply_take(&in, &r, &why) != -EPROTO)
                        fail_msg("row %zu was taken", i);
        }
}

static void negotiation_keeps_to_what_was_offered(void **state)
{
        struct milter_negotiated n;
        struct why why;
        assert_int_equal(
                milter_negotiated_read(str_make("\0\0\0\6\0\0\1\xff\0\0\0\0", 12), 6, &n, &why), 0);
        assert_int_equal(n.actions, 0x1ff);
        assert_int_equal(
                milter_negotiated_read(str_make("\0\0\0\2\0\0\0\x3f\0\0\0\x7f", 12), 6, &n, &why),
                0);
        assert_int_equal(
                milter_negotiated_read(str_make("\0\0\0\6\0\0\0\0\0\0\0\0", 12), 4, &n, &why),
                -EPROTO);
        assert_int_equal(
                milter_negotiated_read(str_make("\0\0\0\1\0\0\0\0\0\0\0\0", 12), 6, &n, &why),
                -EPROTO);
        assert_int_equal(
                milter_negotiated_read(str_make("\0\0\0\6\0\0\2\0\0\0\0\0", 12), 6, &n, &why),
                -EPROTO);
        assert_int_equal(
                milter_negotiated_read(str_make("\0\0\0\6\0\0\0\0\x10\0\0\0", 12), 6, &n, &why),
                -EPROTO);
        assert_int_equal(milter_negotiated_read(STR("short"), 6, &n, &why), -EPROTO);
        assert_int_equal(milter_negotiated_read(
                                 str_make("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\5i j\0\0\0\0\x63x\0", 26),
                                 6, &n, &why),
                         0);
        assert_true(n.has_macros[MILTER_END] && !n.has_macros[MILTER_MAIL]);
        assert_str_equal(n.macros[MILTER_END], "i j");
        assert_int_equal(milter_negotiated_read(str_make("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\5i", 17),
                                                6, &n, &why),
                         -EPROTO);
}

static void reply_codes_are_for_the_client(void **state)
{
        static const struct {
                const char *text, *reply; /* NULL: none */
        } rows[] = {
                {"550 5.7.1 no", "550 5.7.1 no"},
                {"451 later", "451 4.7.1 later"},
                {"550", "550 5.7.1 Command rejected"},
                {"550 4.7.1 other class", "550 5.7.1 4.7.1 other class"},
                {"552 100%% of %s", "552 5.7.1 100% of %s"},
                {"550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three", "550 5.7.1 one\ntwo\nthree"},
                {"550 5.7.1 a\x01"
                 "b",
                 "550 5.7.1 a?b"},
                {"250 ok", NULL},
                {"5501 x", NULL},
                {"590 x", NULL},
                {"55", NULL},
                {"", NULL},
                {"abc", NULL},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct arena arena;
                struct smtp_reply reply;
                char said[300];
                arena_init(&arena, 0);
                bool is_one = milter_reply_code(str_from(rows[i].text), &arena, &reply);
                assert_int_equal(is_one, rows[i].reply != NULL);
                if (is_one) {
                        snprintf(said, sizeof(said), "%d %s %.*s", reply.code, reply.enhanced,
                                 STR_ARG(reply.text));
                        assert_string_equal(said, rows[i].reply);
                }
                arena_done(&arena);
        }
}

static void a_packet_that_does_not_fit_is_no_packet(void **state)
{
        struct buf b;
        buf_init(&b, 20);
        size_t at = milter_packet_begin(&b, 'L');
        milter_put_text(&b, STR("a text that is longer than that"));
        assert_int_equal(milter_packet_end(&b, at), -ENOBUFS);
        assert_int_equal(b.len, 0);
        buf_done(&b);
}

/* ---- edits ---- */

static const char header[] =
        "Received: from x\r\n\tby y; now\r\nX-A: 1\r\nReceived: older\r\nX-B: 2\r\nx-a: 3\r\n\r\n";

static void check_edit(bool (*edit)(struct milter_header *h), const char *expected)
{
        struct arena arena;
        struct milter_header h;
        struct buf out;
        arena_init(&arena, 0);
        buf_init(&out, 10000);
        assert_int_equal(milter_header_init(&h, str_from(header), 30, &arena), 0);
        assert_int_equal(h.count, 5);
        assert_true(h.fields[0].is_hidden && !h.fields[2].is_hidden);
        assert_true(edit(&h));
        assert_int_equal(milter_header_put(&h, &out), 0);
        assert_str_equal(buf_str(&out), expected);
        buf_done(&out);
        arena_done(&arena);
}

#define A    "Received: from x\r\n\tby y; now\r\n"
#define REST "X-A: 1\r\nReceived: older\r\nX-B: 2\r\nx-a: 3\r\n"

static const struct milter_made *made(struct milter_header *h, struct str name, struct str value,
                                      bool has_space)
{
        struct milter_made *m = arena_new(h->arena, struct milter_made);
        *m = (struct milter_made){.before = STR(""),
                                  .field = milter_field_make(h->arena, name, value, has_space)};
        return m;
}

static const struct milter_made nothing = {.before = STR_INIT(""), .field = STR_INIT("")};

static bool adds(struct milter_header *h)
{
        return milter_header_add(h, made(h, STR("N"), STR("v\r\n\r\nw\n x\r"), false));
}
static bool adds_with_space(struct milter_header *h)
{
        return milter_header_add(h, made(h, STR("N"), STR("\tv"), true));
}
static bool inserts_first(struct milter_header *h)
{
        return milter_header_insert(h, 0, made(h, STR("N"), STR("v"), false));
}
static bool inserts_last(struct milter_header *h)
{
        return milter_header_insert(h, 4000000000u, made(h, STR("N"), STR(""), false));
}
static bool changes_second(struct milter_header *h)
{
        return milter_header_change(h, 2, STR("X-A"), made(h, STR("X-A"), STR("new"), false));
}
static bool deletes_first(struct milter_header *h)
{
        return milter_header_change(h, 1, STR("X-A"), &nothing);
}
static bool changes_what_is_shown(struct milter_header *h)
{
        return milter_header_change(h, 1, STR("received"),
                                    made(h, STR("received"), STR("mine"), false));
}
static bool adds_what_is_not_there(struct milter_header *h)
{
        return milter_header_change(h, 3, STR("X-A"), made(h, STR("X-A"), STR("new"), false)) &&
               milter_header_change(h, 9, STR("X-None"), &nothing);
}

static void headers_are_edited(void **state)
{
        check_edit(adds, A REST "N: v\r\n\tw\r\n x\r\n");
        check_edit(adds_with_space, A REST "N:\tv\r\n");
        check_edit(inserts_first, "N: v\r\n" A REST);
        check_edit(inserts_last, A REST "N: \r\n");
        check_edit(changes_second, A "X-A: 1\r\nReceived: older\r\nX-B: 2\r\nX-A: new\r\n");
        check_edit(deletes_first, A "Received: older\r\nX-B: 2\r\nx-a: 3\r\n");
        check_edit(changes_what_is_shown, A "X-A: 1\r\nreceived: mine\r\nX-B: 2\r\nx-a: 3\r\n");
        check_edit(adds_what_is_not_there, A REST "X-A: new\r\n");
        assert_true(milter_field_name_is_valid(STR("X-A")));
        assert_false(milter_field_name_is_valid(STR("X A")));
        assert_false(milter_field_name_is_valid(STR("X:")));
        assert_false(milter_field_name_is_valid(STR("")));
}

static void a_header_has_a_ceiling(void **state)
{
        struct arena arena;
        struct milter_header h;
        arena_init(&arena, 0);
        assert_int_equal(milter_header_init(&h, STR("\r\n"), 0, &arena), 0);
        for (int i = 0; i < MILTER_FIELDS_MAX; i++)
                assert_true(milter_header_add(&h, made(&h, STR("X"), STR("v"), false)));
        assert_false(milter_header_add(&h, made(&h, STR("X"), STR("v"), false)));
        arena_done(&arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(replies_are_taken_apart),
                cmocka_unit_test(others_are_refused),
                cmocka_unit_test(negotiation_keeps_to_what_was_offered),
                cmocka_unit_test(reply_codes_are_for_the_client),
                cmocka_unit_test(a_packet_that_does_not_fit_is_no_packet),
                cmocka_unit_test(headers_are_edited),
                cmocka_unit_test(a_header_has_a_ceiling),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
