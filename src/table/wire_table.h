/*
 * wire_table.h - what socketmap: and tcp: share: where the server is, and connections that are kept
 *
 * Private to this room. A connection belongs to a loop. After a question it is kept for the next one
 * for some seconds; whichever table of the loop asks the same server takes it.
 *
 * The readers of replies are pure.
 */
#ifndef TABLE_WIRE_TABLE_H
#define TABLE_WIRE_TABLE_H

#include "table/server.h"

struct wire;

enum {
        WIRE_TABLE_PATH_MAX = 107,    /* sun_path */
        SOCKETMAP_REPLY_MAX = 100000, /* as in Postfix */
        TCP_REPLY_MAX = 4096,
};

struct wire_place {
        char key[300]; /* names the place, for connections that are kept */
        char path[WIRE_TABLE_PATH_MAX + 1];
        char host[256];
        char port[32];
};

/* "inet:host:port" or "unix:path"; a relative path is in the queue directory. 0 or -EINVAL, *why. */
int wire_place_parse(struct wire_place *place, struct str text, const struct table_text *of,
                     struct why *why);
/* "host:port" */
int wire_place_parse_inet(struct wire_place *place, struct str text, struct why *why);

/*
 * Sends the question and calls `await_read` for the reply, which returns 0 or a negative errno; on a
 * connection that is kept, and when that has gone away meanwhile, on a new one. Fills reply->outcome
 * and ->why for failures; 0 when await_read returned 0.
 */
typedef int await_reply_read(struct wire *w, int64_t deadline_ms, struct server_reply *reply);
int await_wire_table_ask(const struct wire_place *place, struct str question,
                         await_reply_read *await_read, int64_t deadline_ms,
                         struct server_reply *reply);

/* Closes what this thread's loop keeps. */
void wire_table_close_idle(void);

/*
 * The payload of a netstring ("5:hello,"). 0 with *payload and *used; -EAGAIN: not complete yet;
 * -EBADMSG, -EMSGSIZE (over bytes_max).
 */
int netstring_parse(struct str in, size_t bytes_max, struct str *payload, size_t *used);
/* "OK text", "NOTFOUND ", "TEMP why", "TIMEOUT why", "PERM why" (socketmap_table(5)). */
void socketmap_reply_parse(struct str payload, struct server_reply *reply);
/* "200 text", "400 why", "500 why", with %XX (tcp_table(5)); without its line end. */
void tcp_reply_parse(struct str line, struct server_reply *reply);

#endif
