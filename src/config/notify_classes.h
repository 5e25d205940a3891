/*
 * notify_classes.h - notify_classes: what the postmaster hears of
 *
 * Bounces and delays are told by delivery/, errors in sessions by session/.
 */
#ifndef CONFIG_NOTIFY_CLASSES_H
#define CONFIG_NOTIFY_CLASSES_H

#include "base/str.h"

enum notify_class {
        NOTIFY_BOUNCE = 1, /* implies NOTIFY_2BOUNCE */
        NOTIFY_2BOUNCE = 2,
        NOTIFY_DATA = 4, /* a table cannot be asked */
        NOTIFY_DELAY = 8,
        NOTIFY_POLICY = 16,
        NOTIFY_PROTOCOL = 32,
        NOTIFY_RESOURCE = 64,
        NOTIFY_SOFTWARE = 128,
        /* what errors in sessions may be; bounce: mail for whoever does not exist */
        NOTIFY_SESSIONS = NOTIFY_BOUNCE | NOTIFY_DATA | NOTIFY_POLICY | NOTIFY_PROTOCOL |
                          NOTIFY_RESOURCE | NOTIFY_SOFTWARE,
};

/*
 * The parameter's words as bits. The first word that is none of them goes to *unknown, which is
 * empty otherwise and may be NULL.
 */
unsigned notify_classes(struct str list, struct str *unknown);

#endif
