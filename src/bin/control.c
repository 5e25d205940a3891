/* control.c - forepost reload, stop, status: what is asked of a server that runs */
#include "bin/ask.h"
#include "ops/queue_directory.h"

enum { AS_JSON = 1, STOP_WAIT_MS = 60 * 1000 };

static int run_simple(const struct args *args, enum request_verb verb, const char *done)
{
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        const struct request request = {.verb = verb, .wants_json = args->flags & AS_JSON};
        int code = command_ask(c, &request);
        if (code == EXIT_DONE && verb == REQUEST_STOP &&
            queue_directory_wait(c, STOP_WAIT_MS) < 0) {
                command_error("the server was told to stop, and has not ended after a minute");
                code = EXIT_FAILED;
        }
        if (code == EXIT_DONE && done)
                puts(done);
        config_unref(&c);
        return code;
}

static int run_reload(const struct args *args)
{
        return run_simple(args, REQUEST_RELOAD, "reloaded");
}

static int run_stop(const struct args *args)
{
        return run_simple(args, REQUEST_STOP, "stopped");
}

static int run_status(const struct args *args)
{
        return run_simple(args, REQUEST_STATUS, NULL);
}

const struct command command_reload = {
        .name = "reload",
        .operands = "",
        .summary = "Makes the server read its configuration anew",
        .help = "Connections that are open go on with the old one. A configuration with errors is not\n"
                "taken: they are printed, the old one stays, and the exit code is 1.\n",
        .flags = command_no_flags,
        .run = run_reload,
};

const struct command command_stop = {
        .name = "stop",
        .operands = "",
        .summary = "Ends the server, and returns when it has ended",
        .help = "",
        .flags = command_no_flags,
        .run = run_stop,
};

static const struct args_flag status_flags[] = {
        {"--json", AS_JSON, "one object, with figures for each loop", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_status = {
        .name = "status",
        .operands = "",
        .summary = "Says what the server is doing, in figures",
        .help = "",
        .flags = status_flags,
        .run = run_status,
};
