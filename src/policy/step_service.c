/* step_service.c - check_policy_service: what a policy server wants, done as an access table's action */
#include "policy/policy_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "loop/task.h"
#include "policy/service.h"

#include <errno.h>

enum { REQUEST_BYTES_MAX = 64 * 1024 };

static int await_action(struct judge *j, const struct policy_service *service, struct str *action,
                        struct why *why)
{
        if (!task_self())
                return why_set(why, -ENOTCONN, "nothing is asked outside of a session");
        struct buf request;
        buf_init(&request, REQUEST_BYTES_MAX);
        int rc = policy_service_request(service, j->params, j->event, j->facts, &request);
        if (rc < 0)
                why_set(why, rc, "the request would be over %d bytes", (int)REQUEST_BYTES_MAX);
        else
                rc = await_policy_service(service, buf_str(&request), j->arena, action, why);
        buf_done(&request);
        return rc;
}

static void note(const struct judge *j, const struct policy_service *service, const char *result,
                 struct str said, int64_t began_us)
{
        const struct trace_look look = {.kind = "policy",
                                        .table = service->endpoint.text,
                                        .asked = str_from(policy_event_words(j->event, j->facts)),
                                        .said = said,
                                        .result = result,
                                        .took_us = began_us ? clock_mono_us() - began_us : 0};
        trace_look(j->facts->trace, &look);
}

enum outcome await_check_policy_service(struct judge *j, const struct step *step)
{
        struct why why;
        struct str action;
        if (j->facts->is_offline) {
                note(j, step->service, "not asked", STR(""), 0);
                return OUTCOME_DUNNO;
        }
        int64_t began_us = clock_mono_us();
        if (await_action(j, step->service, &action, &why) < 0) {
                log_warning("smtpd", "problem talking to policy server: %s", why.text);
                note(j, step->service, "failed", str_from(why.text), began_us);
                action = step->service->default_action;
        } else {
                note(j, step->service, "answered", action, began_us);
        }
        j->key = (struct str){"", 0};
        return await_access_act(j, step, j->subject, action);
}
