/*
 * client_pix.c - smtp_pix_workarounds: servers behind a firewall that takes SMTP apart
 *
 * Such a one (the "fixup protocol smtp" of old Cisco PIX) covers the greeting with asterisks, and may lose what it does not
 * know (EHLO's extensions), or a final dot that does not stand in one segment with its line ends. So with disable_esmtp
 * we say HELO, and with delay_dotcrlf the dot leaves alone, a while after the text. That is slow, so it is done only for
 * messages that have waited smtp_pix_workaround_threshold_time: others try without first.
 */
#include "delivery/client.h"

#include "base/clock.h"
#include "base/log.h"

/* "220 ********2***0*": nothing is left of it but what such a firewall leaves. */
static bool is_covered(struct str greeting)
{
        for (size_t i = 0; i < greeting.len; i++)
                if (!memchr("20 *\t\n", greeting.ptr[i], 6))
                        return false;
        return true;
}

/* The words for this server, and which parameter has them. */
static struct str await_words(const struct client *c, struct arena *arena, const char **parameter)
{
        const struct transport *t = c->transport;
        struct str found;
        struct why why;
        *parameter = c->is_lmtp ? "lmtp_pix_workarounds" : "smtp_pix_workarounds";
        if (!t->pix_maps)
                return t->params->smtp_pix_workarounds;
        const char *maps = c->is_lmtp ? "lmtp_pix_workaround_maps" : "smtp_pix_workaround_maps";
        enum table_result result =
                await_table_list_find(t->pix_maps, str_from(c->address), arena, &found, &why);
        if (result == TABLE_ERROR) /* Postfix: the same; mail goes, at worst late */
                log_warning("smtp", "%s: %s", maps, why.text);
        if (result != TABLE_FOUND)
                return t->params->smtp_pix_workarounds;
        *parameter = maps;
        return found;
}

void await_client_pix(struct client *c)
{
        struct arena arena;
        struct str word;
        const char *parameter;
        if (c->reader.enhanced[0] || !is_covered(buf_str(&c->reader.text)))
                return;
        arena_init(&arena, 0);
        struct str words = await_words(c, &arena, &parameter);
        while (config_list_next(&words, &word)) {
                if (str_eq_nocase(word, STR("disable_esmtp")))
                        c->is_without_esmtp = true;
                else if (str_eq_nocase(word, STR("delay_dotcrlf")))
                        c->has_late_dot = true;
                else
                        log_warning(
                                "smtp",
                                "%s: \"%.*s\" is no workaround; there are disable_esmtp and delay_dotcrlf",
                                parameter, STR_ARG(str_part(word, 0, 100)));
        }
        if (c->is_without_esmtp || c->has_late_dot)
                log_info("smtp", "enabling PIX workarounds:%s%s for %s",
                         c->is_without_esmtp ? " disable_esmtp" : "",
                         c->has_late_dot ? " delay_dotcrlf" : "", c->relay);
        arena_done(&arena);
}

int await_client_pix_dot(struct client *c, int64_t arrival_us)
{
        const struct params *p = c->transport->params;
        int64_t waited_ms = (clock_wall_us() - arrival_us) / 1000;
        if (!c->has_late_dot || waited_ms < p->smtp_pix_workaround_threshold_time)
                return 0;
        int rc = await_client_text(c);
        return rc < 0 ? rc : await_sleep(p->smtp_pix_workaround_delay_time);
}
