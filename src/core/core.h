/*
 * core.h - what only a core has: mailboxes
 *
 * The agent "virtual" (virtual(8)) puts messages for virtual_mailbox_domains into Maildirs below
 * virtual_mailbox_base. All mailboxes belong to the user that the server runs as: it has no privileges
 * to give files away. virtual_uid_maps and virtual_gid_maps must therefore be static: and name that user;
 * anything else is an error at start.
 *
 * Threads: core_mailboxes_use() from any; deliveries take the mailboxes that are in use when they begin.
 * Not here: what a Maildir is (maildir.c), who is delivered to when (delivery/).
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "config/config.h"
#include "table/table.h"

/* The mailboxes of one configuration; immutable, counted. */
struct core_mailboxes;

/*
 * Opens virtual_mailbox_maps and checks the rest, for each service that runs "virtual" with its overrides.
 * Call it as the user that will deliver. Findings, all errors: no map, no base, a base that cannot be
 * written (with the command that mends it), uid and gid that are not ours. A configuration without
 * virtual mailboxes gives none.
 */
struct core_mailboxes *core_mailboxes_new(struct config *c, struct table_set *tables,
                                          struct findings *findings);
struct core_mailboxes *core_mailboxes_ref(struct core_mailboxes *m);
void core_mailboxes_unref(struct core_mailboxes **m);

/* Registers the agent "virtual"; once, before the loops start. */
void core_register(void);
/* From now on deliveries use these; keeps a reference of its own. NULL: none. */
void core_mailboxes_use(struct core_mailboxes *m);

#endif
