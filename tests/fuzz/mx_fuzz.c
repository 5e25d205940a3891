/* mx_fuzz.c - a DNS answer about MX records, and their order */
#include "fuzz.h"

#include "delivery/host.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct arena arena;
        struct mx_set set;
        arena_init(&arena, 0);
        int rc = mx_parse(data, size, &arena, &set);
        check(rc == 0 || rc == -EBADMSG);
        if (rc == 0) {
                check(set.count <= MX_HOSTS_MAX);
                check(!set.is_null || set.count == 1);
                for (size_t i = 0; i < set.count; i++) {
                        check(memchr(set.hosts[i].name, '\0', MX_NAME_BYTES_MAX));
                        check(set.hosts[i].preference >= 0 && set.hosts[i].preference <= 65535);
                }
                size_t before = set.count;
                int ordered = mx_order(&set, STR("a.example.com"), true);
                check(ordered == 0 || (ordered == -ELOOP && before && !set.count));
                for (size_t i = 1; i < set.count; i++)
                        check(set.hosts[i - 1].preference <= set.hosts[i].preference);
        }
        arena_done(&arena);
        return 0;
}
