/*
 * queue_change.c - forepost queue flush, delete, hold, release, requeue, expire, drain, accept: what is to become of
 * the messages that wait
 *
 * All of them need the server.
 */
#include "base/clock.h"
#include "bin/queue.h"

#include <unistd.h>

enum { ID_LINE_BYTES = 128, LOOK_MS = 200, TELL_MS = 5000 };

static int ask(const struct config *c, enum request_verb verb, const struct queue_select *select,
               const char *id)
{
        const struct request request = {.verb = verb, .id = str_from(id), .select = *select};
        return command_ask(c, &request);
}

/* "-": ids from standard input, one a line. */
static int ask_for_lines(const struct config *c, enum request_verb verb,
                         const struct queue_select *select)
{
        char line[ID_LINE_BYTES];
        int code = EXIT_DONE;
        while (code != EXIT_NOT_RUNNING && fgets(line, sizeof(line), stdin)) {
                struct str id = str_trim(str_from(line));
                if (!id.len)
                        continue;
                const struct request request = {.verb = verb, .id = id, .select = *select};
                int one = command_ask(c, &request);
                if (one != EXIT_DONE)
                        code = one;
        }
        return code;
}

/* The same for each id; with none for all that the options select. */
static int run_change(const struct args *args, enum request_verb verb)
{
        struct queue_select select;
        struct why why;
        if (queue_selection(args, &select, &why) < 0) {
                command_error("%s", why.text);
                return EXIT_USAGE;
        }
        if (!args->word_count && queue_select_is_empty(&select) && verb != REQUEST_QUEUE_FLUSH) {
                command_error("which messages? ids, ALL, or options that select some");
                return EXIT_USAGE;
        }
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        int code = EXIT_DONE;
        for (size_t i = 0; i < args->word_count || i == 0; i++) {
                const char *word = i < args->word_count ? args->words[i] : "";
                int one = strcmp(word, "-") ? ask(c, verb, &select, word)
                                            : ask_for_lines(c, verb, &select);
                if (one != EXIT_DONE)
                        code = one;
                if (one == EXIT_NOT_RUNNING)
                        break;
        }
        config_unref(&c);
        return code;
}

static int run_flush(const struct args *args)
{
        return run_change(args, REQUEST_QUEUE_FLUSH);
}

static int run_delete(const struct args *args)
{
        return run_change(args, REQUEST_QUEUE_DELETE);
}

static int run_hold(const struct args *args)
{
        return run_change(args, REQUEST_QUEUE_HOLD);
}

static int run_release(const struct args *args)
{
        return run_change(args, REQUEST_QUEUE_RELEASE);
}

static int run_expire(const struct args *args)
{
        return run_change(args, REQUEST_QUEUE_EXPIRE);
}

static int run_requeue(const struct args *args)
{
        return run_change(args, REQUEST_QUEUE_REQUEUE);
}

/* ---- drain ---- */

static void take_count(void *context, char mark, struct str piece)
{
        int64_t *count = context;
        if (mark == '|')
                str_to_int64(str_trim(piece), 0, INT64_MAX, count);
}

static int count_queue(const struct config *c, int64_t *count)
{
        const struct request request = {.verb = REQUEST_QUEUE_COUNT};
        struct why why;
        *count = -1;
        int rc = control_ask_for(c, &request, take_count, count, &why);
        if (rc == 0 && *count >= 0)
                return EXIT_DONE;
        command_error("%s", rc ? why.text : "the server does not say how many messages it has");
        return rc == -ENOTCONN ? EXIT_NOT_RUNNING : EXIT_FAILED;
}

static int wait_until_empty(const struct config *c, int64_t wait_s)
{
        int64_t deadline_ms = clock_mono_ms() + wait_s * 1000;
        int64_t tell_ms = clock_mono_ms() + TELL_MS;
        for (;;) {
                int64_t left;
                int code = count_queue(c, &left);
                if (code != EXIT_DONE)
                        return code;
                if (left == 0) {
                        puts("empty; no mail is taken until \"forepost queue accept\"");
                        return EXIT_DONE;
                }
                int64_t now_ms = clock_mono_ms();
                if (now_ms >= deadline_ms) {
                        command_error("%lld message%s still there; forepost queue list says why, "
                                      "forepost queue export takes them elsewhere",
                                      (long long)left, left == 1 ? " is" : "s are");
                        return EXIT_FAILED;
                }
                if (now_ms >= tell_ms) {
                        fprintf(stderr, "%lld left\n", (long long)left);
                        tell_ms = now_ms + TELL_MS;
                }
                usleep(LOOK_MS * 1000);
        }
}

