/*
 * bounce_template.h - bounce_template_file (Postfix bounce(5)): the administrator's words in notifications
 *
 *      failure_template = <<EOF
 *      Charset: utf-8
 *      From: MAILER-DAEMON (Mail Delivery System)
 *      Subject: Undelivered Mail Returned to Sender
 *      Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *      This is the mail system at host $myhostname. ...
 *      EOF
 *
 * Also delay_template, success_template and verify_template, which only postconf(1) shows. All at load; pure but for reading
 * the file.
 */
#ifndef DELIVERY_BOUNCE_TEMPLATE_H
#define DELIVERY_BOUNCE_TEMPLATE_H

#include "config/config.h"
#include "message/dsn.h"

enum { BOUNCE_TEMPLATE_BYTES_MAX = 256 << 10 };

enum bounce_kind { BOUNCE_FAILURE, BOUNCE_DELAY, BOUNCE_SUCCESS, BOUNCE_VERIFY, BOUNCE_KINDS };

struct bounce_templates {
        struct dsn_template
                of[BOUNCE_KINDS]; /* what a template leaves out is empty: our own words */
};

/* Without bounce_template_file all are empty. What is wrong is an error in *findings. In `arena`. */
void bounce_templates_load(struct bounce_templates *t, const struct config *c, struct arena *arena,
                           struct findings *findings);
/* The same from `file`; without `expands` the $names stay as they stand there. */
void bounce_templates_read(struct bounce_templates *t, const struct config *c, struct str file,
                           bool expands, struct place at, struct arena *arena,
                           struct findings *findings);
/* The same from the file's text. `c` may be NULL: then $names stay. */
void bounce_templates_parse(struct bounce_templates *t, const struct config *c, struct str text,
                            struct str file, struct arena *arena, struct findings *findings);

/* Appends `text` with its $names replaced, as in a template's text. */
void bounce_template_expand(const struct config *c, struct str text, struct buf *out,
                            struct arena *arena, struct place at, struct findings *findings);

/* Those of a configuration's routes. */
struct routes;
const struct bounce_templates *routes_bounce_templates(const struct routes *r);

static inline const struct dsn_template *bounce_template_for(const struct bounce_templates *t,
                                                             enum dsn_action action)
{
        return &t->of[action == DSN_FAILED    ? BOUNCE_FAILURE
                      : action == DSN_DELAYED ? BOUNCE_DELAY
                                              : BOUNCE_SUCCESS];
}

#endif
