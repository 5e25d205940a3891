/*
 * receive_override.h - receive_override_options: what a service leaves out
 *
 * For the service behind an after-queue filter (what was checked before is not checked again) and
 * the one before it (addresses are mapped behind it). Who leaves something out reads it here:
 * policy/, milter/ and cleanup/.
 */
#ifndef CONFIG_RECEIVE_OVERRIDE_H
#define CONFIG_RECEIVE_OVERRIDE_H

#include "base/str.h"

enum receive_override {
        RECEIVE_NO_UNKNOWN_RECIPIENT_CHECKS = 1,
        RECEIVE_NO_ADDRESS_MAPPINGS = 2,
        RECEIVE_NO_HEADER_BODY_CHECKS = 4,
        RECEIVE_NO_MILTERS = 8,
};

/*
 * The parameter's words as bits. The first word that is none of them goes to *unknown, which is
 * empty otherwise and may be NULL.
 */
unsigned receive_overrides(struct str list, struct str *unknown);

#endif
