/* serve.c - forepost serve: the mail server, in the foreground */
#include "bin/command.h"
#include "ops/supervisor.h"

static int run(const struct args *args)
{
        return supervisor_run(args->dir, args_overrides(args));
}

const struct command command_serve = {
        .name = "serve",
        .operands = "",
        .summary = "Serves mail, in the foreground, until it is told to stop",
        .help = "SIGTERM, SIGINT and \"forepost stop\" end it: what is under way may finish within ten\n"
                "seconds. SIGHUP and \"forepost reload\" read the configuration anew; one with errors\n"
                "is not taken. Started by root it serves as mail_owner, else as the user who starts it.\n",
        .flags = command_no_flags,
        .run = run,
};
