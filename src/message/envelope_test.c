/* envelope_test.c */
#include "base/unit.h"

#include "base/rand.h"
#include "message/envelope.h"

#include <errno.h>

static struct recipient two[] = {
        {STR_INIT("a@b.example"), STR_INIT("a@b.example"), STR_INIT(""), 0},
        {STR_INIT("c@d.example"), STR_INIT("e@f.example"), STR_INIT("rfc822;g+2B@h"),
         SMTP_NOTIFY_SUCCESS | SMTP_NOTIFY_DELAY, true},
};

static const struct envelope full = {
        .sender = STR_INIT("s@t.example"),
        .recipients = two,
        .recipient_count = 2,
        .body = SMTP_BODY_8BITMIME,
        .smtputf8 = true,
        .ret = SMTP_RET_HDRS,
        .envid = STR_INIT("QQ314"),
        .client_name = STR_INIT("a.example"),
        .client_address = STR_INIT("2001:db8::1"),
        .client_port = STR_INIT("4711"),
        .helo = STR_INIT("helo.example"),
        .protocol = STR_INIT("ESMTPS"),
        .arrival_us = 1795344781999999,
        .filter = STR_INIT("f:"),
        .report = SMTP_REPORT_DELIVERY,
        .verp = STR_INIT("+="),
        .is_unanswered = true,
};

static void assert_same(const struct envelope *a, const struct envelope *b)
{
        assert_true(str_eq(a->sender, b->sender));
        assert_int_equal(a->recipient_count, b->recipient_count);
        for (size_t i = 0; i < a->recipient_count; i++) {
                assert_true(str_eq(a->recipients[i].address, b->recipients[i].address));
                assert_true(str_eq(a->recipients[i].original, b->recipients[i].original));
                assert_true(str_eq(a->recipients[i].orcpt, b->recipients[i].orcpt));
                assert_int_equal(a->recipients[i].notify, b->recipients[i].notify);
                assert_int_equal(a->recipients[i].is_expanded, b->recipients[i].is_expanded);
        }
        assert_int_equal(a->body, b->body);
        assert_int_equal(a->smtputf8, b->smtputf8);
        assert_int_equal(a->ret, b->ret);
        assert_true(str_eq(a->envid, b->envid));
        assert_true(str_eq(a->client_name, b->client_name));
        assert_true(str_eq(a->client_address, b->client_address));
        assert_true(str_eq(a->client_port, b->client_port));
        assert_true(str_eq(a->helo, b->helo));
        assert_true(str_eq(a->protocol, b->protocol));
        assert_true(a->arrival_us == b->arrival_us);
        assert_true(str_eq(a->filter, b->filter));
        assert_int_equal(a->report, b->report);
        assert_true(str_eq(a->verp, b->verp));
        assert_int_equal(a->is_unanswered, b->is_unanswered);
}

static void reads_what_it_writes(void **state)
{
        struct recipient no_original = {STR("a@b"), STR(""), STR(""), 15};
        struct envelope cases[] = {
                full,
                {.sender = STR_INIT("")},
                {.recipients = two, .recipient_count = 1, .arrival_us = -1},
                {.recipients = &no_original, .recipient_count = 1, .arrival_us = INT64_MIN},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct buf bytes;
                struct arena a, b;
                struct why why;
                struct envelope out, copy;
                buf_init(&bytes, 4096);
                arena_init(&a, 0);
                arena_init(&b, 0);
                assert_int_equal(envelope_encode(&cases[i], &bytes), 0);
                assert_int_equal(envelope_decode(buf_str(&bytes), &a, &out, &why), 0);
                memset(bytes.ptr, 'x', bytes.len);
                assert_same(&out, &cases[i]);
                envelope_copy(&out, &b, &copy);
                arena_done(&a);
                assert_same(&copy, &cases[i]);
                arena_done(&b);
                buf_done(&bytes);
        }
}

static void keeps_the_ceiling(void **state)
{
        struct buf bytes;
        buf_init(&bytes, 4096);
        assert_int_equal(envelope_encode(&full, &bytes), 0);
        size_t len = bytes.len;
        assert_true(len < 180);
        bytes.bytes_max = 2 * len - 1;
        assert_int_equal(envelope_encode(&full, &bytes), -ENOBUFS);
        assert_int_equal(bytes.len, len);
        buf_done(&bytes);
}

