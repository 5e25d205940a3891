/* nexthop_fuzz.c - a list of next hops, as a table or main.cf has it */
#include "fuzz.h"

#include "delivery/route.h"

#include <errno.h>

static void check_host(struct str host)
{
        check(host.len >= 1 && host.len <= 255 && !fuzz_has_control(host));
        for (size_t i = 0; i < host.len; i++)
                check(!strchr(" []<>,", host.ptr[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str list = fuzz_str(data, size);
        struct str text;
        struct nexthop hop;
        while (nexthop_next(&list, &text)) {
                check(text.len > 0);
                int rc = nexthop_parse(text, 25, &hop);
                check(rc == 0 || rc == -EINVAL);
                if (rc == 0) {
                        check_host(hop.host);
                        check(hop.port > 0 && hop.wants_mx == (text.ptr[0] != '['));
                }
        }
        return 0;
}
