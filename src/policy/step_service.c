/* step_service.c - check_policy_service: what a policy server wants, done as an access table's action */
#include "policy/policy_private.h"

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

enum outcome await_check_policy_service(struct judge *j, const struct step *step)
{
        struct why why;
        struct str action;
        if (await_action(j, step->service, &action, &why) < 0) {
                log_warning("smtpd", "problem talking to policy server: %s", why.text);
                action = step->service->default_action;
        }
        j->key = (struct str){"", 0};
        return await_access_act(j, step, j->subject, action);
}