static int run_drain(const struct args *args)
{
        const struct queue_select every = {0};
        int64_t wait_s = 60;
        const char *text = args_value(args, WAIT_AT_MOST);
        if (text && str_to_int64(str_from(text), 0, 1000000, &wait_s) < 0) {
                command_error("--wait wants seconds, not \"%.40s\"", text);
                return EXIT_USAGE;
        }
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        int code = ask(c, REQUEST_QUEUE_DRAIN, &every, "");
        if (code == EXIT_DONE)
                code = wait_until_empty(c, wait_s);
        config_unref(&c);
        return code;
}

static int run_accept(const struct args *args)
{
        const struct queue_select every = {0};
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        int code = ask(c, REQUEST_QUEUE_ACCEPT, &every, "");
        config_unref(&c);
        return code;
}

static const struct args_flag select_flags[] = {
        QUEUE_SELECT_FLAGS,
        {NULL, 0, NULL, NULL},
};

#define SELECTING                                                                                \
        "ALL is every message, \"-\" reads ids from standard input. Options choose among them; " \
        "with options\nalone all that they choose are meant.\n"

const struct command command_queue_flush = {
        .group = "queue",
        .name = "flush",
        .operands = "[ID...]",
        .summary = "Tries messages now: all, those named, or those for one destination",
        .help = "Those on hold stay there. Destinations that rest after failures are tried too.\n"
                "Options choose messages: --destination example.org, --destination [core1]:25.\n",
        .flags = select_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_flush,
};

const struct command command_queue_delete = {
        .group = "queue",
        .name = "delete",
        .operands = "[ID...|ALL|-]",
        .summary = "Deletes messages; nobody is told",
        .help = "One that is being delivered goes when its attempt is over.\n" SELECTING,
        .flags = select_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_delete,
};

const struct command command_queue_hold = {
        .group = "queue",
        .name = "hold",
        .operands = "[ID...|ALL|-]",
        .summary = "Puts messages on hold: they are not tried",
        .help = SELECTING,
        .flags = select_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_hold,
};

const struct command command_queue_release = {
        .group = "queue",
        .name = "release",
        .operands = "[ID...|ALL|-]",
        .summary = "Takes messages from hold, and tries them",
        .help = SELECTING,
        .flags = select_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_release,
};

const struct command command_queue_requeue = {
        .group = "queue",
        .name = "requeue",
        .operands = "[ID...|ALL|-]",
        .summary = "Tries messages now as if they were new: routes are looked up again",
        .help = "Also those on hold, which are released. One that is being delivered is tried again when its\n"
                "attempt is over.\n" SELECTING,
        .flags = select_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_requeue,
};

const struct command command_queue_expire = {
        .group = "queue",
        .name = "expire",
        .operands = "[ID...|ALL|-]",
        .summary = "Gives messages up: they go back to their senders when they are due",
        .help = "No further attempt is made; \"queue flush\" makes them due now. Those on hold stay there until they\n"
                "are released. In listings # stands behind the id.\n" SELECTING,
        .flags = select_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_expire,
};

static const struct args_flag drain_flags[] = {
        {"--wait", WAIT_AT_MOST, "give up after so long (default 60)", "SECONDS"},
        {NULL, 0, NULL, NULL},
};

const struct command command_queue_drain = {
        .group = "queue",
        .name = "drain",
        .operands = "",
        .summary = "Empties the queue before it is taken away",
        .help = "From now on clients are answered 421, at their next connection or message, so that they go to\n"
                "another relay; all messages that are not on hold are tried at once. Returns when the queue is\n"
                "empty (0), or with how many are left (1). It lasts until \"forepost queue accept\", over restarts too.\n",
        .flags = drain_flags,
        .run = run_drain,
};

const struct command command_queue_accept = {
        .group = "queue",
        .name = "accept",
        .operands = "",
        .summary = "Takes mail again, after \"queue drain\"",
        .help = "",
        .flags = command_no_flags,
        .run = run_accept,
};
