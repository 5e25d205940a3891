/*
 * submit.h - giving a message to the server over the public socket, by SMTP
 *
 * Blocks. The exit codes are those of sysexits.h that sendmail(1) has: EX_OK, EX_TEMPFAIL (the server is not
 * running, or cannot take it now), EX_NOPERM, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_USAGE.
 */
#ifndef BIN_SUBMIT_H
#define BIN_SUBMIT_H

#include "bin/names.h"

struct submission {
        const char *sender; /* empty: the null sender */
        const char *const *recipients;
        size_t recipient_count;
        const char *notify; /* "SUCCESS,DELAY"; NULL: not said */
        const char *ret;    /* "FULL", "HDRS" or NULL */
        const char *envid;  /* xtext, or NULL */
        const char *report; /* XREPORT: "VERIFY", "DELIVERY" or NULL */
        const char *verp;   /* the delimiters of XVERP, or NULL */
        bool is_8bit;
        struct str content; /* lines end in LF, or CR LF */
};

/* Says what went wrong. An exit code; EX_OK: the server has it, for every recipient. */
int submit(const struct config *c, const struct submission *s);

/* sendmail -bs: passes SMTP on between standard input and output and the server. An exit code. */
int submit_pass_on(const struct config *c);

#endif
