/*
 * table_reply_fuzz.c - what servers of socketmap: and tcp: tables answer, cut into any pieces
 *
 * Only "OK" and "200" find something, only "NOTFOUND", "OK" and "500" say that there is nothing; all else
 * is trouble. What is found has no NUL byte, and no more bytes than the reply.
 */
#include "fuzz.h"

#include "table/wire_table.h"

#include <errno.h>

static void check_reply(struct server_reply *reply, struct str in, bool may_find, bool may_deny)
{
        if (reply->outcome == SERVER_ANSWERED) {
                check(reply->is_found ? may_find : may_deny);
                check(reply->value.len <= in.len);
                check(!reply->value.len || !memchr(reply->value.ptr, '\0', reply->value.len));
        } else {
                check(!reply->is_found);
                check(reply->why.text[0]);
                check(!fuzz_has_control(str_from(reply->why.text)));
        }
        buf_done(&reply->value);
}

static void reply_init(struct server_reply *reply)
{
        *reply = (struct server_reply){.outcome = SERVER_FAILED};
        buf_init(&reply->value, 1 << 20);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        struct server_reply reply;
        struct str payload = STR("");
        size_t used = 0;
        int rc = netstring_parse(in, SOCKETMAP_REPLY_MAX, &payload, &used);
        check(rc == 0 || rc == -EAGAIN || rc == -EBADMSG || rc == -EMSGSIZE);
        if (rc == 0) {
                check(used <= in.len && payload.len < used);
                /* with less of it there it was never another answer */
                for (size_t less = 0; less < used; less += 1 + less / 8) {
                        struct str part;
                        size_t part_used;
                        check(netstring_parse(str_part(in, 0, less), SOCKETMAP_REPLY_MAX, &part,
                                              &part_used) == -EAGAIN);
                }
                reply_init(&reply);
                socketmap_reply_parse(payload, &reply);
                bool is_ok = str_starts(payload, STR("OK"));
                check_reply(&reply, payload, is_ok, is_ok || str_starts(payload, STR("NOTFOUND")));
        }
        reply_init(&reply);
        tcp_reply_parse(in, &reply);
        check_reply(&reply, in, str_starts(in, STR("200 ")),
                    str_starts(in, STR("500 ")) || str_eq(in, STR("200 ")));
        return 0;
}
