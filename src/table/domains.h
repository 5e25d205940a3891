/*
 * domains.h - the setting `domain`: only addresses of these domains are asked (pgsql_table(5))
 *
 * Private to this room.
 */
#ifndef TABLE_DOMAINS_H
#define TABLE_DOMAINS_H

#include "table/settings.h"

/*
 * *list is NULL when the setting is not there; it lives as long as the table's set. 0 or a negative
 * errno with the fault.
 */
int domains_open(const struct table_settings *s, struct match_list **list);
/*
 * May this key be asked? Without a list any may; else only user@domain with a local part, in one of them.
 * A list that cannot be asked itself lets the key pass: the server decides.
 */
bool await_domains_want(struct match_list *list, struct str key);

#endif
