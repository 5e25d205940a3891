/* lint_balancer.c - who may say, by a PROXY header or XCLIENT, that a connection comes from somebody else? */
#include "config/config_private.h"

static bool is_everybody(struct str networks)
{
        static const struct str all[] = {STR_INIT("0.0.0.0/0"), STR_INIT("::/0"),
                                         STR_INIT("[::]/0"), STR_INIT("static:all")};
        struct str item;
        while (config_list_next(&networks, &item))
                for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
                        if (str_eq(item, all[i]))
                                return true;
        return false;
}

void lint_balancers(struct lint *l, const struct service *service)
{
        const struct params *p = l->params;
        bool is_postscreen = str_eq(service->command, STR("postscreen"));
        bool is_on = is_postscreen ? p->postscreen_upstream_proxy_protocol
                                   : p->smtpd_upstream_proxy_protocol;
        if (is_on && is_everybody(p->smtpd_upstream_proxy_networks))
                findings_add(l->findings, SEVERITY_WARNING, "proxy-from-anywhere",
                             config_place(l->config, is_postscreen
                                                             ? "postscreen_upstream_proxy_protocol"
                                                             : "smtpd_upstream_proxy_protocol"),
                             "set smtpd_upstream_proxy_networks to the balancers' addresses",
                             "whoever reaches service %.*s can claim any client address, those in "
                             "mynetworks included",
                             STR_ARG(service->name));
        if (is_everybody(p->smtpd_authorized_xclient_hosts))
                findings_add(l->findings, SEVERITY_WARNING, "xclient-from-anywhere",
                             config_place(l->config, "smtpd_authorized_xclient_hosts"),
                             "name the proxies that need it, or remove it",
                             "smtpd_authorized_xclient_hosts: strangers can claim any client "
                             "address, those in mynetworks included");
}
