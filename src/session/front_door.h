/*
 * front_door.h - who is here, and who comes too often (anvil(8))
 *
 * Counts connections at once (smtpd_client_connection_count_limit) and within anvil_rate_time_unit
 * (smtpd_client_connection_rate_limit), over all loops, by client address or its prefix
 * (smtpd_client_ipv4_prefix_length, smtpd_client_ipv6_prefix_length), and by whole networks
 * (network_connection_count_limit and its kin); and how many messages, recipients and handshakes each client has brought
 * in that time. Apart from clients, it counts the seats: connections of each service (maxproc of master.cf) and
 * of all together (connection_limit). Addresses that are gone are forgotten when their minute is over, and the
 * table has a ceiling: over it strangers are not counted rather than turned away.
 *
 * Threads: any.
 */
#ifndef SESSION_FRONT_DOOR_H
#define SESSION_FRONT_DOOR_H

#include "session/screen_cache.h"
#include "session/session.h"

struct front_door_client;

enum { FRONT_DOOR_CLIENTS_MAX = 1000000 };

enum front_door_answer {
        FRONT_DOOR_WELCOME,
        FRONT_DOOR_TOO_MANY,
        FRONT_DOOR_TOO_OFTEN,
        FRONT_DOOR_NETWORK_TOO_MANY,
        FRONT_DOOR_NETWORK_TOO_OFTEN,
};

struct front_door_limits {
        int64_t connections_max; /* at once; 0: no limit */
        int64_t rate_max;        /* within unit_ms; 0: no limit */
        int64_t unit_ms;
        int ipv4_prefix_bits; /* of 32 */
        int ipv6_prefix_bits;
        /* the same for whole networks; both 0: networks are not counted */
        int64_t network_connections_max, network_rate_max;
        int network_ipv4_prefix_bits, network_ipv6_prefix_bits;
};

/*
 * A connection has come. Also those that are turned away count while they last: *client is to be given to
 * front_door_leave() whatever the answer; it may be NULL.
 */
enum front_door_answer front_door_enter(struct front_door *d, const unsigned char address[16],
                                        const struct front_door_limits *limits, int64_t now_ms,
                                        struct front_door_client **client);
void front_door_leave(struct front_door *d, struct front_door_client **client);

enum front_door_event {
        FRONT_DOOR_MESSAGE,
        FRONT_DOOR_RECIPIENT,
        FRONT_DOOR_HANDSHAKE,
        FRONT_DOOR_EVENTS
};

/* How many connections of this client there are; 0 for NULL: it is not counted. */
size_t front_door_client_count(struct front_door *d, const struct front_door_client *client);
/* One more of these by this client: how many now, within its unit_ms. 0 for NULL (a client without limits). */
int64_t front_door_note(struct front_door *d, struct front_door_client *client,
                        enum front_door_event event, int64_t now_ms);

/* Clients and networks that are counted now. */
size_t front_door_count(struct front_door *d);
/* Who has passed postscreen's tests. */
struct screen_cache *front_door_known(const struct front_door *d);
/* What the counts and the known clients have taken of memory, and what they could take. */
size_t front_door_bytes(struct front_door *d);
size_t front_door_bytes_max(const struct front_door *d);

/* While it is closed (`forepost queue drain`) clients are told 421, at the greeting or at their next MAIL. */
void front_door_close(struct front_door *d, bool is_closed);
bool front_door_is_closed(const struct front_door *d);

/*
 * May the postmaster be told of one more session? At most `rate_max` within unit_ms (0: no limit), all loops together. True:
 * *untold is how many he was not told of since the last.
 */
bool front_door_may_tell(struct front_door *d, int64_t rate_max, int64_t unit_ms, int64_t now_ms,
                         size_t *untold);

/*
 * Takes a seat for a connection of this service; give it back with front_door_rise(). False, and *seat is NULL:
 * service_max or all_max are taken (0: no limit). Services are known by name, over reloads.
 */
struct front_door_service;
bool front_door_sit(struct front_door *d, struct str service, int64_t service_max, int64_t all_max,
                    struct front_door_service **seat);
void front_door_rise(struct front_door *d, struct front_door_service **seat);
/*
 * Are nearly all seats taken (STRESS_README)? From seven eighths of service_max or all_max on, until they are down to three
 * quarters. *has_changed: it is otherwise than at the last call.
 */
bool front_door_is_crowded(struct front_door *d, struct front_door_service *seat,
                           int64_t service_max, int64_t all_max, bool *has_changed);

#endif
