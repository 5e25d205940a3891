/* sessions.c - forepost sessions: who is connected to the server, what is being delivered, and what each waits for */
#include "bin/ask.h"
#include "bin/command.h"

enum { AS_JSON = 1, DELIVERIES = 2 };

static int run_sessions(const struct args *args)
{
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        const struct request request = {.verb = args->flags & DELIVERIES ? REQUEST_DELIVERIES
                                                                         : REQUEST_SESSIONS,
                                        .wants_json = (args->flags & AS_JSON) != 0};
        int code = command_ask(c, &request);
        config_unref(&c);
        return code;
}

static const struct args_flag sessions_flags[] = {
        {"--json", AS_JSON, "one object a line"},
        {"--deliveries", DELIVERIES, "what is being delivered, in the place of sessions"},
        {NULL, 0, NULL},
};

const struct command command_sessions = {
        .name = "sessions",
        .operands = "",
        .summary = "Lists the clients that are connected, and what each session waits for",
        .help = "Of each session: the client's name, address and port; since when; the last command,\n"
                "and what the session waits for now, and for how long. Below it: the service, the name in HELO, the\n"
                "sender and how many recipients when a message is on its way, how many messages\n"
                "were accepted before it, and what protects the connection.\n"
                "Sessions that begin while the listing is made may be missing from it.\n"
                "Of each delivery: transport and next hop, the message and for how many of its\n"
                "recipients, since when, and what it waits for; and connections that are kept for\n"
                "the next.\n",
        .flags = sessions_flags,
        .run = run_sessions,
};
