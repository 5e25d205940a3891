/* lint_proxy.c - a filter in front of the queue: what is not done with its mail, and does it come back? */
#include "config/config_private.h"

static bool is_filtered(const struct service *service)
{
        return !str_is_empty(str_trim(service->params.smtpd_proxy_filter));
}

static bool takes_mail(const struct service *service)
{
        return service->is_inet && (str_eq(service->command, STR("smtpd")) ||
                                    str_eq(service->command, STR("postscreen")));
}

void lint_proxy_filters(struct lint *l)
{
        const struct service *one = NULL;
        bool is_open = false; /* some listener takes mail without the filter */
        for (size_t i = 0; i < l->config->service_count; i++) {
                const struct service *service = &l->config->services[i];
                if (!takes_mail(service))
                        continue;
                if (!is_filtered(service)) {
                        is_open = true;
                        continue;
                }
                one = service;
                findings_add(
                        l->findings, SEVERITY_NOTE, "proxy-filter",
                        config_place(l->config, "smtpd_proxy_filter"), NULL,
                        "the filter at %.*s answers for mail to service %.*s: what is done with "
                        "messages (header_checks, aliases, copies, HOLD) is done where the filter "
                        "brings them back, and smtpd_milters see no text",
                        STR_ARG(str_trim(service->params.smtpd_proxy_filter)),
                        STR_ARG(service->name));
        }
        if (one && !is_open)
                findings_add(l->findings, SEVERITY_WARNING, "proxy-filter-everywhere",
                             config_place(l->config, "smtpd_proxy_filter"),
                             "have a listener for it in master.cf with -o smtpd_proxy_filter=",
                             "each listener passes its mail to the filter: what it sends back here "
                             "goes round in a circle");
}
