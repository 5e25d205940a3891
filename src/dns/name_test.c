/* name_test.c - names as we ask for them, and those of addresses */
#include "dns/dns_private.h"

#include "base/unit.h"

#include <stdio.h>

static const char *normal(const char *name)
{
        static char out[DNS_NAME_BYTES_MAX + 1];
        size_t len;
        if (!name_normalize(str_from(name), out, &len))
                return "(none)";
        out[len] = '\0';
        return out;
}

static void one_way_to_write_a_name(void **state)
{
        static const struct {
                const char *from;
                const char *to;
        } cases[] = {
                {"Example.COM", "example.com"},
                {"example.com.", "example.com"},
                {".", ""},
                {"", ""},
                {"_25._tcp.mx.example", "_25._tcp.mx.example"},
                {"a\\046b.example", "a\\.b.example"},
                {"a\\.b.example", "a\\.b.example"},
                {"b\xc3\xbc"
                 "cher.example",
                 "xn--bcher-kva.example"},
                {"B\xc3\x9c"
                 "CHER.example",
                 "xn--bcher-kva.example"},
                {"xn--bcher-kva.example", "xn--bcher-kva.example"},
                {"\xe4\xbe\x8b\xe3\x81\x88.\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
                 "xn--r8jz45g.xn--zckzah"},
                /* no names */
                {"a..b", "(none)"},
                {"..", "(none)"},
                {".a", "(none)"},
                {"a b", "(none)"},
                {"a\tb", "(none)"},
                {"a\\", "(none)"},
                {"a\\25", "(none)"},
                {"a\\256", "(none)"},
                {"\xff\xfe.example", "(none)"},
        };
        for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
                assert_string_equal(normal(cases[i].from), cases[i].to);
}

static void limits_of_a_name(void **state)
{
        char label63[64];
        char label64[65];
        memset(label63, 'a', 63);
        memset(label64, 'a', 64);
        label63[63] = label64[64] = '\0';
        assert_string_equal(normal(label63), label63);
        assert_string_equal(normal(label64), "(none)");

        /* 253 bytes are the most that 255 bytes on the wire can hold */
        char name[300];
        snprintf(name, sizeof(name), "%s.%s.%s.%.61s", label63, label63, label63, label63);
        assert_int_equal(strlen(name), 253);
        assert_string_equal(normal(name), name);
        snprintf(name, sizeof(name), "%s.%s.%s.%.62s", label63, label63, label63, label63);
        assert_string_equal(normal(name), "(none)");
        char out[DNS_NAME_BYTES_MAX];
        size_t len;
        assert_false(name_normalize(str_make("a\0b", 3), out, &len));
        static char huge[100000];
        memset(huge, 'x', sizeof(huge) - 1);
        assert_string_equal(normal(huge), "(none)");
        memset(huge, '\xc3', sizeof(huge) - 1);
        assert_string_equal(normal(huge), "(none)");
}

static void on_the_wire(void **state)
{
        unsigned char wire[WIRE_NAME_BYTES_MAX];
        assert_int_equal(name_to_wire(STR("a.bc"), wire), 6);
        assert_memory_equal(wire, "\1a\2bc", 6);
        assert_int_equal(name_to_wire(STR(""), wire), 1);
        assert_int_equal(name_to_wire(STR("a\\.b"), wire), 5);
        assert_memory_equal(wire, "\3a.b", 5);
}

static int read_at(const char *bytes, size_t len, size_t at, size_t *end, char *out)
{
        *end = at;
        return name_read((struct wire_bytes){(const unsigned char *)bytes, len}, end, out);
}

static void compressed_names_end(void **state)
{
        static const char packet[] = "\1a\2BC\0\1x\xc0\0\xc0\7\xc0\13\xc0\20";
        char out[DNS_NAME_BYTES_MAX];
        size_t end;
        assert_int_equal(read_at(packet, sizeof(packet) - 1, 0, &end, out), 4);
        assert_memory_equal(out, "a.bc", 4);
        assert_int_equal(end, 6);
        assert_int_equal(read_at(packet, sizeof(packet) - 1, 6, &end, out), 6);
        assert_memory_equal(out, "x.a.bc", 6);
        assert_int_equal(end, 10);
        /* into the middle of a label's length and its bytes: nonsense, but it ends */
        assert_true(read_at(packet, sizeof(packet) - 1, 10, &end, out) >= -1);
        /* to itself, forward, and out of the packet */
        assert_int_equal(read_at("\xc0\0", 2, 0, &end, out), -1);
        assert_int_equal(read_at("\0\xc0\2\0", 4, 1, &end, out), -1);
        assert_int_equal(read_at("\xff\xff", 2, 0, &end, out), -1);
        assert_int_equal(read_at("\xc0", 1, 0, &end, out), -1);
        assert_int_equal(read_at("\5ab", 3, 0, &end, out), -1);
        assert_int_equal(read_at("\x41", 1, 0, &end, out), -1);
        assert_int_equal(read_at("", 0, 0, &end, out), -1);
}

static void names_of_addresses(void **state)
{
        static const unsigned char v4[16] = {[10] = 0xff, 0xff, 192, 0, 2, 99};
        static const unsigned char v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 0x1f};
        char out[DNS_NAME_BYTES_MAX];
        assert_str_equal(dns_reverse(v4, STR("in-addr.arpa"), out), "99.2.0.192.in-addr.arpa");
        assert_str_equal(dns_reverse(v4, STR(""), out), "99.2.0.192");
        assert_str_equal(dns_reverse(v6, STR("ip6.arpa"), out),
                         "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2."
                         "ip6.arpa");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(one_way_to_write_a_name),
                cmocka_unit_test(limits_of_a_name),
                cmocka_unit_test(on_the_wire),
                cmocka_unit_test(compressed_names_end),
                cmocka_unit_test(names_of_addresses),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
