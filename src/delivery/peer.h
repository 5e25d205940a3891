/*
 * peer.h - for tests: a server on loopback that says what a script says, on the tests' own loop
 *
 * A script is lines:
 *      >text       sends the line
 *      <text       reads a line that must begin so
 *      @data       reads up to the final dot; what came is kept in `contents`
 *      @some N     reads at least N bytes
 *      @serve [MS] answers everything as a good server until QUIT or the end, the final dot after MS
 *      @sink       the same in haste: content is not kept, dots are not looked at
 *      @tls        takes TLS
 *      @flood      sends a reply without end
 *      @long       sends a line of 10,000 bytes
 *      @wait MS    does nothing for so long
 *      @hang       does nothing until the other side closes
 *      @reset      closes with a reset
 *      @half       closes its side only, and still reads
 * and closes at the end. Connections take the scripts in turn; the last one serves all that follow.
 */
#ifndef DELIVERY_PEER_H
#define DELIVERY_PEER_H

#include "base/buf.h"
#include "loop/task.h"
#include "wire/tls.h"
#include "wire/wire.h"

struct peer {
        struct loop *loop;
        struct watch watch;
        uint16_t port;
        const char *const *scripts;
        size_t script_count;
        struct tls_context *tls;
        struct list connections;
        size_t connection_count; /* so far */
        size_t message_count;
        struct buf contents;
        struct buf heard; /* every line that was read, with LF */
        struct buf wrong; /* lines that did not begin as they must; empty: all well */
        bool is_held;     /* @serve greets nobody yet */
        struct task *stopper;
};

void peer_start(struct peer *p, struct loop *l, const char *const *scripts, size_t count);
/* Ends all connections, and waits for them. */
void await_peer_stop(struct peer *p);

#endif
