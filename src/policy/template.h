/*
 * template.h - texts with $names to be filled in when a reply is made (default_rbl_reply); pure
 *
 *      $name ${name} $(name)           its value
 *      ${name?text} ${name?{text}}     text when the value is not empty
 *      ${name:text} ${name:{text}}     text when it is empty
 *      ${name?{text}:{other}}          one of the two
 *      $$                              a dollar sign
 *
 * Texts may have $names again; values are taken as they are. Limits: TEMPLATE_DEPTH_MAX texts in each other, and
 * TEMPLATE_BYTES_MAX in all; what goes over is cut.
 */
#ifndef POLICY_TEMPLATE_H
#define POLICY_TEMPLATE_H

#include "base/arena.h"

enum { TEMPLATE_DEPTH_MAX = 10, TEMPLATE_BYTES_MAX = 2000 };

/* The value of a name; empty for one that it does not know. */
typedef struct str template_value(void *context, struct str name);

struct str template_expand(struct str text, template_value *value, void *context,
                           struct arena *arena);

/* `allowed` with C escapes (smtpd_expansion_filter): which bytes may pass. Others become "_". */
struct template_filter {
        bool allows[256];
};
void template_filter_parse(struct str allowed, struct template_filter *out);
struct str template_filter_apply(const struct template_filter *f, struct str value,
                                 struct arena *arena);

#endif
