/* proxy_header_test.c - the examples of HAProxy's specification, and what it forbids; whole and in pieces */
#include "wire/proxy_header.h"

#include "base/crc32c.h"
#include "base/unit.h"

#include <errno.h>
#include <sys/socket.h>

/* The result for a header that comes in pieces of `step` bytes; *rest is what was left. */
static int feed(struct str bytes, size_t step, struct proxy_header *out, struct str *rest,
                struct why *why)
{
        struct proxy_reader r;
        int rc = 0;
        why->text[0] = 0;
        proxy_reader_init(&r);
        *rest = bytes;
        while (rc == 0 && rest->len) {
                struct str piece = str_part(*rest, 0, step);
                size_t len = piece.len;
                rc = proxy_reader_feed(&r, &piece, out, why);
                *rest = str_tail(*rest, len - piece.len);
        }
        proxy_reader_done(&r);
        return rc;
}

static int feed_all_ways(struct str bytes, struct proxy_header *out, struct str *rest,
                         struct why *why)
{
        int first = feed(bytes, bytes.len, out, rest, why);
        for (size_t step = 1; step < 20; step += 3) {
                struct str again;
                struct proxy_header h;
                assert_int_equal(feed(bytes, step, &h, &again, why), first);
                if (first > 0) {
                        assert_int_equal(again.len, rest->len);
                        assert_memory_equal(&h, out, sizeof(h));
                }
        }
        return first;
}

static struct proxy_header good(struct str bytes, const char *rest_wanted)
{
        struct proxy_header h;
        struct str rest;
        struct why why;
        int rc = feed_all_ways(bytes, &h, &rest, &why);
        if (rc != 1)
                fail_msg("%.*s: %d %s", STR_ARG(bytes), rc, why.text);
        assert_str_equal(rest, rest_wanted);
        return h;
}

static void bad(struct str bytes, const char *reason)
{
        struct proxy_header h;
        struct str rest;
        struct why why;
        assert_int_equal(feed_all_ways(bytes, &h, &rest, &why), -EBADMSG);
        if (!strstr(why.text, reason))
                fail_msg("\"%s\" is not in \"%s\"", reason, why.text);
}

/* ---- version 1 ---- */

static void test_v1(void **state)
{
        struct proxy_header h =
                good(STR("PROXY TCP4 192.0.2.7 198.51.100.1 65535 25\r\nEHLO a\r\n"), "EHLO a\r\n");
        assert_int_equal(h.version, 1);
        assert_int_equal(h.origin, PROXY_FROM_CLIENT);
        assert_string_equal(h.source.text, "192.0.2.7");
        assert_string_equal(h.destination.text, "198.51.100.1");
        assert_int_equal(h.source.port, 65535);
        assert_int_equal(h.destination.port, 25);
        assert_int_equal(h.source.family, AF_INET);
        h = good(STR("PROXY TCP6 2001:DB8::7 ::1 0 25\r\n"), "");
        assert_string_equal(h.source.text, "2001:db8::7");
        assert_int_equal(h.source.family, AF_INET6);
        h = good(STR("PROXY TCP6 ::ffff:c000:207 ::1 1 25\r\n"), "");
        assert_string_equal(h.source.text, "192.0.2.7");
        assert_int_equal(h.source.family, AF_INET);
        /* the longest that the specification has */
        h = good(STR("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                     "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
                 "");
        assert_int_equal(h.origin, PROXY_FROM_UNKNOWN);
        assert_int_equal(good(STR("PROXY UNKNOWN\r\nx"), "x").origin, PROXY_FROM_UNKNOWN);
        assert_int_equal(good(STR("PROXY UNKNOWN any thing\r\n"), "").origin, PROXY_FROM_UNKNOWN);
}

static void test_v1_strict(void **state)
{
        bad(STR("EHLO a\r\n"), "does not begin with");
        bad(STR("PROXX TCP4"), "does not begin with");
        bad(STR("proxy TCP4"), "does not begin with");
        bad(STR("PROXY\r\n"), "does not begin with");
        bad(STR("PROXY \r\n"), "protocol");
        bad(STR("PROXY UDP4 192.0.2.7 192.0.2.8 1 2\r\n"), "protocol");
        bad(STR("PROXY UNKNOWNX\r\n"), "protocol");
        bad(STR("PROXY  TCP4 192.0.2.7 192.0.2.8 1 2\r\n"), "protocol");
        bad(STR("PROXY tcp4 192.0.2.7 192.0.2.8 1 2\r\n"), "protocol");
        bad(STR("PROXY TCP4 192.0.2.7  192.0.2.8 1 2\r\n"), "address");
        bad(STR("PROXY TCP4 192.0.2.07 192.0.2.8 1 2\r\n"), "address");
        bad(STR("PROXY TCP4 192.0.2 192.0.2.8 1 2\r\n"), "address");
        bad(STR("PROXY TCP4 2001:db8::1 192.0.2.8 1 2\r\n"), "address");
        bad(STR("PROXY TCP6 192.0.2.7 ::1 1 2\r\n"), "address");
        bad(STR("PROXY TCP6 ::192.0.2.7 ::1 1 2\r\n"), "address");
        bad(STR("PROXY TCP6 fe80::1%lo ::1 1 2\r\n"), "address");
        bad(STR("PROXY TCP4 192.0.2.7\0 192.0.2.8 1 2\r\n"), "address");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 65536 2\r\n"), "port");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 01 2\r\n"), "port");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 +1 2\r\n"), "port");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 1\r\n"), "port");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 1 \r\n"), "port");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 1 2 \r\n"), "more");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 1 2 3\r\n"), "more");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 1 2\n"), "CR LF");
        bad(STR("PROXY TCP4 192.0.2.7 192.0.2.8 1\r2\r\n"), "CR LF");
        char line[PROXY_V1_BYTES_MAX + 2] = "PROXY UNKNOWN ";
        memset(line + 14, 'x', PROXY_V1_BYTES_MAX - 16);
        memcpy(line + PROXY_V1_BYTES_MAX - 2, "\r\n", 3);
        good(str_from(line), "");
        memcpy(line + PROXY_V1_BYTES_MAX - 2, "x\r\n", 4);
        bad(str_from(line), "too long");
}

