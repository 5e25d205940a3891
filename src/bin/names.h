/*
 * names.h - the names that scripts call: sendmail, mailq, newaliases, postmap...
 *
 * The program does what its own name says: a link to it called postqueue is postqueue(1). Options, output and
 * exit codes are those of Postfix's commands of these names, as far as there is the same thing behind them;
 * what is not here says so.
 *
 * The configuration directory is that of -c (sendmail: -C), else of $MAIL_CONFIG, else /etc/forepost, and
 * /etc/postfix when the former has no main.cf.
 */
#ifndef BIN_NAMES_H
#define BIN_NAMES_H

#include "base/buf.h"
#include "bin/command.h"

/* Every one is a main() of its own; argv[0] is the name. */
typedef int name_main(int argc, char **argv);

/* The one that argv[0] is called, or NULL: then it is forepost itself. */
name_main *name_find(const char *argv0);
/* All of them; NULL past the last. */
const char *name_at(size_t i);

name_main name_sendmail, name_postmap, name_postalias, name_postqueue, name_postsuper,
        name_postconf, name_postcat, name_postlog;

/* ---- what they share ---- */

/* Parts of sendmail that are others' too; exit codes. `id` and `site` are empty for all of the queue. */
int name_list_queue(const char *directory);
int name_flush_queue(const char *directory, const char *id, const char *site);
int name_make_aliases(const char *directory);

/* What the messages on standard error begin with; set by name_find(). */
extern const char *name_program;

/* "postmap: warning: ..." */
void name_warning(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "postmap: fatal: ..."; returns `code`, to be returned by main. */
int name_fatal(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* `given` is the option's value or NULL. */
const char *name_directory(const char *given);
/*
 * The configuration, also one with errors: these commands need a few values. NULL: there is no main.cf; that has
 * been said.
 */
struct config *name_config(const char *directory, const struct config_override *overrides,
                           struct findings *findings);

/* A line of standard input without its end; NULL at the end, or (said) when it is too long. */
char *name_read_line(void);

#endif
