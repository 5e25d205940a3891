/* recipient_test.c - what becomes of senders and recipients, and where rules send a message */
#include "cleanup/cleanup_unit.h"

/* "sender>rcpt rcpt|filter" after all is said; "451 4.3.0 text" when it is refused. */
static const char *run(struct mill *m, const char *sender, const char *recipients)
{
        static char out[4000];
        struct str rest = str_from(recipients);
        struct str word;
        bool is_taken = true;
        mill_begin(m);
        struct smtp_address from = rig_address(&m->rig, sender);
        is_taken = await_cleanup_sender(m->cleanup, &from, &m->refusal);
        while (is_taken && str_next_word(&rest, " ", &word)) {
                struct smtp_rcpt_command rcpt = {
                        .recipient = rig_address(&m->rig, arena_str(&m->arena, word).ptr)};
                is_taken = await_cleanup_recipient(m->cleanup, &rcpt, &m->refusal);
        }
        is_taken = is_taken && await_cleanup_end(m->cleanup, &m->refusal);
        if (!is_taken) {
                snprintf(out, sizeof(out), "%d %s %.*s", m->refusal.code, m->refusal.enhanced,
                         STR_ARG(m->refusal.text));
                return out;
        }
        const struct envelope *e = &m->envelope;
        int len = snprintf(out, sizeof(out), "%.*s>", STR_ARG(e->sender));
        for (size_t i = 0; i < e->recipient_count; i++)
                len += snprintf(out + len, sizeof(out) - (size_t)len, "%s%.*s%s", i ? " " : "",
                                STR_ARG(e->recipients[i].address),
                                e->recipients[i].notify & SMTP_NOTIFY_NEVER ? "!" : "");
        if (e->filter.len)
                snprintf(out + len, sizeof(out) - (size_t)len, "|%.*s", STR_ARG(e->filter));
        return out;
}

