/*
 * proxy.h - a content filter in front of the queue: the SMTP dialogue with it (smtpd_proxy_filter)
 *
 * One connection for each message: opened with greeting, EHLO and XFORWARD behind it, then commands as the client gave
 * them, then the text. The filter answers for the message: it is never ours (SMTPD_PROXY_README).
 *
 * What goes wrong with the filter itself is logged here, in Postfix's words, and comes out as 451 4.3.0.
 *
 * Waits:   await_*, smtpd_proxy_timeout for each step.     Threads: a dialogue belongs to its session's task.
 * Memory:  replies are in the arena that is given; a dialogue costs two buffers while it is open.
 * Not here: what is said when (session_proxy.c). Why not delivery's client: doc/decisions/0066-filters-before-the-queue.md
 */
#ifndef SESSION_PROXY_H
#define SESSION_PROXY_H

#include "config/config.h"
#include "message/envelope.h"
#include "smtp/reply.h"
#include "wire/endpoint.h"

/* Which filter a service has; without a name (endpoint.text is empty) none. */
struct proxy_filter {
        struct endpoint endpoint;
        bool adjusts_speed; /* smtpd_proxy_options = speed_adjust: it gets the message when all of it is here */
};

/*
 * smtpd_proxy_filter and smtpd_proxy_options. As Postfix takes it: "unix:path", "inet:host:port", "host:port", or a port alone, on
 * this host. 0, or -EINVAL with *why and the name of the *parameter that is wrong.
 */
int proxy_filter_parse(const struct params *params, struct arena *arena, struct proxy_filter *out,
                       const char **parameter, struct why *why);

struct proxy_dialogue;

/* What of a reply is wanted: a digit of its class, or whatever it is. */
enum proxy_wants { PROXY_WANTS_OK = 2, PROXY_WANTS_MORE = 3, PROXY_WANTS_ANY = 0 };

struct proxy_dialogue *proxy_dialogue_new(const struct proxy_filter *filter,
                                          const struct params *params);
/* Closes. QUIT is said where it can be understood; nothing of a text that has not ended makes a message. */
void proxy_dialogue_free(struct proxy_dialogue **d);

/*
 * Connects, and all up to XFORWARD, which tells client_*, helo, protocol, first_id and is_local of `origin`. False: *reply is what
 * the client hears.
 */
bool await_proxy_open(struct proxy_dialogue *d, const struct envelope *origin, struct arena *arena,
                      struct smtp_reply *reply);
/*
 * A command, without its line end, and its reply. False: not what is wanted, and *reply is for the client: the filter's refusal in
 * its own words, or 451 when it is gone, too slow, or makes no sense. True with PROXY_WANTS_ANY: a reply of the classes 2, 4 or 5.
 */
bool await_proxy_command(struct proxy_dialogue *d, struct str command, enum proxy_wants wants,
                         struct arena *arena, struct smtp_reply *reply);
/* Text of the message, lines ending in CR LF; sent when there is enough of it. False: the filter is gone. */
bool await_proxy_text(struct proxy_dialogue *d, struct str text);
/* The end of the text, and what the filter says of the message; as await_proxy_command() with PROXY_WANTS_ANY. */
bool await_proxy_end(struct proxy_dialogue *d, struct arena *arena, struct smtp_reply *reply);

/* What the client hears when it is not the filter's own answer. */
static inline struct smtp_reply proxy_failure(void)
{
        return smtp_reply_make(451, "4.3.0", STR("Error: queue file write error"));
}

/* For tests: the commands for what the filter `offers` (1 << enum smtp_attribute), each with CR LF, into `out`. */
size_t proxy_xforward_format(unsigned offers, const struct envelope *e, struct arena *arena,
                             struct buf *out);
/* For tests: the attributes that the lines of an EHLO reply offer. */
unsigned proxy_xforward_offer(struct str lines);

#endif
