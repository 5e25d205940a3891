/* proxy_filter.c - smtpd_proxy_filter and smtpd_proxy_options: which filter, and how it is served */
#include "session/proxy.h"

#include <errno.h>

/* "10025" and ":10025" are a port of this host */
static struct str whole_name(struct str text, struct arena *arena)
{
        if (str_starts_nocase(text, STR("unix:")))
                return text;
        struct str rest = str_starts_nocase(text, STR("inet:")) ? str_tail(text, 5) : text;
        if (str_find(rest, ':') < 0)
                return arena_printf(arena, "inet:localhost:%.*s", STR_ARG(rest));
        if (rest.ptr[0] == ':')
                return arena_printf(arena, "inet:localhost%.*s", STR_ARG(rest));
        return text;
}

static int parse_options(struct str options, struct proxy_filter *out, struct why *why)
{
        struct str word;
        while (str_next_word(&options, ", \t\r\n", &word)) {
                if (!str_eq_nocase(word, STR("speed_adjust")))
                        return why_set(why, -EINVAL, "\"%.*s\": there is speed_adjust alone",
                                       STR_ARG(str_part(word, 0, 100)));
                out->adjusts_speed = true;
        }
        return 0;
}

int proxy_filter_parse(const struct params *params, struct arena *arena, struct proxy_filter *out,
                       const char **parameter, struct why *why)
{
        *out = (struct proxy_filter){.adjusts_speed = false};
        struct str text = str_trim(params->smtpd_proxy_filter);
        *parameter = "smtpd_proxy_options";
        int rc = parse_options(params->smtpd_proxy_options, out, why);
        if (rc < 0 || str_is_empty(text))
                return rc;
        *parameter = "smtpd_proxy_filter";
        rc = endpoint_parse(whole_name(text, arena), params->queue_directory, arena, &out->endpoint,
                            why);
        if (rc == 0)
                out->endpoint.text = arena_str(arena, text); /* for people: as it is written */
        return rc;
}
