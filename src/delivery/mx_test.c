/* mx_test.c - MX records from canned answers, and the order in which hosts are tried */
#include "delivery/host.h"

#include "base/unit.h"

#include <errno.h>

/* ---- packets ---- */

struct packet {
        unsigned char bytes[8192];
        size_t len;
};

static void put_u16(struct packet *p, unsigned value)
{
        p->bytes[p->len++] = (unsigned char)(value >> 8);
        p->bytes[p->len++] = (unsigned char)value;
}

static void put_name(struct packet *p, const char *name)
{
        struct str rest = str_from(name);
        while (rest.len) {
                struct str label = str_cut(&rest, '.');
                p->bytes[p->len++] = (unsigned char)label.len;
                memcpy(p->bytes + p->len, label.ptr, label.len);
                p->len += label.len;
        }
        p->bytes[p->len++] = 0;
}

static void put_start(struct packet *p, unsigned answers)
{
        p->len = 0;
        put_u16(p, 4711);
        put_u16(p, 0x8180); /* an answer, recursive, NOERROR */
        put_u16(p, 1);
        put_u16(p, answers);
        put_u16(p, 0);
        put_u16(p, 0);
        put_name(p, "example.com");
        put_u16(p, 15);
        put_u16(p, 1);
}

static void put_record(struct packet *p, unsigned type, unsigned ttl, unsigned preference,
                       const char *host)
{
        put_u16(p, 0xc00c); /* the question's name */
        put_u16(p, type);
        put_u16(p, 1);
        put_u16(p, ttl >> 16);
        put_u16(p, ttl & 0xffff);
        size_t length_at = p->len;
        put_u16(p, 0);
        put_u16(p, preference);
        put_name(p, host);
        size_t length = p->len - length_at - 2;
        p->bytes[length_at] = (unsigned char)(length >> 8);
        p->bytes[length_at + 1] = (unsigned char)length;
}

static int make_arena(void **state)
{
        struct arena *arena = calloc(1, sizeof(*arena));
        arena_init(arena, 0);
        *state = arena;
        return 0;
}

static int free_arena(void **state)
{
        arena_done(*state);
        free(*state);
        return 0;
}

static void an_answer(void **state)
{
        struct packet p;
        struct mx_set set;
        put_start(&p, 3);
        put_record(&p, 15, 3600, 10, "a.example.com");
        put_record(&p, 16, 1, 0, "text");
        put_record(&p, 15, 60, 20, "b.example.net");
        assert_int_equal(mx_parse(p.bytes, p.len, *state, &set), 0);
        assert_int_equal(set.count, 2);
        assert_string_equal(set.hosts[0].name, "a.example.com");
        assert_int_equal(set.hosts[0].preference, 10);
        assert_string_equal(set.hosts[1].name, "b.example.net");
        assert_int_equal(set.ttl_ms, 60000);
        assert_false(set.is_null);
}

static void null_mx(void **state)
{
        struct packet p;
        struct mx_set set;
        put_start(&p, 1);
        put_record(&p, 15, 3600, 0, "");
        assert_int_equal(mx_parse(p.bytes, p.len, *state, &set), 0);
        assert_true(set.is_null);
}

static void no_answer(void **state)
{
        struct packet p;
        struct mx_set set;
        put_start(&p, 0);
        assert_int_equal(mx_parse(p.bytes, p.len, *state, &set), 0);
        assert_int_equal(set.count, 0);
}

/* Whatever is cut off or wrong: an error or fewer hosts, never a read outside. */
static void broken_packets(void **state)
{
        struct packet p;
        struct mx_set set;
        put_start(&p, 2);
        put_record(&p, 15, 3600, 10, "a.example.com");
        put_record(&p, 15, 3600, 20, "b.example.com");
        for (size_t len = 0; len < p.len; len++) {
                unsigned char *exact = malloc(len ? len : 1);
                memcpy(exact, p.bytes, len);
                assert_int_equal(mx_parse(exact, len, *state, &set), -EBADMSG);
                free(exact);
        }
        for (size_t at = 12; at < p.len; at++) {
                unsigned char kept = p.bytes[at];
                p.bytes[at] = 0xff;
                int rc = mx_parse(p.bytes, p.len, *state, &set);
                assert_true(rc == -EBADMSG || (rc == 0 && set.count <= 2));
                p.bytes[at] = kept;
        }
}

