/* change_test.c - a filter's changes wait until its turn is over, and are made all or not at all */
#include "base/unit.h"
#include "milter/milter_private.h"

#include <errno.h>

struct bench {
        struct arena arena;
        struct milter_changes changes;
        struct milter_header header;
        struct policy_facts facts;
        struct policy_effects effects;
        struct smtp_reply refusal;
        char said[1000]; /* to the doors */
        int fails;       /* what the recipient's door returns */
        bool refuses;    /* the fields' door */
};

static void say(struct bench *b, const char *what, struct str text)
{
        size_t len = strlen(b->said);
        snprintf(b->said + len, sizeof(b->said) - len, "%s %.*s;", what, STR_ARG(text));
}

static int await_recipient_add(void *context, struct str address, struct str parameters,
                               struct why *why)
{
        struct bench *b = context;
        say(b, "add", address);
        say(b, "with", parameters);
        return b->fails ? why_set(why, b->fails, "a table cannot be asked") : 0;
}

static int recipient_remove(void *context, struct str address, struct why *why)
{
        say(context, "remove", address);
        return 0;
}

static int await_sender(void *context, struct str address, struct str parameters, struct why *why)
{
        say(context, "sender", address);
        return 0;
}

static int await_body_end(void *context, struct why *why)
{
        say(context, "body", STR(""));
        return 0;
}

static bool await_field(void *context, struct milter_made *made, struct smtp_reply *refusal)
{
        struct bench *b = context;
        if (str_starts(made->field, STR("X-Drop")))
                made->field = STR("");
        if (str_starts(made->field, STR("X-Two")))
                made->before = STR("X-One: 1");
        *refusal = smtp_reply_make(550, "5.7.1", STR("no"));
        return !b->refuses;
}

static const char original[] = "Subject: a\r\nX-A: 1\r\n\r\n";

static void begin(struct bench *b)
{
        *b = (struct bench){.fails = 0};
        arena_init(&b->arena, 0);
        milter_changes_init(&b->changes, &b->arena);
        assert_int_equal(milter_header_init(&b->header, str_from(original), 0, &b->arena), 0);
}

static const char *add(struct bench *b, char command, uint32_t index, const char *name,
                       const char *text)
{
        const struct milter_reply reply = {
                .command = command, .index = index, .name = str_from(name), .text = str_from(text)};
        return milter_changes_add(&b->changes, &reply);
}

static int apply(struct bench *b, enum filter_result *result)
{
        const struct milter_doors doors = {.context = b,
                                           .await_body_end = await_body_end,
                                           .await_sender = await_sender,
                                           .await_recipient_add = await_recipient_add,
                                           .recipient_remove = recipient_remove,
                                           .await_field = await_field};
        const struct milter_apply a = {.changes = &b->changes,
                                       .filter = STR("inet:x"),
                                       .facts = &b->facts,
                                       .header = &b->header,
                                       .doors = &doors,
                                       .effects = &b->effects,
                                       .refusal = &b->refusal,
                                       .has_body = true};
        struct why why;
        *result = FILTER_GOES_ON;
        return await_milter_changes(&a, result, &why);
}

static void assert_header(const struct bench *b, const char *expected)
{
        struct buf out;
        buf_init(&out, 100000);
        assert_int_equal(milter_header_put(&b->header, &out), 0);
        assert_str_equal(buf_str(&out), expected);
        buf_done(&out);
}

