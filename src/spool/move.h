/*
 * move.h - a spool that nobody serves: checked, taken to another host, taken in from one
 *
 * Moving goes so:
 *      old host    spool_export()          writes the stream; from now on this spool is not served (a file "exported" in
 *                                          it says so, spool_open() refuses)
 *      new host    spool_import()          takes all of it in, or, as far as delivery is concerned, nothing: a message that
 *                                          came is staged, durably, and nobody delivers it before the whole stream has come
 *      old host    spool_export_finish()   with the receipt that the import gave: empties the old spool
 * Each step can be cut short at any instant and be done again: nothing is lost, and nothing is delivered twice. An import
 * that has been done remembers what it took (a file "imported"), also after those messages have been delivered.
 *
 * Threads: any, with no spool open in this process on the same directory. They block. Imports start
 *          the pool: none may run.
 */
#ifndef SPOOL_MOVE_H
#define SPOOL_MOVE_H

#include "spool/spool.h"

struct spool_moved {
        size_t messages; /* in the stream, or in the spool */
        size_t known;    /* import: of these, taken in before */
        int64_t bytes;   /* of their content */
        size_t damaged;  /* what cannot be read, and was left where it is */
        size_t staged;   /* verify: of an import that was not finished */
        size_t segments;
        char receipt[48]; /* "MESSAGES-DIGEST"; the same for the same messages */
};

/* Reads everything, changes nothing. 0 also with damage: see out->damaged; the log says what it is. */
int spool_verify(struct str directory, struct spool_moved *out, struct why *why);

/* Writes all messages to `fd`. 0, or a negative errno value with *why: then the spool may be served as before. */
int spool_export(struct str directory, int fd, struct spool_moved *out, struct why *why);
/* The export has come to nothing: the spool may be served again. -ENOENT: it was not exported. */
int spool_export_undo(struct str directory, struct why *why);
/* Empties the spool, when `receipt` is of what is in it; what is damaged is kept in corrupt/. */
int spool_export_finish(struct str directory, struct str receipt, struct why *why);

/* Reads a stream from `fd`; loops of `options` are not used. -EBADMSG: the stream is not whole, nothing is delivered. */
int spool_import(const struct spool_options *options, int fd, struct spool_moved *out,
                 struct why *why);
/* Deletes what imports that were not finished have staged; how many, in out->messages. */
int spool_import_abort(const struct spool_options *options, struct spool_moved *out,
                       struct why *why);

#endif
