/*
 * open_relay.c - can a stranger send through us to a stranger?
 *
 * At RCPT every list has a say: one that never lets such a recipient pass is enough. A list is
 * walked from its front: it is closed when something that always refuses a foreign domain
 * (reject_unauth_destination, defer_unauth_destination, reject, defer, defer_if_permit) comes
 * before anything that may permit (permit, or an access table, which may say OK to anything a
 * client claims). Its end permits.
 *
 * permit_mynetworks and its kin permit those who may; that mynetworks is not everybody is looked at
 * too.
 *
 * Not followed: what an access table says now. Tables change while we run, and nothing would look
 * again.
 */
#include "policy/policy_private.h"

/* Where a list lets a stranger pass. */
struct leak {
        bool is_open;
        const struct step *step; /* NULL: the end of the list, or an empty list */
};

enum walk { WALK_ON, WALK_STOPPED, WALK_OPEN };

static enum walk walk_list(const struct step_list *list, struct leak *leak)
{
        for (size_t i = 0; i < list->count; i++) {
                const struct step *step = &list->steps[i];
                enum reach reach = step->restriction->reach;
                enum walk walk = WALK_ON;
                if (reach == REACH_LIST)
                        walk = walk_list(step->list, leak);
                else if (reach == REACH_PERMITS)
                        walk = WALK_OPEN;
                else if (reach == REACH_STOPS)
                        walk = WALK_STOPPED;
                if (walk == WALK_OPEN) {
                        if (reach != REACH_LIST)
                                leak->step = step;
                        return WALK_OPEN;
                }
                if (walk == WALK_STOPPED && !step->is_warning)
                        return WALK_STOPPED;
        }
        return WALK_ON;
}

static struct leak list_leak(const struct step_list *list)
{
        struct leak leak = {0};
        leak.is_open = walk_list(list, &leak) != WALK_STOPPED;
        return leak;
}

/*
 * With smtpd_delay_reject the client, HELO and sender lists are asked at RCPT too, and may know the
 * recipient. Without it only what refuses everybody counts there, which is no way to run a server.
 */
static bool earlier_lists_stop(const struct policy *p)
{
        if (!p->params->smtpd_delay_reject)
                return false;
        return !list_leak(&p->lists[LIST_CLIENT]).is_open ||
               !list_leak(&p->lists[LIST_SENDER]).is_open;
}

static void report(const struct policy *p, struct findings *findings)
{
        const struct step_list *relay = &p->lists[LIST_RELAY];
        const struct step_list *recipient = &p->lists[LIST_RECIPIENT];
        const struct step_list *list = relay->count ? relay : recipient;
        struct leak leak = list_leak(list);
        const char *cure = "put permit_mynetworks, reject_unauth_destination at the front of "
                           "smtpd_recipient_restrictions, or into smtpd_relay_restrictions";
        struct place at = list->at;
        if (list->count == 0)
                findings_add(findings, SEVERITY_ERROR, "open-relay", at, cure,
                             "anybody could send through this server to anybody: neither "
                             "smtpd_relay_restrictions nor smtpd_recipient_restrictions says who "
                             "may");
        else if (leak.step)
                findings_add(findings, SEVERITY_ERROR, "open-relay", leak.step->at, cure,
                             "anybody could send through this server to anybody: in %.*s, "
                             "%s%s%.*s may permit it before anything refuses foreign domains",
                             STR_ARG(list->name), leak.step->restriction->name,
                             leak.step->argument.len ? " " : "", STR_ARG(leak.step->argument));
        else
                findings_add(findings, SEVERITY_ERROR, "open-relay", at, cure,
                             "anybody could send through this server to anybody: %.*s ends "
                             "without refusing foreign domains",
                             STR_ARG(list->name));
}

/* ---- who counts as ours ---- */

enum { IPV4_BITS = 96, WIDE_IPV4_BITS = IPV4_BITS + 8, WIDE_IPV6_BITS = 16 };

static bool is_ipv4(const struct network *n)
{
        static const unsigned char mapped[12] = {[10] = 0xff, [11] = 0xff};
        return n->prefix_bits >= IPV4_BITS && memcmp(n->address, mapped, sizeof(mapped)) == 0;
}

