/*
 * status_filter.c - smtp_delivery_status_filter and its kin: the administrator says what a result is
 *
 * A table is asked "4.4.1 connect to host: Connection timed out", and what it answers takes the place of code and text.
 * What failed for now may so fail for good, or the other way round; what was delivered stays so, and what was not as well.
 * An answer that is none of this is told in the log, and the result stays as it was; so it does when the table cannot be
 * asked.
 */
#include "base/log.h"
#include "delivery/delivery_private.h"

static void use(const struct delivery_job *job, struct str text, struct delivery_result *r)
{
        if (r->status == DELIVERY_DEFERRED || r->status == DELIVERY_BOUNCED)
                r->status = r->dsn[0] == '5' ? DELIVERY_BOUNCED : DELIVERY_DEFERRED;
        if (text.len == 0 || str_eq(text, r->text))
                return;
        /* what the table makes of a hidden next hop's words may name it */
        if (job->route->is_hidden && r->public.len == 0)
                r->public = STR("the destination's mail system did not take the message");
        else if (!job->route->is_hidden)
                r->public = STR("");
        r->is_reply = r->is_reply && job->route->is_hidden;
        r->text = text;
}

void await_status_filter(const struct delivery_job *job, struct delivery_result *r,
                         char dsn[DSN_BYTES])
{
        struct table_list *filter = job->route->transport->status_filter;
        struct str answer;
        struct why why;
        if (!filter || table_list_is_empty(filter) || r->status == DELIVERY_DISCARDED)
                return;
        struct str key = arena_printf(job->arena, "%s %.*s", r->dsn, STR_ARG(r->text));
        const char *id = job->message ? spool_message_id(job->message) : "verify";
        switch (await_table_list_find(filter, key, job->arena, &answer, &why)) {
        case TABLE_NOT_FOUND:
                return;
        case TABLE_ERROR:
                log_mail(LOG_LEVEL_WARNING, "smtp", id, "delivery status filter: %s", why.text);
                return;
        case TABLE_FOUND:
                break;
        }
        bool is_sent = r->dsn[0] == '2';
        struct str text = answer;
        if (!smtp_enhanced_take(&text, dsn) || (dsn[0] == '2') != is_sent) {
                log_mail(LOG_LEVEL_WARNING, "smtp", id,
                         "delivery status filter: \"%.*s\" is no result that \"%.*s\" can become",
                         STR_ARG(answer), STR_ARG(key));
                return;
        }
        r->dsn = dsn;
        use(job, text, r);
}