static void changes_are_made_in_their_order(void **state)
{
        struct bench b;
        enum filter_result result;
        begin(&b);
        assert_null(add(&b, 'h', 0, "X-Last", "z"));
        assert_null(add(&b, '2', 0, "<c@d>", "NOTIFY=NEVER"));
        assert_null(add(&b, 'i', 0, "X-Two", "2"));
        assert_null(add(&b, 'm', 1, "Subject", "b"));
        assert_null(add(&b, 'm', 1, "X-A", ""));
        assert_null(add(&b, 'h', 0, "X-Drop", "me"));
        assert_null(add(&b, 'e', 0, "", ""));
        assert_null(add(&b, '-', 0, "e@f", ""));
        assert_null(add(&b, 'q', 0, "smells", ""));
        assert_header(&b, "Subject: a\r\nX-A: 1\r\n"); /* not yet */
        assert_string_equal(b.said, "");
        assert_int_equal(apply(&b, &result), 0);
        assert_int_equal(result, FILTER_GOES_ON);
        assert_header(&b, "X-One: 1\r\nX-Two: 2\r\nSubject: b\r\nX-Last: z\r\n");
        assert_string_equal(b.said, "body ;add <c@d>;with NOTIFY=NEVER;sender ;remove e@f;");
        assert_true(b.effects.is_held);
        arena_done(&b.arena);
}

static void what_is_wrong_is_told_at_once(void **state)
{
        static const struct {
                char command;
                const char *name, *fault;
        } rows[] = {
                {'h', "bad name", "a header field with a name that is none"},
                {'m', "", "a header field with a name that is none"},
                {'+', "<<no>", "an address that is none"},
                {'e', "a@b@c d", "an address that is none"},
        };
        struct bench b;
        begin(&b);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                const char *fault = add(&b, rows[i].command, 1, rows[i].name, "x");
                if (!fault || strcmp(fault, rows[i].fault) != 0)
                        fail_msg("%c %s: %s", rows[i].command, rows[i].name, fault ? fault : "-");
        }
        assert_int_equal(b.changes.count, 0);
        arena_done(&b.arena);
}

static void one_that_may_not_be_is_none(void **state)
{
        struct bench b;
        enum filter_result result;
        begin(&b);
        b.refuses = true;
        assert_null(add(&b, '+', 0, "c@d", ""));
        assert_null(add(&b, 'h', 0, "X", "y"));
        assert_int_equal(apply(&b, &result), 0);
        assert_int_equal(result, FILTER_REFUSES);
        assert_int_equal(b.refusal.code, 550);
        assert_string_equal(b.said, "");
        assert_header(&b, "Subject: a\r\nX-A: 1\r\n");
        arena_done(&b.arena);
        /* a table that cannot be asked is not the filter's fault: the message waits */
        begin(&b);
        b.fails = -EAGAIN;
        assert_null(add(&b, '+', 0, "c@d", ""));
        assert_int_equal(apply(&b, &result), 0);
        assert_int_equal(result, FILTER_REFUSES);
        assert_int_equal(b.refusal.code, 451);
        arena_done(&b.arena);
}

static void changes_have_limits(void **state)
{
        static char text[1 << 20];
        struct bench b;
        enum filter_result result;
        begin(&b);
        for (size_t i = 0; i < MILTER_EDITS_MAX; i++)
                assert_null(add(&b, 'h', 0, "X", "y"));
        assert_string_equal(add(&b, 'h', 0, "X", "y"), "too many changes");
        arena_done(&b.arena);
        begin(&b);
        memset(text, 'x', sizeof(text) - 1);
        for (size_t i = 0; i < 8; i++)
                assert_null(add(&b, 'h', 0, "X", text));
        assert_string_equal(add(&b, 'h', 0, "X", text), "too many changes");
        arena_done(&b.arena);
        /* over the fields of a header: none is made */
        begin(&b);
        const struct milter_made one = {.before = STR(""), .field = STR("A: b")};
        while (b.header.count < MILTER_FIELDS_MAX - 1)
                assert_true(milter_header_add(&b.header, &one));
        assert_null(add(&b, 'h', 0, "X", "y"));
        assert_null(add(&b, 'h', 0, "X", "z"));
        assert_int_equal(apply(&b, &result), -E2BIG);
        assert_int_equal(b.header.count, MILTER_FIELDS_MAX - 1);
        assert_string_equal(b.said, "");
        arena_done(&b.arena);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(changes_are_made_in_their_order),
                cmocka_unit_test(what_is_wrong_is_told_at_once),
                cmocka_unit_test(one_that_may_not_be_is_none),
                cmocka_unit_test(changes_have_limits),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
