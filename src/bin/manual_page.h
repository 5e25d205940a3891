/*
 * manual_page.h - manual pages in roff (man(7)), and the completion for bash: from the tables of commands,
 * parameters and names, so that they tell what the program does
 */
#ifndef BIN_MANUAL_PAGE_H
#define BIN_MANUAL_PAGE_H

#include <stddef.h>

/* What there is: "forepost.1", "forepost.cf.5", "sendmail.1"...; NULL past the last. */
const char *manual_page_name(size_t i);
/* Prints one to standard output; -1: there is none of this name. */
int manual_page_print(const char *name);
/* Of the commands, their options and the names of parameters. */
void manual_completion_print(void);

/* ---- roff, for the files that write pages ---- */

void roff_begin(const char *title, int section, const char *name, const char *summary);
void roff_section(const char *title);
/* A paragraph; an empty line in the text begins another, a line in front of which blanks stand is kept as it is. */
void roff_text(const char *text);
/* "term" with what it means, indented. */
void roff_item(const char *term, const char *text);
/* Text that stands in no macro's way: backslashes, hyphens and dots in front. */
void roff_put(const char *text);

/* manual_names.c: the page of a name that scripts call; -1: there is none. */
int manual_print_name(const char *name);

#endif
