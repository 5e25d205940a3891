/*
 * listen.h - the sockets that the server listens on
 *
 * The supervisor opens them, with one socket for each loop and address (SO_REUSEPORT: the kernel deals
 * connections out), and keeps them while workers come and go. The worker inherits them, and calls listen()
 * when it can serve: until the first one does, clients are refused; after that, they wait.
 */
#ifndef OPS_LISTEN_H
#define OPS_LISTEN_H

#include "config/config.h"

#include <sys/socket.h>

enum { LISTEN_TEXT_BYTES_MAX = 72, LISTEN_BACKLOG = 4096 };

struct listen_address {
        size_t service; /* in config->services */
        struct sockaddr_storage address;
        socklen_t address_len;
        char text[LISTEN_TEXT_BYTES_MAX]; /* "127.0.0.1:2525", "[::1]:25" */
        struct place at;
        bool is_optional; /* one of several that a name or a wildcard stands for */
        int *fds;         /* one for each loop; -1: not open */
};

struct listen_set {
        struct listen_address *list;
        size_t count;
        size_t loop_count; /* how many fds each address has */
};

/*
 * The addresses of all inet services, by their own host or by inet_interfaces and inet_protocols. Errors go to
 * *findings: a name or port that does not exist, an address that two services want.
 */
void listen_plan(const struct config *c, size_t loop_count, struct listen_set *out,
                 struct findings *findings);

/*
 * Opens and binds what is not open. Errors: in use, not an address of this machine, not allowed; each with its line
 * in master.cf and the cure. Optional addresses that this machine does not have are left out.
 */
void listen_open(struct listen_set *set, struct findings *findings);

/* Moves descriptors of addresses that both have from `from` to `to`. */
void listen_take_over(struct listen_set *to, struct listen_set *from);

/* Leaves out those that are neither open nor in `kept`: optional ones that this machine does not have. */
void listen_drop_closed(struct listen_set *set, const struct listen_set *kept);

/* The one with this text, or NULL. */
struct listen_address *listen_find(const struct listen_set *set, const char *text);

/* Closes all that is open. */
void listen_done(struct listen_set *set);

#endif