/* ---- version 2 ---- */

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define INET4     "\xc0\x00\x02\x07\xc6\x33\x64\x01\x04\x00\x00\x19"

static void test_v2(void **state)
{
        struct proxy_header h = good(STR(SIGNATURE "\x21\x11\0\x0c" INET4 "EHLO"), "EHLO");
        assert_int_equal(h.version, 2);
        assert_int_equal(h.origin, PROXY_FROM_CLIENT);
        assert_string_equal(h.source.text, "192.0.2.7");
        assert_string_equal(h.destination.text, "198.51.100.1");
        assert_int_equal(h.source.port, 1024);
        assert_int_equal(h.destination.port, 25);
        char v6[16 + 36] = SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8";
        v6[31] = 7;
        v6[16 + 34 - 1] = 1;
        h = good(str_make(v6, sizeof(v6)), "");
        assert_string_equal(h.source.text, "2001:db8::7");
        assert_int_equal(h.source.port, 1);
        /* a health check, with or without rubbish behind it */
        assert_int_equal(good(STR(SIGNATURE "\x20\0\0\0x"), "x").origin, PROXY_FROM_BALANCER);
        h = good(STR(SIGNATURE "\x20\x11\0\x03\xff\xff\xff"), "");
        assert_int_equal(h.origin, PROXY_FROM_BALANCER);
        assert_string_equal(h.source.text, "");
        assert_int_equal(good(STR(SIGNATURE "\x21\0\0\x02zz"), "").origin, PROXY_FROM_UNKNOWN);
        char local[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/balancer";
        assert_int_equal(good(str_make(local, sizeof(local)), "").origin, PROXY_FROM_UNKNOWN);
}

static void test_v2_strict(void **state)
{
        bad(STR("\r\n\r\n\0\r\nQUIT\r"), "does not begin with");
        bad(STR(SIGNATURE "\x11\x11\0\x0c" INET4), "version 1");
        bad(STR(SIGNATURE "\x31\x11\0\x0c" INET4), "version 3");
        bad(STR(SIGNATURE "\x22\x11\0\x0c" INET4), "command 2");
        bad(STR(SIGNATURE "\x21\x41\0\x0c" INET4), "family 0x41");
        bad(STR(SIGNATURE "\x21\x10\0\x0c" INET4), "family 0x10");
        bad(STR(SIGNATURE "\x21\x01\0\x0c" INET4), "family 0x01");
        bad(STR(SIGNATURE "\x21\x13\0\x0c" INET4), "family 0x13");
        bad(STR(SIGNATURE "\x21\x12\0\x0c" INET4), "datagrams");
        bad(STR(SIGNATURE "\x21\x11\0\x0b\xc0\x00\x02\x07\xc6\x33\x64\x01\x04\x00\x00"),
            "too short");
        bad(STR(SIGNATURE "\x21\x21\0\x0c" INET4), "too short");
        bad(STR(SIGNATURE "\x21\x11\x40\x00"), "longer than");
}

static void test_tlvs(void **state)
{
        struct proxy_header h = good(STR(SIGNATURE "\x21\x11\0\x23" INET4 "\x01\0\x04smtp\x04\0\0"
                                                   "\x20\0\x0a\x05\0\0\0\0\x21\0\x02v3xx"),
                                     "xx");
        assert_true(h.had_tls);
        bad(STR(SIGNATURE "\x21\x11\0\x0e" INET4 "\x04\0"), "reaches over");
        bad(STR(SIGNATURE "\x21\x11\0\x10" INET4 "\x04\0\x02x"), "reaches over");
        bad(STR(SIGNATURE "\x21\x11\0\x13" INET4 "\x20\0\x04\x01\0\0\0"), "TLS");
        bad(STR(SIGNATURE "\x21\x11\0\x18" INET4 "\x20\0\x09\x01\0\0\0\0\x21\0\x02v"), "TLS");
        char big[16 + 12 + 3 + 129] = SIGNATURE "\x21\x11\0\x90" INET4 "\x05\0\x81";
        bad(str_make(big, sizeof(big)), "unique id");
}

static void test_checksum(void **state)
{
        char all[] = SIGNATURE "\x21\x11\0\x17" INET4 "\x03\0\x04\0\0\0\0\x05\0\x01q";
        size_t len = sizeof(all) - 1;
        uint32_t crc = crc32c(0, all, len);
        for (int i = 0; i < 4; i++)
                all[16 + 12 + 3 + i] = (char)(crc >> (24 - 8 * i));
        assert_true(good(str_make(all, len), "").had_crc);
        for (size_t i = 16; i < len; i++) {
                if (i >= 28 && i < 31)
                        continue; /* type and length of the checksum itself */
                all[i] ^= 1;
                struct proxy_header h;
                struct str rest;
                struct why why;
                assert_int_equal(feed(str_make(all, len), len, &h, &rest, &why), -EBADMSG);
                all[i] ^= 1;
        }
        bad(STR(SIGNATURE "\x21\x11\0\x12" INET4 "\x03\0\x03xyz"), "checksum");
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_v1),   cmocka_unit_test(test_v1_strict),
                cmocka_unit_test(test_v2),   cmocka_unit_test(test_v2_strict),
                cmocka_unit_test(test_tlvs), cmocka_unit_test(test_checksum),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