static void addresses_are_mapped(void **state)
{
        static const struct {
                const char *lines, *sender, *recipients, *expected;
        } rows[] = {
                {"", "a@b.example", "c@d.example e@f.example",
                 "a@b.example>c@d.example e@f.example"},
                {"", "", "c@d.example", ">c@d.example"},
                {"", "a@b.example", "c@d.example c@d.example", "a@b.example>c@d.example"},
                /* what is missing */
                {"", "a", "postmaster", "a@origin.example>postmaster@origin.example"},
                {"", "a@b.example", "c%d.example", "a@b.example>c@d.example"},
                {"allow_percent_hack = no\n", "a@b.example", "c%d.example",
                 "a@b.example>c%d.example@origin.example"},
                {"", "a@b.example", "d.example!c", "a@b.example>c@d.example"},
                {"swap_bangpath = no\n", "a@b.example", "d.example!c",
                 "a@b.example>d.example!c@origin.example"},
                {"append_dot_mydomain = yes\n", "a@host", "c@d",
                 "a@host.example.com>c@d.example.com"},
                {"append_dot_mydomain = no\n", "a@host", "c@d", "a@host>c@d"},
                {"append_dot_mydomain = yes\n", "a@b.example", "c@[192.0.2.1]",
                 "a@b.example>c@[192.0.2.1]"},
                /* routes inside addresses of ours */
                {"", "a@b.example", "c%d.example@local.example", "a@b.example>c@d.example"},
                {"", "a@b.example", "d.example!c@local.example", "a@b.example>c@d.example"},
                {"", "a@b.example", "\"c@d.example\"@local.example", "a@b.example>c@d.example"},
                {"resolve_dequoted_address = no\n", "a@b.example", "\"c@d.example\"@local.example",
                 "a@b.example>\"c@d.example\"@local.example"},
                {"", "a@b.example", "c%d.example@relay.example",
                 "a@b.example>c%d.example@relay.example"},
                {"", "a@b.example", "c%d.example%local.example@local.example",
                 "a@b.example>c@d.example"},
                /* left to who comes behind */
                {"canonical_maps = inline:{a@b.example=x@y.example, c@d.example=z@y.example}\n"
                 "virtual_alias_maps = inline:{c@d.example=v@y.example}\n"
                 "masquerade_domains = y.example\nalways_bcc = bcc@d.example\n"
                 "sender_bcc_maps = inline:{a@b.example=s@y.example}\n"
                 "recipient_bcc_maps = inline:{c@d.example=r@y.example}\n"
                 "receive_override_options = no_address_mappings\n",
                 "a@b.example", "c@d.example e@mail.y.example f%d.example",
                 "a@b.example>c@d.example e@mail.y.example f@d.example"},
                /* canonical */
                {"canonical_maps = inline:{a@b.example=x@y.example, c@d.example=z@y.example}\n",
                 "a@b.example", "c@d.example", "x@y.example>z@y.example"},
                {"canonical_maps = inline:{a@b.example=x@y.example, c@d.example=z@y.example}\n"
                 "canonical_classes = envelope_sender\n",
                 "a@b.example", "c@d.example", "x@y.example>c@d.example"},
                {"sender_canonical_maps = inline:{a@b.example=x@y.example}\n", "a@b.example",
                 "a@b.example", "x@y.example>a@b.example"},
                {"recipient_canonical_maps = inline:{a@b.example=x@y.example}\n", "a@b.example",
                 "a@b.example", "a@b.example>x@y.example"},
                {"sender_canonical_maps = inline:{a@b.example=x@y.example}\n"
                 "canonical_maps = inline:{x@y.example=z@y.example}\n",
                 "a@b.example", "c@d.example", "z@y.example>c@d.example"},
                {"canonical_maps = inline:{@b.example=@y.example}\n", "a+e@b.example",
                 "c@d.example", "a+e@y.example>c@d.example"},
                {"canonical_maps = inline:{a@b.example=x@y.example}\n", "a+e@b.example",
                 "c@d.example", "x+e@y.example>c@d.example"},
                {"propagate_unmatched_extensions =\n"
                 "canonical_maps = inline:{a@b.example=x@y.example}\n",
                 "a+e@b.example", "c@d.example", "x@y.example>c@d.example"},
                {"recipient_delimiter = +-\ncanonical_maps = inline:{a@b.example=x@y.example}\n",
                 "a-e@b.example", "a+e@b.example", "x-e@y.example>x+e@y.example"},
                {"canonical_maps = inline:{bob=x}\n", "bob@local.example", "c@d.example",
                 "x@origin.example>c@d.example"},
                {"canonical_maps = inline:{a@b.example=a@b.example}\n", "a@b.example",
                 "c@d.example", "a@b.example>c@d.example"},
                {"canonical_maps = inline:{{a@b.example=b@b.example},{b@b.example=a@b.example}}\n",
                 "a@b.example", "c@d.example", "451 4.3.0 Temporary lookup failure"},
                {"canonical_maps = inline:{{a@b.example=no address}}\n", "a@b.example",
                 "c@d.example", "451 4.3.0 Temporary lookup failure"},
                {"canonical_maps = inline:{x=y}\n", "broken@b.example", "c@d.example",
                 "451 4.3.0 Temporary lookup failure"},
                /* the null sender is nobody's */
                {"canonical_maps = static:x@y.example\n", "", "c@d.example", ">x@y.example"},
                /* two ways to one mailbox are two deliveries, the same way twice is one */
                {"canonical_maps = inline:{a@b.example=c@d.example}\n", "e@f.example",
                 "a@b.example c@d.example A@B.example", "e@f.example>c@d.example c@d.example"},
                {"canonical_maps = inline:{a@b.example=c@d.example}\n"
                 "enable_original_recipient = no\n",
                 "e@f.example", "a@b.example c@d.example", "e@f.example>c@d.example"},
                /* canonical before aliases */
                {"recipient_canonical_maps = inline:{a@b.example=known@alias.example}\n",
                 "a@b.example", "a@b.example", "a@b.example>bob@local.example"},
                /* masquerading */
                {"masquerade_domains = sub.b.example b.example\n", "a@x.sub.b.example",
                 "c@x.b.example", "a@sub.b.example>c@x.b.example"},
                {"masquerade_domains = !sub.b.example b.example\n", "a@x.sub.b.example",
                 "c@d.example", "a@x.sub.b.example>c@d.example"},
                {"masquerade_domains = b.example\nmasquerade_exceptions = root\n",
                 "root@x.b.example", "c@d.example", "root@x.b.example>c@d.example"},
                {"masquerade_domains = b.example\nmasquerade_classes = envelope_recipient\n",
                 "a@x.b.example", "a@x.b.example", "a@x.b.example>a@b.example"},
                {"masquerade_domains = b.example\n", "a@xb.example", "c@d.example",
                 "a@xb.example>c@d.example"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                const char *out = run(&m, rows[i].sender, rows[i].recipients);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("%s%s>%s: \"%s\", not \"%s\"", rows[i].lines, rows[i].sender,
                                 rows[i].recipients, out, rows[i].expected);
                mill_done(&m);
        }
}

static void copies_are_made(void **state)
{
        static const struct {
                const char *lines, *recipients, *expected;
        } rows[] = {
                {"always_bcc = boss@b.example\n", "c@d.example",
                 "a@b.example>c@d.example boss@b.example!"},
                {"always_bcc = boss\n", "c@d.example",
                 "a@b.example>c@d.example boss@origin.example!"},
                {"always_bcc = c@d.example\n", "c@d.example", "a@b.example>c@d.example"},
                {"always_bcc = known@alias.example\n", "c@d.example",
                 "a@b.example>c@d.example bob@local.example!"},
                {"sender_bcc_maps = inline:{a@b.example=boss@b.example}\n", "c@d.example",
                 "a@b.example>c@d.example boss@b.example!"},
                {"sender_bcc_maps = inline:{@b.example=boss@b.example}\n", "c@d.example",
                 "a@b.example>c@d.example boss@b.example!"},
                {"sender_bcc_maps = inline:{x@b.example=boss@b.example}\n", "c@d.example",
                 "a@b.example>c@d.example"},
                {"recipient_bcc_maps = inline:{@d.example=boss@b.example}\n",
                 "c@d.example e@d.example f@g.example",
                 "a@b.example>c@d.example e@d.example f@g.example boss@b.example!"},
                /* a copy has no copy */
                {"always_bcc = boss@b.example\nrecipient_bcc_maps = inline:{@b.example=x@y.example}\n",
                 "c@d.example", "a@b.example>c@d.example boss@b.example!"},
                {"recipient_bcc_maps = inline:{{@d.example=not an address}}\n", "c@d.example",
                 "451 4.3.0 Temporary lookup failure"},
                {"recipient_bcc_maps = inline:{x=y}\n", "broken@d.example",
                 "451 4.3.0 Temporary lookup failure"},
                {"content_filter = smtp:[192.0.2.9]:10025\n", "c@d.example",
                 "a@b.example>c@d.example|smtp:[192.0.2.9]:10025"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                const char *out = run(&m, "a@b.example", rows[i].recipients);
                if (strcmp(out, rows[i].expected) != 0)
                        fail_msg("%s%s: \"%s\", not \"%s\"", rows[i].lines, rows[i].recipients, out,
                                 rows[i].expected);
                mill_done(&m);
        }
}

/* What rules asked for reaches the envelope. */
static void effects_reach_the_envelope(void **state)
{
        struct mill m;
        struct smtp_reply refusal;
        mill_init(&m);
        mill_load(&m, "content_filter = smtp:[192.0.2.9]:10025\nalways_bcc = boss@b.example\n");
        mill_begin(&m);
        struct smtp_rcpt_command first = {.recipient = rig_address(&m.rig, "c@d.example"),
                                          .notify = SMTP_NOTIFY_FAILURE,
                                          .orcpt = STR("rfc822;c@d.example")};
        struct smtp_rcpt_command second = {.recipient = rig_address(&m.rig, "e@d.example")};
        assert_true(await_cleanup_recipient(m.cleanup, &first, &refusal));
        assert_true(await_cleanup_recipient(m.cleanup, &second, &refusal));
        m.rig.effects.filter = STR("smtp:[192.0.2.8]");
        struct smtp_address copy = rig_address(&m.rig, "f@g.example");
        assert_true(policy_effects_add_bcc(&m.rig.effects, &copy, &m.arena));
        assert_true(await_cleanup_end(m.cleanup, &refusal));
        assert_int_equal(m.envelope.recipient_count, 4);
        assert_str_equal(m.envelope.recipients[3].address, "f@g.example");
        assert_str_equal(m.envelope.filter, "smtp:[192.0.2.8]");

        /* REDIRECT takes the place of all of it */
        mill_begin(&m);
        assert_true(await_cleanup_recipient(m.cleanup, &first, &refusal));
        assert_true(await_cleanup_recipient(m.cleanup, &second, &refusal));
        m.rig.effects.filter = STR("smtp:[192.0.2.8]");
        m.rig.effects.redirect = rig_address(&m.rig, "known@alias.example");
        assert_true(await_cleanup_end(m.cleanup, &refusal));
        assert_int_equal(m.envelope.recipient_count, 1);
        assert_str_equal(m.envelope.recipients[0].address, "bob@local.example");
        assert_str_equal(m.envelope.recipients[0].original, "c@d.example");
        assert_str_equal(m.envelope.recipients[0].orcpt, "rfc822;c@d.example");
        assert_true(str_is_empty(m.envelope.filter));
        mill_done(&m);
}

/* "recipient notify" of each, "=" in front of one that says that it was expanded. */
static void expect_wishes(struct mill *m, const char *expected)
{
        char out[2000] = "";
        int len = 0;
        for (size_t i = 0; i < m->envelope.recipient_count; i++) {
                const struct recipient *r = &m->envelope.recipients[i];
                len += snprintf(out + len, sizeof(out) - (size_t)len, "%s%s%.*s %u", i ? ", " : "",
                                r->is_expanded ? "=" : "", STR_ARG(r->address), r->notify);
        }
        assert_string_equal(out, expected);
}

/* RFC 3461 5.2.7.2, 5.2.7.3 */
static void aliases_take_the_wish_to_hear_of_success(void **state)
{
        enum { SUCCESS = SMTP_NOTIFY_SUCCESS, FAILURE = SMTP_NOTIFY_FAILURE };
        const struct {
                const char *address;
                unsigned notify;
                const char *expected;
        } rows[] = {
                {"two@d.example", SUCCESS, "=two@d.example 2, x@d.example 1, y@d.example 1"},
                {"two@d.example", SUCCESS | FAILURE,
                 "=two@d.example 6, x@d.example 4, y@d.example 4"},
                {"two@d.example", FAILURE, "x@d.example 4, y@d.example 4"},
                {"two@d.example", 0, "x@d.example 0, y@d.example 0"},
                {"one@d.example", SUCCESS, "=one@d.example 2, x@d.example 1"},
                {"one@d.example", FAILURE, "x@d.example 4"},
                {"letters@d.example", SUCCESS, "=letters@d.example 2, Letters@d.example 1"},
                {"itself@d.example", SUCCESS, "itself@d.example 2"},
                {"none@d.example", SUCCESS, "none@d.example 2"},
                {"self@d.example", SUCCESS, "=self@d.example 2, self@d.example 1, y@d.example 1"},
                {"deep@d.example", SUCCESS,
                 "=deep@d.example 2, x@d.example 1, z@d.example 1, y@d.example 1"},
        };
        struct mill m;
        struct smtp_reply refusal;
        assert_int_equal(SUCCESS, 2);
        assert_int_equal(FAILURE, 4);
        assert_int_equal(SMTP_NOTIFY_NEVER, 1);
        mill_init(&m);
        mill_load(&m,
                  "virtual_alias_maps = inline:{ {two@d.example = x@d.example y@d.example} "
                  "{one@d.example = x@d.example} {self@d.example = self@d.example y@d.example} "
                  "{itself@d.example = itself@d.example} {letters@d.example = Letters@d.example} "
                  "{deep@d.example = two@d.example z@d.example} }\n");
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct smtp_rcpt_command rcpt = {.notify = rows[i].notify};
                mill_begin(&m);
                rcpt.recipient = rig_address(&m.rig, rows[i].address);
                assert_true(await_cleanup_recipient(m.cleanup, &rcpt, &refusal));
                expect_wishes(&m, rows[i].expected);
                /* the same again says nothing new */
                assert_true(await_cleanup_recipient(m.cleanup, &rcpt, &refusal));
                expect_wishes(&m, rows[i].expected);
                cleanup_remove_recipient(m.cleanup, rcpt.recipient.text);
                assert_int_equal(m.envelope.recipient_count, 0);
        }
        mill_done(&m);
}

static void filters_may_take_recipients_out(void **state)
{
        struct mill m;
        struct smtp_reply refusal;
        mill_init(&m);
        mill_load(&m, "");
        mill_begin(&m);
        struct smtp_rcpt_command rcpt = {.recipient = rig_address(&m.rig, "known@alias.example")};
        assert_true(await_cleanup_recipient(m.cleanup, &rcpt, &refusal));
        assert_int_equal(cleanup_remove_recipient(m.cleanup, STR("other@alias.example")), 0);
        assert_int_equal(cleanup_remove_recipient(m.cleanup, STR("Known@alias.example")), 1);
        assert_int_equal(m.envelope.recipient_count, 0);
        struct smtp_address sender = rig_address(&m.rig, "new@b.example");
        assert_true(await_cleanup_sender(m.cleanup, &sender, &refusal));
        assert_str_equal(m.envelope.sender, "new@b.example");
        mill_done(&m);
}

static void add_numbered(struct mill *m, size_t number)
{
        char text[64];
        struct smtp_reply refusal;
        /* letters are folded */
        snprintf(text, sizeof(text), number % 2 ? "u%zu@d.example" : "U%zu@D.example", number / 2);
        struct smtp_rcpt_command rcpt = {.recipient = rig_address(&m->rig, text)};
        assert_true(await_cleanup_recipient(m->cleanup, &rcpt, &refusal));
}

/* duplicate_filter_limit: so many are remembered, wherever in a long list they stand */
static void nobody_comes_twice(void **state)
{
        static const struct {
                const char *lines;
                size_t expected;
        } rows[] = {
                {"", 3000 + 2000}, /* the first thousand are found again, the others not */
                {"duplicate_filter_limit = 3\n", 3000 + 2997},
                {"duplicate_filter_limit = 0\n", 3000},
                {"duplicate_filter_limit = 0\nenable_original_recipient = no\n", 3000},
        };
        for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[row].lines);
                mill_begin(&m);
                for (size_t i = 0; i < 3000; i++)
                        add_numbered(&m, 2 * i);
                assert_int_equal(m.envelope.recipient_count, 3000);
                for (size_t i = 0; i < 3000; i++)
                        add_numbered(&m, 2 * i + 1);
                assert_int_equal(m.envelope.recipient_count, rows[row].expected);
                mill_done(&m);
        }

        /* who was taken out can come again, and once */
        struct mill m;
        mill_init(&m);
        mill_load(&m, "duplicate_filter_limit = 0\n");
        mill_begin(&m);
        for (size_t i = 0; i < 200; i++)
                add_numbered(&m, 2 * i);
        assert_int_equal(cleanup_remove_recipient(m.cleanup, STR("u7@d.example")), 1);
        for (size_t i = 0; i < 400; i++)
                add_numbered(&m, i);
        assert_int_equal(m.envelope.recipient_count, 200);
        mill_done(&m);
}

static void mistakes_are_found(void **state)
{
        static const struct {
                const char *lines, *code;
        } rows[] = {
                {"canonical_classes = envelope_sender, all\n", "bad-class"},
                {"local_header_rewrite_clients = permit_everybody\n", "unknown-restriction"},
                {"content_filter = nowhere\n", "bad-filter"},
                {"body_checks = pcre:/does/not/exist\n", "table-missing"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
                struct mill m;
                mill_init(&m);
                mill_load(&m, rows[i].lines);
                if (!findings_has_errors(&m.rig.findings) ||
                    (strcmp(rows[i].code, "table-missing") != 0 &&
                     !rig_finding(&m.rig, rows[i].code)))
                        fail_msg("%s: no %s", rows[i].lines, rows[i].code);
                mill_done(&m);
        }
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(addresses_are_mapped),
                cmocka_unit_test(copies_are_made),
                cmocka_unit_test(effects_reach_the_envelope),
                cmocka_unit_test(aliases_take_the_wish_to_hear_of_success),
                cmocka_unit_test(filters_may_take_recipients_out),
                cmocka_unit_test(nobody_comes_twice),
                cmocka_unit_test(mistakes_are_found),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
