/* dns_open.h - for commands that ask the DNS: whom they ask, and a task to ask from */
#ifndef BIN_DNS_OPEN_H
#define BIN_DNS_OPEN_H

#include "config/config.h"
#include "dns/dns.h"

/*
 * The DNS that the configuration names; without one (NULL) the world's, as the defaults of dns_* have it; with `file`
 * what stands in that. NULL: it has been said on standard error why.
 */
struct dns *command_dns_open(const struct config *config, const char *file);

/* Runs fn(arg) as a task on a loop made for it, to its end; it leaves no question behind. */
void command_run_task(void (*fn)(void *arg), void *arg);

#endif
