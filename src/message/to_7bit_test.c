/* to_7bit_test.c - what becomes quoted-printable and what stays; in pieces of every size */
#include "message/to_7bit.h"

#include "base/unit.h"

static void converts(const char *from, const char *to)
{
        struct str text = str_from(from);
        for (size_t step = 1; step <= text.len + 1; step++) {
                struct to_7bit t;
                struct buf out;
                to_7bit_init(&t);
                buf_init(&out, 1 << 20);
                struct str rest = text;
                while (rest.len) {
                        struct str piece = str_part(rest, 0, step);
                        rest = str_tail(rest, piece.len);
                        assert_int_equal(to_7bit_feed(&t, piece, false, &out), 0);
                }
                assert_int_equal(to_7bit_feed(&t, STR(""), true, &out), 0);
                assert_str_equal(buf_str(&out), to);
                buf_done(&out);
                to_7bit_done(&t);
        }
}

static void a_single_part(void **state)
{
        converts("Subject: x\r\nContent-Transfer-Encoding: 8bit\r\nMIME-Version: 1.0\r\n\r\n"
                 "gr\xc3\xbc\xc3\x9f=e \r\n.dot\ttab\t\r\nend",
                 "Subject: x\r\nMIME-Version: 1.0\r\n"
                 "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
                 "gr=C3=BC=C3=9F=3De=20\r\n.dot\ttab=09\r\nend");
        /* what says nothing, or is encoded, is left alone */
        converts("Subject: x\r\n\r\ngr\xc3\xbc=\r\n", "Subject: x\r\n\r\ngr\xc3\xbc=\r\n");
        converts("Content-Transfer-Encoding: base64\r\n\r\nAAA=\r\n",
                 "Content-Transfer-Encoding: base64\r\n\r\nAAA=\r\n");
        converts("Content-transfer-encoding:\r\n BINARY (yes)\r\nX: y\r\n\r\n\x01\x7f\r\n",
                 "X: y\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=01=7F\r\n");
}

static void several_parts(void **state)
{
        converts(
                "Content-Type: multipart/mixed; boundary=\"=_b\"\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\n"
                "before=\r\n--=_b\r\nContent-Transfer-Encoding: 8bit\r\n\r\na=\xe4\r\n"
                "--=_b\r\n\r\nb=\r\n"
                "--=_b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                "Content-Transfer-Encoding: 8bit\r\n\r\nc=\r\n--=_b--\r\nafter=\r\n",
                "Content-Type: multipart/mixed; boundary=\"=_b\"\r\n"
                "Content-Transfer-Encoding: 7bit\r\n\r\n"
                "before=\r\n--=_b\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na=3D=E4\r\n"
                "--=_b\r\n\r\nb=\r\n"
                "--=_b\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\nc=3D\r\n--=_b--\r\nafter=\r\n");
}

static void long_lines(void **state)
{
        char from[400] = "Content-Transfer-Encoding: 8bit\r\n\r\n";
        char to[400] = "Content-Transfer-Encoding: quoted-printable\r\n\r\n";
        size_t at = strlen(from);
        memset(from + at, 'x', 75);
        memset(from + at + 75, '\xe4', 2);
        at = strlen(to);
        memset(to + at, 'x', 75);
        memcpy(to + at + 75, "=\r\n=E4=E4", 10);
        converts(from, to);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(a_single_part),
                cmocka_unit_test(several_parts),
                cmocka_unit_test(long_lines),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
