/*
 * queue.c - forepost queue: what waits, and what is to become of it
 *
 * list, show and count ask the server, or, when none runs, read the queue themselves. What changes
 * something needs the server.
 */
#include "bin/ask.h"
#include "ops/queue_directory.h"
#include "ops/queue_print.h"

#include <errno.h>

enum { AS_JSON = 1, PEEK_BYTES_MAX = 64 * 1024 * 1024 };

/* ---- with no server ---- */

struct peek {
        enum request_verb verb;
        struct str id;
        struct queue_print print;
        struct buf text;
        bool is_found;
};

static void write_out(struct buf *text)
{
        fwrite(buf_str(text).ptr, 1, text->len, stdout);
        buf_clear(text);
}

static void peek_one(void *context, const struct spool_info *info)
{
        struct peek *p = context;
        if (p->verb == REQUEST_QUEUE_LIST) {
                queue_print_message(&p->print, info);
        } else if (p->verb == REQUEST_QUEUE_COUNT) {
                p->print.count++;
        } else if (str_eq(str_from(info->id), p->id)) {
                queue_print_details(&p->text, info);
                p->is_found = true;
        }
        write_out(&p->text);
}

static void finish_peek(struct peek *p)
{
        if (p->verb == REQUEST_QUEUE_LIST)
                queue_print_end(&p->print);
        else if (p->verb == REQUEST_QUEUE_COUNT)
                buf_printf(&p->text, "%zu\n", p->print.count);
        write_out(&p->text);
}

static int read_queue(const struct config *c, const struct request *request)
{
        struct peek p = {.verb = request->verb, .id = request->id};
        struct why why;
        buf_init(&p.text, PEEK_BYTES_MAX);
        queue_print_begin(&p.print, request->wants_json, &p.text);
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        queue_directory_find(c, directory);
        int rc = spool_peek(str_from(directory), peek_one, &p, &why);
        if (rc == 0)
                finish_peek(&p);
        buf_done(&p.text);
        if (rc == -ENOENT) {
                command_error("the server is not running, and there is no queue yet (%s)",
                              directory);
                return EXIT_NOT_RUNNING;
        }
        if (rc == -EWOULDBLOCK)
                command_error("the server is just starting or ending; try again");
        else if (rc < 0)
                command_error("%s", why.text);
        else if (request->verb != REQUEST_QUEUE_SHOW)
                return EXIT_DONE;
        else if (p.is_found)
                command_error("the server is not running, so the content is not shown");
        else
                command_error("no message %.*s in the queue", STR_ARG(request->id));
        return rc == 0 && p.is_found ? EXIT_DONE : EXIT_FAILED;
}

/* ---- commands ---- */

static int ask_or_read(const struct args *args, enum request_verb verb, const char *id)
{
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        const struct request request = {
                .verb = verb, .wants_json = args->flags & AS_JSON, .id = str_from(id)};
        struct why why;
        int rc = control_ask(c, &request, &why);
        int code = EXIT_DONE;
        if (rc == -ENOTCONN) {
                code = read_queue(c, &request);
        } else if (rc != 0) {
                command_error("%s", why.text);
                code = EXIT_FAILED;
        }
        config_unref(&c);
        return code;
}

/* The same for each id; "none" is asked once. */
static int ask_for_each(const struct args *args, enum request_verb verb)
{
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        int code = EXIT_DONE;
        for (size_t i = 0; i < args->word_count || i == 0; i++) {
                const struct request request = {
                        .verb = verb, .id = str_from(i < args->word_count ? args->words[i] : "")};
                int one = command_ask(c, &request);
                if (one != EXIT_DONE)
                        code = one;
                if (one == EXIT_NOT_RUNNING)
                        break;
        }
        config_unref(&c);
        return code;
}

static int run_list(const struct args *args)
{
        return ask_or_read(args, REQUEST_QUEUE_LIST, "");
}

static int run_count(const struct args *args)
{
        return ask_or_read(args, REQUEST_QUEUE_COUNT, "");
}

static int run_show(const struct args *args)
{
        return ask_or_read(args, REQUEST_QUEUE_SHOW, args->words[0]);
}

static int run_flush(const struct args *args)
{
        return ask_for_each(args, REQUEST_QUEUE_FLUSH);
}

static int run_delete(const struct args *args)
{
        return ask_for_each(args, REQUEST_QUEUE_DELETE);
}

static int run_hold(const struct args *args)
{
        return ask_for_each(args, REQUEST_QUEUE_HOLD);
}

static int run_release(const struct args *args)
{
        return ask_for_each(args, REQUEST_QUEUE_RELEASE);
}

static const struct args_flag list_flags[] = {
        {"--json", AS_JSON, "one object a line, as postqueue -j prints them"},
        {NULL, 0, NULL},
};

const struct command command_queue_list = {
        .group = "queue",
        .name = "list",
        .operands = "",
        .summary = "Lists the messages that wait, as mailq does",
        .help = "Works without a server too. Behind the id: * is being delivered, ! is on hold.\n",
        .flags = list_flags,
        .run = run_list,
};

const struct command command_queue_show = {
        .group = "queue",
        .name = "show",
        .operands = "ID",
        .summary = "Shows one message: envelope, state, reason, next attempt, content",
        .help = "Without a server the content is not shown.\n",
        .flags = command_no_flags,
        .words_min = 1,
        .words_max = 1,
        .run = run_show,
};

const struct command command_queue_count = {
        .group = "queue",
        .name = "count",
        .operands = "",
        .summary = "Prints how many messages are in the queue",
        .help = "Works without a server too.\n",
        .flags = command_no_flags,
        .run = run_count,
};

const struct command command_queue_flush = {
        .group = "queue",
        .name = "flush",
        .operands = "[ID...]",
        .summary = "Tries messages now, all or those named",
        .help = "Those on hold stay there.\n",
        .flags = command_no_flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run_flush,
};

const struct command command_queue_delete = {
        .group = "queue",
        .name = "delete",
        .operands = "ID...|ALL",
        .summary = "Deletes messages; nobody is told",
        .help = "One that is being delivered goes when its attempt is over.\n",
        .flags = command_no_flags,
        .words_min = 1,
        .words_max = ARGS_WORDS_MAX,
        .run = run_delete,
};

const struct command command_queue_hold = {
        .group = "queue",
        .name = "hold",
        .operands = "ID...|ALL",
        .summary = "Puts messages on hold: they are not tried",
        .help = "",
        .flags = command_no_flags,
        .words_min = 1,
        .words_max = ARGS_WORDS_MAX,
        .run = run_hold,
};

const struct command command_queue_release = {
        .group = "queue",
        .name = "release",
        .operands = "ID...|ALL",
        .summary = "Takes messages from hold, and tries them",
        .help = "",
        .flags = command_no_flags,
        .words_min = 1,
        .words_max = ARGS_WORDS_MAX,
        .run = run_release,
};
