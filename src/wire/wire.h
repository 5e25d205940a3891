/*
 * wire.h - bytes in order: one stream connection, plain or under TLS, as lines and as pieces
 *
 * The reading task asks for a line or for whatever is there; the writing side collects what is put and
 * sends it when the task next waits for input (so that the replies to pipelined commands leave in one
 * write) or when it asks for it. Sockets are read and written by the loop's own stack where TLS needs
 * the stack; buffers are borrowed from the loop only while bytes are in flight, so that an idle
 * connection costs its task and little else.
 *
 * One task at a time uses a wire. All calls on the loop's thread. Views are valid until the next call on
 * the same wire.
 *
 * Errors of all await_ functions: -ETIMEDOUT, -ECANCELED, -ECONNRESET and other socket errors, -EPIPE (the
 * peer has closed its side in good order), -EPROTO (TLS). After any of them but -EMSGSIZE,
 * -ETIMEDOUT and -ECANCELED only wire_free() makes sense.
 */
#ifndef WIRE_WIRE_H
#define WIRE_WIRE_H

#include "base/buf.h"
#include "base/why.h"
#include "loop/task.h"

#include <sys/socket.h>

struct wire;
struct tls_context;

/*
 * Sets what a wire needs on a TCP socket. Before it is connected, or listens: what is accepted from it has it too, which
 * saves a system call for each (tcp(7)).
 */
void wire_prepare(int fd);
/*
 * Fixes the buffers of a TCP socket, and so its window, to that many bytes (tcp_windowsize); 0: as the system has them. Before it is
 * connected; on one that listens it holds for what is accepted from then on.
 */
void wire_set_window(int fd, int bytes);
/* Takes over the connected, non-blocking descriptor; it was prepared, where it is TCP. */
struct wire *wire_new(struct loop *l, int fd);
/*
 * Ends the wire and gives its descriptor away, open: for another loop's. What was put must have been flushed; what was
 * read and not asked for is lost; not under TLS. Sets *w to NULL.
 */
int wire_release(struct wire **w);
/* Closes. What was put but not flushed is tried once more without waiting. Sets *w to NULL. */
void wire_free(struct wire **w);

/* The peer's and our own address as printed ("192.0.2.1", "2001:db8::1"), and ports. */
struct wire_address {
        char text[64];
        uint16_t port;
        int family; /* AF_INET, AF_INET6, AF_UNIX; IPv4-mapped addresses are AF_INET */
};
int wire_peer(const struct wire *w, struct wire_address *out);
int wire_local(const struct wire *w, struct wire_address *out);

/* Our end of a connection, where the system is not to choose it. */
struct wire_source {
        const struct sockaddr *address; /* NULL: any */
        socklen_t address_len;
        int window_bytes; /* see wire_set_window() */
};

/* Connects; `from` may be NULL. 0 with *out, or a negative errno value with *why. */
int await_wire_connect(const struct sockaddr *to, socklen_t to_len, const struct wire_source *from,
                       int64_t deadline_ms, struct wire **out, struct why *why);

/* ---- in ---- */

struct wire_line {
        struct str text;  /* without its line end */
        bool has_bare_lf; /* ended in LF alone */
};

/*
 * The next line. When it waits, it first sends what was put. -EMSGSIZE: the line is over `bytes_max`
 * (its line end included); it is skipped up to its end and the wire can be used on.
 */
int await_wire_line(struct wire *w, size_t bytes_max, int64_t deadline_ms, struct wire_line *line);

/* At least one byte of whatever is there, up to 64 KiB. Consume with wire_consume(). */
int await_wire_bytes(struct wire *w, int64_t deadline_ms, struct str *bytes);
void wire_consume(struct wire *w, size_t count);

/* What has been read and not been asked for yet. */
bool wire_has_input(const struct wire *w);
/* The same, after a look at the socket without waiting: did the client speak too early? */
bool wire_poll_input(struct wire *w);
/* Has the peer hung up, or reset, while we were busy? A look without waiting; input stays. */
bool wire_is_broken(struct wire *w);
/* Drops it (STARTTLS: what came before the handshake was not protected). */
void wire_discard_input(struct wire *w);

/* ---- out ---- */

enum { WIRE_OUT_BYTES_MAX = 256 * 1024 };

/* Adds to what will be sent. Over WIRE_OUT_BYTES_MAX: -ENOBUFS, flush first. */
int wire_put(struct wire *w, struct str bytes);
/* To write into directly (at most WIRE_OUT_BYTES_MAX together). */
struct buf *wire_out(struct wire *w);
/* Sends all that was put. */
int await_wire_flush(struct wire *w, int64_t deadline_ms);
/* The same at the end: wire_free() must follow before anything waits, and the peer gets last bytes and end in one segment. */
int await_wire_flush_last(struct wire *w, int64_t deadline_ms);
/*
 * Sends what the peer takes at once, and waits only where that is nothing: *sent bytes left (under TLS: of ciphertext). True in
 * *is_all when nothing that was put is left. After an error nothing more leaves.
 */
int await_wire_send(struct wire *w, int64_t deadline_ms, size_t *sent, bool *is_all);

/* ---- TLS ---- */

/*
 * Server side. The reply 220 must have been flushed. 0, or an error with *why. What was read and not consumed is
 * taken for the beginning of the handshake: where the client spoke in the clear before, discard it first.
 */
int await_wire_tls_accept(struct wire *w, struct tls_context *tls, int64_t deadline_ms,
                          struct why *why);
struct tls_anchors;
/* What one connection as a client asks for beyond its context. */
struct tls_request {
        struct str name;      /* for SNI; empty: none */
        struct str protocols; /* instead of the context's, as in tls_options; empty: those */
        struct str ciphers;
        struct str excluded;
        const struct tls_anchors *anchors; /* instead of the context's authorities; NULL: those */
        struct str
                session; /* a session made before under the same text is resumed; empty: none is */
};
int await_wire_tls_connect(struct wire *w, struct tls_context *tls, const struct tls_request *r,
                           int64_t deadline_ms, struct why *why);
bool wire_has_tls(const struct wire *w);
/* "TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)"; empty without TLS. */
void wire_tls_describe(const struct wire *w, char *out, size_t room);
/* Fingerprints by `digest` (sha256 when it is none that OpenSSL knows). All empty without TLS. */
struct tls_peer;
void wire_tls_peer(const struct wire *w, struct str digest, struct tls_peer *out);
/*
 * Does its certificate name this host (RFC 6125: the DNS names, else the common name; "*" as the first label)?
 * ".example.com" is any host below. With `star_is_many` "*" stands for several labels too.
 */
bool wire_tls_peer_is(const struct wire *w, struct str name, bool star_is_many);

#endif
