/*
 * roll.h - the sessions that are open on a loop, for who wants to see them
 *
 * In the order in which they began, a page at a time, so that a hundred thousand of them stop nobody. Those that begin
 * after the first page are not shown: a walk ends. All calls are made on the sessions' loop; the cursor may be kept
 * elsewhere between pages.
 */
#ifndef SESSION_ROLL_H
#define SESSION_ROLL_H

#include "base/list.h"
#include "base/str.h"

#include <stdint.h>

struct session;

enum { SESSION_WAIT_BYTES_MAX = 160 };

/* What a session shows of itself; valid during the call. Text of strangers is in it as they sent it. */
struct session_view {
        struct str client_name, client_address, client_port; /* the name: "unknown" without one */
        struct str server_address, server_port;
        struct str service;  /* the command of master.cf: smtpd, postscreen */
        struct str helo;     /* empty: not said yet */
        struct str protocol; /* ESMTP, ESMTPS, SMTP... */
        struct str tls;      /* "TLSv1.3 with cipher ..."; empty: none */
        struct str command;  /* the last verb; CONNECT before the first */
        struct str sender;   /* with has_sender; the null one is empty */
        bool has_sender;     /* a transaction is under way */
        size_t recipients;   /* of it, accepted */
        unsigned messages;   /* that were accepted in this session */
        int64_t since_us;    /* wall clock */
        bool is_local;       /* a user of this machine: */
        unsigned local_uid;
        char waits_for[SESSION_WAIT_BYTES_MAX]; /* what its task does: "waiting for a line" */
        int64_t waits_ms;                       /* and for how long */
};

struct session_cursor {
        struct list link; /* of the loop's cursors, while it is under way */
        struct session *next;
        uint64_t last; /* the number of the last session that is shown */
        bool is_under_way;
};

/*
 * Shows `count` sessions at most, from the beginning with a cursor that is all zeros; false when there are no more.
 * A cursor that is given up before that is to be told session_roll_leave().
 */
bool session_roll_page(struct session_cursor *cursor, size_t count,
                       void (*show)(void *context, const struct session_view *view), void *context);
void session_roll_leave(struct session_cursor *cursor);

/* ---- for the room ---- */

void session_roll_add(struct session *s);
void session_roll_remove(struct session *s);

#endif
