/*
 * queue.c - forepost queue list, show, count: what waits
 *
 * They ask the server, or, when none runs, read the queue themselves.
 */
#include "bin/queue.h"
#include "base/clock.h"
#include "ops/maildrop.h"
#include "ops/queue_directory.h"
#include "ops/queue_print.h"

#include <errno.h>

enum { PEEK_BYTES_MAX = 64 * 1024 * 1024 };

/* ---- with no server ---- */

struct peek {
        enum request_verb verb;
        struct str id;
        const struct queue_select *select;
        int64_t now_us;
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
                if (queue_select_matches(p->select, info, p->now_us))
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
        struct peek p = {.verb = request->verb,
                         .id = request->id,
                         .select = &request->select,
                         .now_us = clock_wall_us()};
        struct why why;
        buf_init(&p.text, PEEK_BYTES_MAX);
        queue_print_begin(&p.print, request->wants_json, &p.text);
        p.print.is_plain = request->wants_plain;
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        queue_directory_find(c, directory);
        int rc = spool_peek(str_from(directory), peek_one, &p, &why);
        size_t left = rc == 0 || rc == -ENOENT ? maildrop_list(c, peek_one, &p) : 0;
        if (rc == -ENOENT && left)
                rc = 0;
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
        struct why why;
        struct request request = {.verb = verb,
                                  .wants_json = args->flags & AS_JSON,
                                  .wants_plain = args->flags & AS_MAILQ,
                                  .id = str_from(id)};
        if (queue_selection(args, &request.select, &why) < 0) {
                command_error("%s", why.text);
                return EXIT_USAGE;
        }
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        int rc = control_ask(c, &request, &why);
        int code = EXIT_DONE;
        if (rc == -ENOTCONN && queue_select_is_nexthop(&request.select)) {
                command_error("which messages go to a next hop only a running server knows");
                code = EXIT_NOT_RUNNING;
        } else if (rc == -ENOTCONN) {
                code = read_queue(c, &request);
        } else if (rc != 0) {
                command_error("%s", why.text);
                code = EXIT_FAILED;
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

static const struct args_flag list_flags[] = {
        {"--json", AS_JSON, "one object a line, as postqueue -j prints them", NULL},
        {"--mailq", AS_MAILQ, "exactly as Postfix's mailq, without the next attempt", NULL},
        QUEUE_SELECT_FLAGS,
        {NULL, 0, NULL, NULL},
};

const struct command command_queue_list = {
        .group = "queue",
        .name = "list",
        .operands = "",
        .summary = "Lists the messages that wait, as mailq does",
        .help = "Works without a server too. Behind the id: * is being delivered, ! is on hold.\n"
                "Each message shows why it waits and when it is tried next. Options choose messages.\n",
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
