/* core_private.h - the mailboxes as virtual.c needs them */
#ifndef CORE_CORE_PRIVATE_H
#define CORE_CORE_PRIVATE_H

#include "core/core.h"

/* One service of master.cf that runs "virtual". */
struct core_mailbox_service {
        struct str name;
        struct str base;
        struct str delimiters; /* recipient_delimiter */
        int64_t bytes_max;     /* virtual_mailbox_limit; 0: none */
        struct table_list *maps;
};

/* The mailboxes in use, with a reference for the caller; NULL: none. */
struct core_mailboxes *core_mailboxes_in_use(void);
/* The service of this name, or the first. */
const struct core_mailbox_service *core_mailboxes_service(const struct core_mailboxes *m,
                                                          struct str name);

/* "static:1000" to 1000. 0 or -EINVAL. */
int core_static_id(struct str text, int64_t *id);

#endif
