/* mime_fuzz.c - a message taken apart: nothing lost, nothing doubled, the same in pieces of any size */
#include "fuzz.h"

#include "message/mime.h"

enum { UNITS_MAX = 4096 };

struct seen {
        enum mime_kind kind;
        size_t bytes;
        unsigned faults;
};

static size_t take_apart(const struct mime_limits *limits, struct str in, size_t step,
                         struct seen *out)
{
        struct mime m;
        struct mime_unit unit;
        struct str rest = str_part(in, 0, 0);
        const char *expected = in.ptr;
        size_t given = 0;
        size_t count = 0;
        bool is_all = false;
        mime_init(&m, limits);
        while (!is_all) {
                is_all = given == in.len;
                size_t more = in.len - given < step ? in.len - given : step;
                rest = str_make(in.ptr + given - rest.len, rest.len + more);
                given += more;
                while (mime_next(&m, &rest, is_all, &unit)) {
                        check(unit.raw.len == 0 || unit.raw.ptr == expected);
                        expected += unit.raw.len;
                        check(unit.raw.len <= limits->field_bytes_max ||
                              unit.raw.len <= m.limits.line_bytes_max);
                        check(m.depth <= limits->nesting_max);
                        if (unit.kind <= MIME_NESTED_FIELD)
                                check(unit.field.name.len && unit.field.raw.len <= unit.raw.len);
                        /* the rest of a field comes as it comes */
                        bool goes_on = unit.kind == MIME_FIELD_REST && count &&
                                       out[count - 1].kind == MIME_FIELD_REST;
                        if (goes_on) {
                                out[count - 1].bytes += unit.raw.len;
                                out[count - 1].faults |= unit.faults;
                        } else if (count < UNITS_MAX) {
                                out[count++] = (struct seen){unit.kind, unit.raw.len, unit.faults};
                        }
                }
                check(is_all || rest.len <= limits->field_bytes_max + m.limits.line_bytes_max);
        }
        check(rest.len == 0 && expected == in.ptr + in.len);
        mime_done(&m);
        return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        static struct seen whole[UNITS_MAX], pieces[UNITS_MAX];
        struct str in = fuzz_str(data, size);
        struct mime_limits limits = {
                .field_bytes_max = 1 + fuzz_byte(&in),
                .line_bytes_max = 1 + fuzz_byte(&in),
                .boundary_bytes_max = 1 + fuzz_byte(&in) % 8,
                .nesting_max = fuzz_byte(&in) % 4,
                .is_one_body = fuzz_byte(&in) == 1,
        };
        size_t step = 1 + fuzz_byte(&in);
        size_t count = take_apart(&limits, in, in.len ? in.len : 1, whole);
        check(take_apart(&limits, in, step, pieces) == count);
        for (size_t i = 0; i < count; i++)
                check(whole[i].kind == pieces[i].kind && whole[i].bytes == pieces[i].bytes &&
                      whole[i].faults == pieces[i].faults);
        return 0;
}
