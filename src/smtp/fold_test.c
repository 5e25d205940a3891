/* fold_test.c - every text, at every split, against one that counts bytes */
#include "base/unit.h"

#include "smtp/fold.h"

#include <string.h>

static char folded[4096];

static const char *fold(const char *text, size_t bytes_max, size_t piece_bytes)
{
        struct line_fold f = {.bytes_max = bytes_max};
        size_t len = 0;
        size_t left = strlen(text);
        while (left) {
                struct str piece = str_make(text, left < piece_bytes ? left : piece_bytes);
                text += piece.len;
                left -= piece.len;
                while (piece.len) {
                        size_t fits = line_fold_fits(&f, piece);
                        memcpy(folded + len, piece.ptr, fits);
                        len += fits;
                        piece = str_tail(piece, fits);
                        if (piece.len) {
                                memcpy(folded + len, LINE_FOLD, strlen(LINE_FOLD));
                                len += strlen(LINE_FOLD);
                        }
                }
        }
        folded[len] = '\0';
        return folded;
}

static void lines_are_broken(void **state)
{
        static const struct {
                size_t bytes_max;
                const char *text, *expected;
        } rows[] = {
                {0, "123456789\r\n", "123456789\r\n"},
                {4, "", ""},
                {4, "1234\r\n1234\r\n", "1234\r\n1234\r\n"},
                {4, "12345\r\n", "1234\r\n 5\r\n"},
                {4, "12345678901", "1234\r\n 567\r\n 890\r\n 1"},
                {4, "1234567\r\n\r\n12345\r\n", "1234\r\n 567\r\n\r\n1234\r\n 5\r\n"},
                {2, "12345", "12\r\n 3\r\n 4\r\n 5"},
                {1, "123", "12\r\n 3"},
        };
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
                for (size_t piece = 1; piece <= strlen(rows[i].text) + 1; piece++)
                        assert_string_equal(fold(rows[i].text, rows[i].bytes_max, piece),
                                            rows[i].expected);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(lines_are_broken),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