static void more_hosts_than_the_limit(void **state)
{
        struct packet p;
        struct mx_set set;
        put_start(&p, 150);
        for (unsigned i = 0; i < 150; i++)
                put_record(&p, 15, 3600, i, "a.example.com");
        assert_int_equal(mx_parse(p.bytes, p.len, *state, &set), 0);
        assert_int_equal(set.count, MX_HOSTS_MAX);
}

/* ---- order ---- */

static void fill(struct mx_set *set, const char *text)
{
        static struct mx_host hosts[MX_HOSTS_MAX];
        struct str rest = str_from(text);
        struct str word;
        *set = (struct mx_set){.hosts = hosts};
        while (str_next_word(&rest, " ", &word)) {
                struct str name = word;
                struct str number = str_cut(&name, ':');
                int64_t preference;
                assert_int_equal(str_to_int64(number, 0, 65535, &preference), 0);
                struct mx_host *h = &hosts[set->count++];
                h->preference = (int)preference;
                snprintf(h->name, sizeof(h->name), "%.*s", STR_ARG(name));
        }
}

static void orders(void **state)
{
        static const struct {
                const char *set;
                const char *own;
                const char *order; /* NULL: a loop */
        } cases[] = {
                {"", "me.test", ""},
                {"10:a", "me.test", "a "},
                {"30:c 10:a 20:b", "me.test", "a b c "},
                {"20:b 10:a 20:c 10:d", "", "a d b c "},
                {"10:a 20:me.test 30:b", "me.test", "a "},
                {"10:a 20:b 20:ME.test 20:c 5:d", "me.test", "d a "},
                {"10:me.test 20:b", "me.test", NULL},
                {"10:me.test 10:b", "me.test", NULL},
                {"10:a 30:me.test 20:me.test 20:b", "me.test", "a "},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
                struct mx_set set;
                char order[1000] = "";
                fill(&set, cases[i].set);
                int rc = mx_order(&set, str_from(cases[i].own), false);
                assert_int_equal(rc, cases[i].order ? 0 : -ELOOP);
                for (size_t k = 0; k < set.count; k++) {
                        size_t len = strlen(order);
                        snprintf(order + len, sizeof(order) - len, "%s ", set.hosts[k].name);
                }
                assert_string_equal(order, cases[i].order ? cases[i].order : "");
        }
}

/* A2 of the article: four equals get a quarter each; A4: a 20 comes after every 10. */
static void equals_in_random_order(void **state)
{
        enum { ROUNDS = 10000 };
        int first[4] = {0};
        for (int i = 0; i < ROUNDS; i++) {
                struct mx_set set;
                fill(&set, "20:e 10:a 10:b 10:c 10:d");
                assert_int_equal(mx_order(&set, STR("me.test"), true), 0);
                first[set.hosts[0].name[0] - 'a']++;
                assert_string_equal(set.hosts[4].name, "e");
        }
        for (int i = 0; i < 4; i++)
                assert_in_range(first[i], ROUNDS * 23 / 100, ROUNDS * 27 / 100);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(an_answer, make_arena, free_arena),
                cmocka_unit_test_setup_teardown(null_mx, make_arena, free_arena),
                cmocka_unit_test_setup_teardown(no_answer, make_arena, free_arena),
                cmocka_unit_test_setup_teardown(broken_packets, make_arena, free_arena),
                cmocka_unit_test_setup_teardown(more_hosts_than_the_limit, make_arena, free_arena),
                cmocka_unit_test(orders),
                cmocka_unit_test(equals_in_random_order),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
