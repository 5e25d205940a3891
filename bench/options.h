/* options.h - what the tools here have in common: numbers and the server's address on the command line */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

/* The value of -LETTER; ends the program when it is none from min to max. */
static inline long number_option(const char *text, long min, long max, char letter)
{
        char *end;
        long value = strtol(text, &end, 10);
        if (*end || end == text || value < min || value > max) {
                fprintf(stderr, "%s: -%c wants a number from %ld to %ld\n",
                        program_invocation_short_name, letter, min, max);
                exit(2);
        }
        return value;
}

/* ADDRESS PORT. Only loopback: nobody else is to be loaded by mistake. */
static inline struct sockaddr_in server_option(const char *address, const char *port)
{
        struct sockaddr_in server = {.sin_family = AF_INET};
        server.sin_port = htons((uint16_t)number_option(port, 1, 65535, 'p'));
        if (inet_pton(AF_INET, address, &server.sin_addr) != 1 ||
            ntohl(server.sin_addr.s_addr) >> 24 != 127) {
                fprintf(stderr, "%s: speaks to loopback addresses only, not %s\n",
                        program_invocation_short_name, address);
                exit(2);
        }
        return server;
}

#endif
