/*
 * agents.c - who delivers for which command, and the three who need no network: error(8), retry, discard(8)
 *
 * The next hop of error and retry is text, with an enhanced status code in front or not: "5.1.2 no such
 * domain". Its class is made to fit: error bounces, retry defers.
 */
#include "base/check.h"
#include "delivery/delivery_private.h"

enum { AGENTS_MAX = 16, COMMAND_BYTES_MAX = 32 };

/* Written before the loops start, read by all of them. */
static struct {
        char command[COMMAND_BYTES_MAX];
        delivery_agent *await_deliver;
} registered[AGENTS_MAX];
static size_t registered_count;

/* "5.1.2" in front of *text, taken off; or X.0.0. The class is made to be `class`. */
static void take_dsn(struct str *text, char class, char out[DSN_BYTES])
{
        if (!smtp_enhanced_take(text, out))
                snprintf(out, DSN_BYTES, "5.0.0");
        out[0] = class;
}

static void deliver_text(struct delivery_job *job, enum delivery_status status, char class,
                         struct str standard)
{
        char dsn[DSN_BYTES];
        struct str text = job->route->nexthop;
        take_dsn(&text, class, dsn);
        struct delivery_result result = {
                .status = status,
                .dsn = dsn,
                .relay = STR("none"),
                .text = text.len ? text : standard,
        };
        attempt_job_result_all(job, &result);
}

static void await_error(struct delivery_job *job)
{
        deliver_text(job, DELIVERY_BOUNCED, '5', STR("mail for this address is not accepted"));
}

static void await_retry(struct delivery_job *job)
{
        deliver_text(job, DELIVERY_DEFERRED, '4', STR("mail for this address has to wait"));
}

static void await_discard(struct delivery_job *job)
{
        deliver_text(job, DELIVERY_DISCARDED, '2', STR("discarded"));
}

static void await_unavailable(struct delivery_job *job)
{
        const char *reason;
        if (transport_command_is_here(job->route->transport->command, &reason))
                reason = "nobody has registered for it";
        struct delivery_result result = {
                .status = DELIVERY_DEFERRED,
                .dsn = "4.3.5",
                .relay = STR("none"),
                .text = arena_printf(job->arena, "transport %.*s: %s",
                                     STR_ARG(job->route->transport->name), reason),
                .public = STR("mail system configuration error"),
        };
        attempt_job_result_all(job, &result);
}

void delivery_agent_register(const char *command, delivery_agent *await_deliver)
{
        check(registered_count < AGENTS_MAX && strlen(command) < COMMAND_BYTES_MAX);
        snprintf(registered[registered_count].command, COMMAND_BYTES_MAX, "%s", command);
        registered[registered_count++].await_deliver = await_deliver;
}

delivery_agent *agent_find(struct str command)
{
        static const struct {
                struct str command;
                delivery_agent *await_deliver;
        } own[] = {
                {STR_INIT("smtp"), await_smtp_deliver}, {STR_INIT("lmtp"), await_smtp_deliver},
                {STR_INIT("error"), await_error},       {STR_INIT("retry"), await_retry},
                {STR_INIT("discard"), await_discard},
        };
        for (size_t i = 0; i < registered_count; i++)
                if (str_eq(command, str_from(registered[i].command)))
                        return registered[i].await_deliver;
        for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++)
                if (str_eq(command, own[i].command))
                        return own[i].await_deliver;
        return await_unavailable;
}
