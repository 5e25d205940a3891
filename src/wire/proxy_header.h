/*
 * proxy_header.h - what a balancer says about the client, in front of the client's first byte
 *
 * HAProxy's PROXY protocol, versions 1 and 2, by its specification (HAProxy's doc/proxy-protocol.txt, sections 2.1
 * and 2.2), strictly: what may not be sent is not taken. A header may come in pieces of any size; not a byte behind it is
 * touched.
 *
 * A pure machine: no I/O, no clock. Who may send a header is the caller's to know: whoever may can claim to be
 * anybody.
 */
#ifndef WIRE_PROXY_HEADER_H
#define WIRE_PROXY_HEADER_H

#include "base/buf.h"
#include "base/why.h"

enum {
        PROXY_V1_BYTES_MAX = 107,         /* a line, with its CR LF */
        PROXY_HEADER_BYTES_MAX = 16 << 10 /* version 2 could say 64 KiB; nobody needs as much */
};

enum proxy_origin {
        PROXY_FROM_CLIENT,   /* source and destination are told */
        PROXY_FROM_BALANCER, /* LOCAL: its own connection, a health check */
        PROXY_FROM_UNKNOWN, /* UNKNOWN, UNSPEC, a unix socket: the connection's own addresses hold */
};

struct proxy_end {
        char text[64]; /* printed as inet_ntop() does; IPv4-mapped ones as IPv4 */
        uint16_t port;
        int family; /* AF_INET, AF_INET6 */
};

struct proxy_header {
        int version; /* 1 or 2 */
        enum proxy_origin origin;
        struct proxy_end source; /* the client; both only with PROXY_FROM_CLIENT */
        struct proxy_end destination;
        bool had_tls; /* PP2_TYPE_SSL: the client came to the balancer by TLS */
        bool had_crc; /* PP2_TYPE_CRC32C was there, and right */
};

struct proxy_reader {
        struct buf bytes; /* of the header, so far */
        bool is_done;
};

void proxy_reader_init(struct proxy_reader *r);
void proxy_reader_done(struct proxy_reader *r);
/*
 * Takes from the front of *in what belongs to the header. 1: it is complete, in *out; what is left in *in is the
 * client's. 0: all was taken, more is needed. -EBADMSG with *why: this is no such header; then the connection must be
 * closed. Not to be called after 1 or an error.
 */
int proxy_reader_feed(struct proxy_reader *r, struct str *in, struct proxy_header *out,
                      struct why *why);

#endif