static void refuses(void **state)
{
        static const struct {
                struct str bytes;
                const char *why;
        } cases[] = {
                {STR_INIT(""), "version 0 "},
                {STR_INIT("\x02"), "version 2 "},
                {STR_INIT("\x01\x01"), "cut short"},
                {STR_INIT("\x01\x01\x80"), "cut short"},
                {STR_INIT("\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x02"), "cut short"},
                {STR_INIT("\x01\x01\x02x"), "says 2 bytes, and 1 "},
                {STR_INIT("\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01x"), "and 1 "},
                {STR_INIT("\x01\x7f\x00"), "unknown field 127"},
                {STR_INIT("\x01\x00\x00"), "unknown field 0"},
                {STR_INIT("\x01\xff\x7f\x00"), "unknown field 16383"},
                {STR_INIT("\x01\x01\x01x\x01\x01y"), "field 1 comes twice"},
                {STR_INIT("\x01\x03\x01\x02"), "field 3 holds no number"},
                {STR_INIT("\x01\x04\x01\x02"), "field 4 holds no number"},
                {STR_INIT("\x01\x05\x01\x03"), "field 5 holds no number"},
                {STR_INIT("\x01\x05\x02\x01\x01"), "field 5 holds no number"},
                {STR_INIT("\x01\x0c\x00"), "field 12 holds no number"},
                {STR_INIT("\x01\x0c\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"),
                 "field 12 holds no number"},
                {STR_INIT("\x01\x10\x01\x03"), "field 16 holds no number"},
                {STR_INIT("\x01\x11\x01+"), "VERP with 1 "},
                {STR_INIT("\x01\x11\x03+=-"), "VERP with 3 "},
                {STR_INIT("\x01\x11\x00"), "VERP with 0 "},
                {STR_INIT("\x01\x12\x01\x02"), "field 18 holds no number"},
                {STR_INIT("\x01\x02\x00"), "without an address"},
                {STR_INIT("\x01\x02\x02\x01\x00"), "without an address"},
                {STR_INIT("\x01\x02\x02\x01\x05"), "says 5 bytes, and 0 "},
                {STR_INIT("\x01\x02\x06\x01\x01x\x04\x01\x10"), "field 4 holds no number"},
                {STR_INIT("\x01\x02\x05\x01\x01x\x07\x00"), "unknown field 7"},
                {STR_INIT("\x01\x02\x06\x01\x01x\x06\x01\x02"), "field 6 holds no number"},
                {STR_INIT("\x01\x02\x06\x01\x01x\x01\x01y"), "field 1 comes twice"},
                {STR_INIT("\x01\x02\x08\x01\x01x\x02\x01y\x05\x00"), "two originals"},
        };
        struct arena a;
        arena_init(&a, 0);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
                struct envelope out;
                struct why why = {""};
                assert_int_equal(envelope_decode(cases[i].bytes, &a, &out, &why), -EBADMSG);
                if (!strstr(why.text, cases[i].why))
                        fail_msg("%s, not %s", why.text, cases[i].why);
                assert_null(out.recipients);
        }
        arena_done(&a);
}

static void limits_recipients(void **state)
{
        struct recipient *many = calloc(ENVELOPE_RECIPIENTS_MAX + 1, sizeof(*many));
        struct envelope e = {.recipients = many, .recipient_count = ENVELOPE_RECIPIENTS_MAX};
        struct envelope out;
        struct buf bytes;
        struct arena a;
        struct why why;
        assert_non_null(many);
        for (size_t i = 0; i <= ENVELOPE_RECIPIENTS_MAX; i++)
                many[i].address = STR("a@b");
        buf_init(&bytes, 10000000);
        arena_init(&a, 0);
        assert_int_equal(envelope_encode(&e, &bytes), 0);
        assert_int_equal(envelope_decode(buf_str(&bytes), &a, &out, &why), 0);
        assert_int_equal(out.recipient_count, ENVELOPE_RECIPIENTS_MAX);
        /* one more, which encoding does not write */
        assert_int_equal(buf_append(&bytes,
                                    "\x02\x05\x01\x03"
                                    "c@d",
                                    7),
                         0);
        assert_int_equal(envelope_decode(buf_str(&bytes), &a, &out, &why), -EBADMSG);
        assert_non_null(strstr(why.text, "over 100000 recipients"));
        e.recipient_count++;
        buf_clear(&bytes);
        assert_int_equal(envelope_encode(&e, &bytes), -ENOBUFS);
        arena_done(&a);
        buf_done(&bytes);
        free(many);
}

/* Cut anywhere, or with any byte changed: an error or an envelope, never a read outside. */
static void survives_damage(void **state)
{
        struct buf bytes;
        struct arena a;
        struct why why;
        struct envelope out;
        buf_init(&bytes, 4096);
        arena_init(&a, 0);
        assert_int_equal(envelope_encode(&full, &bytes), 0);
        for (size_t len = 0; len < bytes.len; len++) {
                char *cut = malloc(len + 1); /* its end is watched by the sanitizer */
                assert_non_null(cut);
                memcpy(cut, bytes.ptr, len);
                int code = envelope_decode(str_make(cut, len), &a, &out, &why);
                assert_true(code == 0 || code == -EBADMSG);
                free(cut);
                arena_clear(&a);
        }
        for (int round = 0; round < 20000; round++) {
                size_t at = rand_below(bytes.len);
                char was = bytes.ptr[at];
                bytes.ptr[at] = (char)rand_below(256);
                int code = envelope_decode(buf_str(&bytes), &a, &out, &why);
                assert_true(code == 0 || code == -EBADMSG);
                bytes.ptr[at] = was;
                arena_clear(&a);
        }
        arena_done(&a);
        buf_done(&bytes);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(reads_what_it_writes),
                cmocka_unit_test(keeps_the_ceiling),
                cmocka_unit_test(refuses),
                cmocka_unit_test(limits_recipients),
                cmocka_unit_test(survives_damage),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
