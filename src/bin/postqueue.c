/*
 * postqueue.c - postqueue(1) and mailq(1): the queue as every user may see it
 *
 * Listings are those of `forepost queue list`. Exit codes are Postfix's, of sysexits.h.
 */
#include "bin/names.h"
#include "bin/queue.h"

#include <sysexits.h>
#include <unistd.h>

static int usage(void)
{
        return name_fatal(EX_USAGE,
                          "usage: postqueue [-c config_dir] -f | -i queue_id | -j | -p | -s site");
}

/* Lists the queue; the server's refusals and a queue that cannot be read are told by the command. */
static int list(const char *directory, bool as_json)
{
        static struct args args;
        args = (struct args){.dir = directory, .flags = as_json ? AS_JSON : AS_MAILQ};
        int code = command_queue_list.run(&args);
        return code == EXIT_DONE ? EX_OK : code == EXIT_NOT_RUNNING ? EX_UNAVAILABLE : EX_SOFTWARE;
}

static void say_nothing(void *context, char mark, struct str piece)
{
}

/* A domain, or an address in brackets (RFC 5321 4.1.3). */
static bool is_site(const char *text)
{
        size_t len = strlen(text);
        for (const char *p = text; *p; p++)
                if (!char_is_alnum(*p) && !strchr(".-_[]:", *p))
                        return false;
        return len > 0 && len < 256;
}

static bool is_queue_id(const char *text)
{
        size_t len = strlen(text);
        for (const char *p = text; *p; p++)
                if (!char_is_alnum(*p))
                        return false;
        return len > 0 && len < 32;
}

/* Tries all, or one, or those for one site. */
int name_flush_queue(const char *directory, const char *id, const char *site)
{
        if (*id && !is_queue_id(id))
                return name_fatal(EX_DATAERR, "Flush queue ID: invalid queue ID: \"%.100s\"", id);
        if (*site && !is_site(site))
                return name_fatal(EX_DATAERR,
                                  "Cannot flush mail queue - invalid destination: \"%.100s\"",
                                  site);
        struct config *c = name_config(directory, NULL, NULL);
        if (!c)
                return EX_CONFIG;
        const struct request request = {.verb = REQUEST_QUEUE_FLUSH,
                                        .id = str_from(id),
                                        .select = {.destination = str_from(site)}};
        struct why why;
        int rc = control_ask_for(c, &request, say_nothing, NULL, &why);
        config_unref(&c);
        if (rc == -ENOTCONN)
                return name_fatal(EX_UNAVAILABLE, "Cannot flush mail queue - mail system is down");
        if (rc == -EACCES || rc == ANSWER_NOT_PERMITTED)
                return name_fatal(EX_NOPERM, "%s", why.text);
        if (rc < 0)
                return name_fatal(EX_UNAVAILABLE, "%s", why.text);
        /* one that is not there (any more) needs no attempt: Postfix says nothing either */
        return EX_OK;
}

int name_postqueue(int argc, char **argv)
{
        const char *directory = NULL;
        const char *value = "";
        int mode = 0;
        int option;
        while ((option = getopt(argc, argv, "+c:fi:jps:v")) >= 0) {
                switch (option) {
                case 'c':
                        directory = optarg;
                        break;
                case 'v':
                        break;
                case '?':
                        return usage();
                default:
                        if (mode)
                                return usage();
                        mode = option;
                        value = optarg ? optarg : "";
                        break;
                }
        }
        if (optind < argc || mode == 0)
                return usage();
        if (strchr("is", mode) && !*value)
                return name_fatal(EX_DATAERR, "-%c wants a value", mode);
        directory = name_directory(directory);
        return mode == 'p' || mode == 'j' ? list(directory, mode == 'j')
                                          : name_flush_queue(directory, mode == 'i' ? value : "",
                                                             mode == 's' ? value : "");
}

int name_list_queue(const char *directory)
{
        return list(directory, false);
}
