/*
 * dead_lists.c - block lists that ended, and names that must not be shown
 *
 * From the operators' announcements. A dead list is not harmless: each mail waits for servers that are gone,
 * and where the domain was sold, or the operator wanted the questions to stop, every address is "listed".
 */
#include "config/dead_lists.h"

static const struct dead_list dead_lists[] = {
        {"abuseat.org", "2021", "it lives on in xbl.spamhaus.org"},
        {"ahbl.org", "January 2015", "it lists every address"},
        {"blitzed.org", "May 2006", NULL},
        {"dnsbl.inps.de", "May 2020", NULL},
        {"dsbl.org", "May 2008", "it listed every address from August 2012"},
        {"emailbasura.org", "2019", "its domain was sold, and lists every address"},
        {"ix.dnsbl.manitu.net", "January 2025", NULL},
        {"megarbl.net", "November 2019", "its domain was sold, and lists every address"},
        {"monkeys.com", "September 2003", NULL},
        {"njabl.org", "March 2013", "it has listed every address since"},
        {"orbs.org", "June 2001", NULL},
        {"orbz.org", "March 2002", NULL},
        {"ordb.org", "December 2006", "it has listed every address since"},
        {"osirusoft.com", "August 2003", "it listed every address when it ended"},
        {"rfc-clueless.org", "September 2023", "it had followed rfc-ignorant.org"},
        {"rfc-ignorant.org", "November 2012", NULL},
        {"sorbs.net", "June 2024", NULL},
        {"spamcannibal.org", "May 2018", "its domain was sold, and lists every address"},
        {"virbl.dnsbl.bit.nl", "2017", NULL},
};

enum { DEAD_LIST_COUNT = sizeof(dead_lists) / sizeof(dead_lists[0]) };

/* "zone=127.0.0.2*3": what follows the name is not a part of it */
static struct str name_alone(struct str site)
{
        struct str name = str_cut(&site, '*');
        return str_cut(&name, '=');
}

static struct str without_dot(struct str domain)
{
        return str_ends(domain, STR(".")) ? str_part(domain, 0, domain.len - 1) : domain;
}

static bool is_below(struct str domain, struct str top)
{
        if (str_eq_nocase(domain, top))
                return true;
        return str_ends_nocase(domain, top) && domain.len > top.len &&
               domain.ptr[domain.len - top.len - 1] == '.';
}

const struct dead_list *dead_list_find(struct str domain)
{
        domain = without_dot(name_alone(domain));
        for (size_t i = 0; i < DEAD_LIST_COUNT; i++)
                if (is_below(domain, str_from(dead_lists[i].domain)))
                        return &dead_lists[i];
        return NULL;
}

const struct dead_list *dead_list_at(size_t i)
{
        return i < DEAD_LIST_COUNT ? &dead_lists[i] : NULL;
}

/* ---- keys ---- */

/* Operators who put a key in front of the list's own name. */
static const struct {
        const char *top;
        int labels; /* between the key and the top: "zen" of KEY.zen.dq.spamhaus.net */
} keyed_tops[] = {
        {"dq.spamhaus.net", 1},
        {"mail.abusix.zone", 1},
};

/* Letters and digits mixed, and more of them than anybody would give a list as its name. */
static bool looks_like_key(struct str label)
{
        size_t digits = 0, letters = 0;
        for (size_t i = 0; i < label.len; i++) {
                if (char_is_digit(label.ptr[i]))
                        digits++;
                else if (char_is_alnum(label.ptr[i]))
                        letters++;
        }
        return label.len >= 16 && digits >= 2 && letters >= 2;
}

static struct str first_label(struct str domain)
{
        return str_cut(&domain, '.');
}

struct str list_domain_key(struct str domain)
{
        domain = without_dot(name_alone(domain));
        for (size_t i = 0; i < sizeof(keyed_tops) / sizeof(keyed_tops[0]); i++) {
                struct str top = str_from(keyed_tops[i].top);
                if (!is_below(domain, top) || domain.len <= top.len)
                        continue;
                struct str rest = str_part(domain, 0, domain.len - top.len - 1);
                int dots = 0;
                for (size_t k = 0; k < rest.len; k++)
                        dots += rest.ptr[k] == '.';
                if (dots >= keyed_tops[i].labels)
                        return first_label(domain);
        }
        for (struct str rest = domain; rest.len;) {
                struct str label = str_cut(&rest, '.');
                if (looks_like_key(label))
                        return label;
        }
        return STR("");
}

struct str list_domain_shown(struct str domain, struct arena *arena)
{
        struct str key = list_domain_key(domain);
        if (str_is_empty(key))
                return domain;
        size_t before = (size_t)(key.ptr - domain.ptr);
        if (before == 0) /* the name goes on without it */
                return arena_str(arena, str_tail(domain, key.len + 1));
        return arena_printf(arena, "%.*s*%.*s", (int)before, domain.ptr,
                            STR_ARG(str_tail(domain, before + key.len)));
}