static bool networks_deny_all(const struct networks *n, const struct network *wide)
{
        for (size_t i = 0; i < n->count && &n->items[i].network != wide; i++)
                if (n->items[i].is_negated && n->items[i].network.prefix_bits <= wide->prefix_bits)
                        return true;
        return false;
}

static void report_all(struct findings *findings, struct place at)
{
        findings_add(findings, SEVERITY_ERROR, "open-relay", at,
                     "name only the networks of your own machines",
                     "mynetworks has every address: anybody could send through this server to "
                     "anybody");
}

/* A table cannot be listed, but strangers of all corners can be asked for. */
static void lint_network_table(const struct policy *p, struct place at, struct findings *findings)
{
        static const char *const strangers[] = {"1.1.1.1", "9.9.9.9", "64.4.10.33", "130.59.31.80",
                                                "193.0.14.129"};
        struct arena arena;
        arena_init(&arena, 0);
        size_t count = sizeof(strangers) / sizeof(strangers[0]);
        size_t found = 0;
        for (size_t i = 0; i < count; i++) {
                unsigned char bits[16];
                struct why why;
                if (network_address_parse(str_from(strangers[i]), bits) &&
                    await_networks_find(&p->mynetworks, bits, &arena, &why) == TABLE_FOUND)
                        found++;
        }
        arena_done(&arena);
        if (found == count)
                report_all(findings, at);
}

static void lint_mynetworks(const struct policy *p, struct findings *findings)
{
        struct place at = policy_place(p, "mynetworks", p->params->mynetworks);
        const struct networks *mynetworks = &p->mynetworks;
        if (mynetworks->others) {
                lint_network_table(p, at, findings);
                return;
        }
        for (size_t i = 0; i < mynetworks->count; i++) {
                const struct network *n = &mynetworks->items[i].network;
                if (mynetworks->items[i].is_negated || networks_deny_all(mynetworks, n))
                        continue;
                int least = is_ipv4(n) ? WIDE_IPV4_BITS : WIDE_IPV6_BITS;
                if (n->prefix_bits == 0 || (is_ipv4(n) && n->prefix_bits == IPV4_BITS))
                        report_all(findings, at);
                else if (n->prefix_bits < least)
                        findings_add(findings, SEVERITY_WARNING, "wide-mynetworks", at,
                                     "name only the networks of your own machines",
                                     "mynetworks has a network wider than /%d",
                                     is_ipv4(n) ? 8 : WIDE_IPV6_BITS);
        }
}

/* relay_domains = static:all is an open relay in other words. */
static void lint_relay_domains(const struct policy *p, struct findings *findings)
{
        static const char *const strangers[] = {"a-stranger.example", "another.test",
                                                "third-one.invalid"};
        if (!p->relay_domains)
                return;
        struct arena arena;
        arena_init(&arena, 0);
        size_t count = sizeof(strangers) / sizeof(strangers[0]);
        size_t found = 0;
        for (size_t i = 0; i < count; i++) {
                struct why why;
                found += await_match_list_find(p->relay_domains, str_from(strangers[i]), &arena,
                                               NULL, &why) == TABLE_FOUND;
        }
        arena_done(&arena);
        if (found == count)
                findings_add(findings, SEVERITY_ERROR, "open-relay",
                             policy_place(p, "relay_domains", p->params->relay_domains),
                             "name the domains",
                             "relay_domains has every domain: anybody could send through this "
                             "server to anybody");
}

void policy_lint_open_relay(struct policy *p, struct findings *findings)
{
        const struct step_list *relay = &p->lists[LIST_RELAY];
        const struct step_list *recipient = &p->lists[LIST_RECIPIENT];
        /* with a mistake in it, what it says cannot be told; the mistake stops the start as well */
        bool is_readable = !relay->is_broken && !recipient->is_broken;
        if (is_readable && list_leak(relay).is_open && list_leak(recipient).is_open &&
            !earlier_lists_stop(p))
                report(p, findings);
        lint_mynetworks(p, findings);
        lint_relay_domains(p, findings);
}
