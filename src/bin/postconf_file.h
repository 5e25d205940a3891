/*
 * postconf_file.h - a configuration file is read, and written anew in one step
 *
 * As Postfix's postconf does it: FILE.tmp is the lock of whoever changes FILE, and becomes it by rename(2), with its owner and mode.
 * Who reads meanwhile reads the one or the other, and of two that change at once no change is lost.
 */
#ifndef BIN_POSTCONF_FILE_H
#define BIN_POSTCONF_FILE_H

#include "base/buf.h"

#include <sys/stat.h>

enum { POSTCONF_FILE_BYTES_MAX = 16 << 20 };

struct postconf_file {
        char *path; /* behind symbolic links */
        char *fresh;
        int fd; /* of `fresh`, locked */
        struct stat stat;
        struct buf text; /* as it was */
        struct buf out;  /* as it is to be */
};

/* Waits for the lock, and reads. 0, or an exit code: it has been said why, and nothing is to be ended. */
int postconf_file_begin(struct postconf_file *f, const char *directory, const char *name);
/* With `is_good` the file is `out` now; without, it is as it was. An exit code. */
int postconf_file_end(struct postconf_file *f, bool is_good);

/* The next line with its end, off the front of *text; false at the end. */
bool postconf_line(struct str *text, struct str *line);
/* An empty line or a comment; a line that goes on with the one before. */
bool postconf_line_is_nothing(struct str line);
bool postconf_line_goes_on(struct str line);

#endif
