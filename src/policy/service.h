/*
 * service.h - the policy delegation protocol (SMTPD_POLICY_README): attributes out, one action back
 *
 * A request is lines "name=value" and an empty line; so is the reply, of which the line "action=..." counts. Connections
 * are kept by each loop and used again.
 *
 * Limits: a line of a reply SERVICE_LINE_BYTES_MAX, SERVICE_LINES_MAX lines; SERVICE_IDLE_MAX idle connections to
 * one server on a loop.
 *
 * Not here: what an action does (access.c).
 */
#ifndef POLICY_SERVICE_H
#define POLICY_SERVICE_H

#include "policy/policy.h"
#include "wire/endpoint.h"

enum { SERVICE_LINE_BYTES_MAX = 8192, SERVICE_LINES_MAX = 100, SERVICE_IDLE_MAX = 32 };

/* check_policy_service with its options: an argument of main.cf, immutable. */
struct policy_service {
        struct endpoint endpoint;
        int64_t timeout_ms, max_idle_ms, max_ttl_ms, retry_delay_ms;
        int64_t request_limit; /* of one connection; 0: none */
        int64_t try_limit;
        struct str default_action;
        struct str policy_context;
};

/*
 * "inet:host:port", "unix:path", or "{ server, timeout=10s, default_action=DUNNO }"; what is not said comes
 * from `params`. 0, or -EINVAL with *why.
 */
int policy_service_parse(struct str text, const struct params *params, struct arena *arena,
                         struct policy_service *out, struct why *why);

/* ---- requests and replies: pure ---- */

/* All attributes of Postfix 3.9, with the empty line. 0 or -ENOBUFS. */
int policy_service_request(const struct policy_service *service, const struct params *params,
                           enum policy_event event, const struct policy_facts *facts,
                           struct buf *out);

struct policy_reply {
        size_t lines;
        bool has_action;
        struct str action; /* in the arena */
};
enum policy_reply_state { POLICY_REPLY_MORE, POLICY_REPLY_DONE, POLICY_REPLY_BAD };
/* The next line of a reply, without its end. BAD with *why. Control characters of an action become '?'. */
enum policy_reply_state policy_reply_line(struct policy_reply *r, struct str line,
                                          struct arena *arena, struct why *why);

/* ---- asking ---- */

/* 0 with *action, or a negative errno value with *why after all tries. */
int await_policy_service(const struct policy_service *service, struct str request,
                         struct arena *arena, struct str *action, struct why *why);
/* This thread's loop ends: closes the connections that it keeps. On its own thread. */
void policy_leave_loop(void);

#endif
