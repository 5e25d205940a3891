/* dnsbl.c - forepost dnsbl: the lists in the DNS, and whether they are well */
#include "bin/ask.h"
#include "bin/command.h"

enum { AS_JSON = 1 };

static int run_dnsbl(const struct args *args)
{
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        const struct request request = {.verb = REQUEST_DNSBL,
                                        .wants_json = (args->flags & AS_JSON) != 0};
        int code = command_ask(c, &request);
        config_unref(&c);
        return code;
}

static const struct args_flag dnsbl_flags[] = {
        {"--json", AS_JSON, "one object, with all figures of each list"},
        {NULL, 0, NULL},
};

const struct command command_dnsbl = {
        .name = "dnsbl",
        .operands = "",
        .summary = "Shows the lists in the DNS that the server asks, and whether they are well",
        .help = "asked    clients, names and addresses looked up since the start\n"
                "listed   how many were on the list\n"
                "would    how many of these its filter wants: would be refused if the list stood alone\n"
                "refused  how many were refused by it\n"
                "failed   questions without an answer, or with one that means no listing\n"
                "ms       how long an answer takes that is not in the cache, on average\n"
                "A list that is not well is switched off: its next line says since when and why.\n",
        .flags = dnsbl_flags,
        .run = run_dnsbl,
};
