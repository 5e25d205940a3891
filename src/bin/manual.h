/* manual.h - the manual of main.cf, from the table of parameters, as Markdown on standard output */
#ifndef BIN_MANUAL_H
#define BIN_MANUAL_H

#include <stdbool.h>
#include <stddef.h>

/* All parameters by section, and those that Forepost does not honour, with the reasons. */
void manual_print(void);
/* One parameter. False when there is none of this name. */
bool manual_print_one(const char *name);

#endif
