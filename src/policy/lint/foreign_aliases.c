/*
 * foreign_aliases.c - names of alias_maps that stand for what only local(8) could follow: commands, files, lists in files
 *
 * Their mail is refused for now at RCPT, which the administrator should hear before the senders do.
 */
#include "policy/policy_private.h"

enum { FOREIGN_MAX = 20 }; /* told of one table */

struct foreign {
        struct findings *findings;
        struct place at;
        size_t count;
};

static bool visit_alias(void *context, struct str key, struct str value)
{
        struct foreign *f = context;
        const char *what;
        if (!policy_alias_is_foreign(value, &what))
                return true;
        findings_add(
                f->findings, SEVERITY_WARNING, "alias-not-followed", f->at,
                "send it to an address on a server that has it",
                "alias_maps: mail for %.*s is refused for now: it stands for %s, which is not used here",
                STR_ARG(str_part(key, 0, 100)), what);
        return ++f->count < FOREIGN_MAX;
}

void policy_lint_foreign_aliases(struct policy *p, struct findings *findings)
{
        struct str rest = p->params->alias_maps;
        struct str item;
        if (str_is_empty(str_trim(p->params->mydestination)))
                return;
        while (config_list_next(&rest, &item)) {
                struct foreign f = {findings, policy_place(p, "alias_maps", item), 0};
                struct why why;
                struct table *table = table_open(p->tables, item, f.at, NULL, &why);
                if (table)
                        table_each(table, visit_alias, &f);
        }
}
