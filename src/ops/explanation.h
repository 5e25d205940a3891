/*
 * explanation.h - how a reply came about, as a record that can be kept, and printed later
 *
 * A record is lines of fields between tabs; it is small, and needs no parser to be looked through. Control characters in values
 * are blanks in it.
 *
 *      R code time verb reply-code enhanced text rule      the reply; time in microseconds since 1970
 *      F name value                                        client, helo, sender... as they were
 *      S depth list rule outcome microseconds              a rule that was asked
 *      L kind table asked type result said microseconds cached line pattern    what it looked up; the last two of
 *                                                          tables of rules alone
 *      X                                                   there was more than is kept
 */
#ifndef OPS_EXPLANATION_H
#define OPS_EXPLANATION_H

#include "ops/json.h"
#include "session/session.h"

enum { EXPLANATION_BYTES_MAX = 64 * 1024 };

/* Appends the record; what does not fit is left out. */
void explanation_write(struct buf *out, const struct session_judged *judged, int64_t now_us);

/* The code that a record is about; empty: none. */
struct str explanation_code(struct str record);
/* As members of an object that the caller has opened: "code", "enhanced", "text", "rule", "steps"... */
void explanation_put_json(struct json *j, struct str record);
/* Its steps alone, into an array that the caller has opened. */
void explanation_put_steps(struct json *j, struct str record);
/* For people; facts that the record `before` (may be empty) had too are left out. */
void explanation_put_text(struct buf *out, struct str record, struct str before);

/* The reply of a record: for the decision of a whole session. */
struct explanation_reply {
        struct str verb, text, rule, enhanced;
        int64_t code;
};
bool explanation_reply(struct str record, struct explanation_reply *out);

#endif
