/* mailboxes_test.c - a configuration that cannot deliver is an error at start, and says how to mend it */
#include "core/core_private.h"

#include "base/buf.h"
#include "core/core_unit.h"

#include <errno.h>

static void test_static_ids(void **state)
{
        static const struct {
                const char *text;
                int rc;
                int64_t id;
        } cases[] = {
                {"static:1000", 0, 1000},
                {" static: 5000 ", 0, 5000},
                {"static:0", 0, 0},
                {"static:", -EINVAL, 0},
                {"static:x", -EINVAL, 0},
                {"static:-1", -EINVAL, 0},
                {"hash:/etc/uids", -EINVAL, 0},
                {"1000", -EINVAL, 0},
                {"", -EINVAL, 0},
                {"static:4294967295", -EINVAL, 0},
                {"static:1000 x", -EINVAL, 0},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                int64_t id = -1;
                assert_int_equal(core_static_id(str_from(cases[i].text), &id), cases[i].rc);
                if (cases[i].rc == 0)
                        assert_int_equal(id, cases[i].id);
        }
}

/* The errors of this room, as "code code"; the texts must hold `says`. */
static void check_case(const char *main_cf, const char *codes, const char *says)
{
        struct core_unit u;
        core_unit_begin(&u);
        static char text[4096];
        struct buf filled;
        buf_init(&filled, sizeof(text));
        for (const char *p = main_cf; *p; p++) {
                if (*p == '@')
                        buf_printf(&filled, "%s", u.dir);
                else if (*p == '%')
                        buf_printf(&filled, "%u", *++p == 'u' ? geteuid() : getegid());
                else
                        buf_append_char(&filled, *p);
        }
        snprintf(text, sizeof(text), "%.*s", STR_ARG(buf_str(&filled)));
        core_unit_load(&u, text, NULL);
        core_unit_write(&u, "boxes", "editor@core.test core.test/editor/\n");
        core_unit_write(&u, "file", "");

        struct table_set *tables = table_set_new(u.dir);
        struct findings own;
        findings_init(&own);
        struct core_mailboxes *m = core_mailboxes_new(u.config, tables, &own);
        struct buf found;
        buf_init(&found, 1000);
        bool is_said = !says;
        for (const struct finding *f = own.first; f; f = f->next) {
                assert_int_equal(f->severity, SEVERITY_ERROR);
                buf_printf(&found, "%s%s", found.len ? " " : "", f->code);
                static char line[2048];
                finding_format(f, line, sizeof(line));
                is_said = is_said || strstr(line, says);
        }
        assert_str_equal(buf_str(&found), codes);
        assert_true(is_said);
        core_mailboxes_unref(&m);
        findings_done(&own);
        buf_done(&found);
        buf_done(&filled);
        table_set_free(&tables);
        core_unit_end(&u);
}

#define DOMAINS "virtual_mailbox_domains = core.test\n"
#define MAPS    "virtual_mailbox_maps = hash:@/boxes\n"
#define BASE    "virtual_mailbox_base = @\n"
#define IDS     "virtual_uid_maps = static:%u\nvirtual_gid_maps = static:%g\nvirtual_minimum_uid = 1\n"

static void test_findings(void **state)
{
        /* no mailboxes, and mailboxes that are somebody else's */
        check_case("", "", NULL);
        check_case(DOMAINS MAPS "virtual_transport = lmtp:unix:/x\n", "", NULL);
        /* what is missing */
        check_case(DOMAINS BASE IDS,
                   geteuid() ? "no-mailbox-maps" : "no-mailbox-maps mailbox-owner",
                   "no mailbox can be found");
        check_case(DOMAINS MAPS IDS,
                   geteuid() ? "no-mailbox-base" : "no-mailbox-base mailbox-owner",
                   "virtual_mailbox_base is empty");
        check_case(DOMAINS MAPS BASE, "mailbox-owner mailbox-owner", "virtual_uid_maps = static:");
        /* the base */
        check_case(DOMAINS MAPS IDS "virtual_mailbox_base = @/file\n",
                   geteuid() ? "mailbox-base" : "mailbox-owner mailbox-base", "not a directory");
        check_case(DOMAINS MAPS IDS "virtual_mailbox_base = /no/where\n",
                   geteuid() ? "mailbox-base" : "mailbox-owner mailbox-base",
                   "install -d -m 0700 -o");
        /* somebody else's mailboxes */
        check_case(DOMAINS MAPS BASE "virtual_uid_maps = static:31999\n"
                                     "virtual_gid_maps = static:%g\n",
                   "mailbox-owner", "cannot give files away");
        check_case(DOMAINS MAPS BASE "virtual_uid_maps = hash:@/boxes\n"
                                     "virtual_gid_maps = static:%g\n",
                   "mailbox-owner", "must be static:ID");
        /* a map that is not there */
        check_case(DOMAINS BASE IDS "virtual_mailbox_maps = hash:@/nothing\n",
                   geteuid() ? "table-missing" : "mailbox-owner table-missing", "does not exist");
}

/* A base whose parent we may write is made by the first delivery. */
static void test_base_to_be_made(void **state)
{
        if (geteuid() == 0)
                check_case(DOMAINS MAPS IDS "virtual_mailbox_base = @/mail/\n", "mailbox-owner",
                           "virtual_minimum_uid");
        else
                check_case(DOMAINS MAPS IDS "virtual_mailbox_base = @/mail/\n", "", NULL);
}

static void test_services(void **state)
{
        struct core_unit u;
        core_unit_begin(&u);
        core_unit_load(&u, "virtual_mailbox_limit = 1000\nrecipient_delimiter = +\n",
                       "virtual unix - n n - - virtual\n"
                       "archive unix - n n - - virtual\n"
                       "  -o virtual_mailbox_limit=2000\n");
        struct table_set *tables = table_set_new(u.dir);
        struct core_mailboxes *m = core_mailboxes_new(u.config, tables, &u.findings);
        assert_int_equal(core_mailboxes_service(m, STR("virtual"))->bytes_max, 1000);
        assert_int_equal(core_mailboxes_service(m, STR("archive"))->bytes_max, 2000);
        assert_str_equal(core_mailboxes_service(m, STR("archive"))->delimiters, "+");
        assert_non_null(core_mailboxes_service(m, STR("other")));

        assert_null(core_mailboxes_in_use());
        core_mailboxes_use(m);
        struct core_mailboxes *in_use = core_mailboxes_in_use();
        assert_ptr_equal(in_use, m);
        core_mailboxes_use(NULL);
        core_mailboxes_unref(&m);
        /* a delivery keeps what it began with */
        assert_int_equal(core_mailboxes_service(in_use, STR("virtual"))->bytes_max, 1000);
        core_mailboxes_unref(&in_use);
        table_set_free(&tables);
        core_unit_end(&u);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_static_ids),
                cmocka_unit_test(test_findings),
                cmocka_unit_test(test_base_to_be_made),
                cmocka_unit_test(test_services),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
