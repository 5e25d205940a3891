/* policy_reply_fuzz.c - what a policy server says, line by line, and what check_policy_service may be given */
#include "fuzz.h"

#include "policy/service.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        struct params params = {.smtpd_policy_service_timeout = 1};
        struct policy_reply reply = {.lines = 0};
        struct policy_service service;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        unsigned choice = fuzz_byte(&in);
        if (choice & 1) {
                if (policy_service_parse(in, &params, &arena, &service, &why) == 0)
                        check(service.timeout_ms > 0 && service.try_limit >= 0 &&
                              (service.endpoint.path.len > 0) == (service.endpoint.host.len == 0));
        } else {
                enum policy_reply_state state = POLICY_REPLY_MORE;
                for (size_t lines = 0; state == POLICY_REPLY_MORE && in.len; lines++) {
                        struct str line = str_cut(&in, '\n');
                        state = policy_reply_line(&reply, line, &arena, &why);
                        check(lines <= SERVICE_LINES_MAX);
                }
                check(state != POLICY_REPLY_DONE || reply.has_action);
                for (size_t i = 0; i < reply.action.len; i++)
                        check((unsigned char)reply.action.ptr[i] >= ' ' ||
                              reply.action.ptr[i] == '\t');
        }
        arena_done(&arena);
        return 0;
}
