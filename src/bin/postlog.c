/*
 * postlog.c - postlog(1): lines of scripts go into the mail log
 *
 * Words on the command line are one line; without them each line of standard input is one. They go where
 * maillog_file says, by the server's own rules (who may write there is a matter of the file's mode), and with
 * syslog to syslog.
 */
#include "base/log.h"
#include "bin/names.h"
#include "ops/identity.h"
#include "ops/log_setup.h"

#include <unistd.h>

static int level_of(const char *word, enum log_level *level)
{
        static const struct {
                const char *word;
                enum log_level level;
        } known[] = {{"info", LOG_LEVEL_INFO},       {"warn", LOG_LEVEL_WARNING},
                     {"warning", LOG_LEVEL_WARNING}, {"error", LOG_LEVEL_ERROR},
                     {"fatal", LOG_LEVEL_FATAL},     {"panic", LOG_LEVEL_PANIC}};
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
                if (strcmp(known[i].word, word) == 0) {
                        *level = known[i].level;
                        return 0;
                }
        return -1;
}

static void log_words(enum log_level level, const char *tag, char *const *words, int count)
{
        struct buf line;
        buf_init(&line, LOG_LINE_BYTES_MAX);
        for (int i = 0; i < count; i++)
                if (buf_printf(&line, "%s%s", i ? " " : "", words[i]) < 0)
                        break;
        log_write(level, tag, "%.*s", STR_ARG(buf_str(&line)));
        buf_done(&line);
}

int name_postlog(int argc, char **argv)
{
        const char *directory = NULL;
        const char *tag = NULL;
        enum log_level level = LOG_LEVEL_INFO;
        int option;
        while ((option = getopt(argc, argv, "+c:ip:t:v")) >= 0) {
                if (option == 'c')
                        directory = optarg;
                else if (option == 't')
                        tag = optarg;
                else if (option == 'p' && level_of(optarg, &level) < 0)
                        return name_fatal(1, "unknown severity level: %s", optarg);
                else if (option == '?')
                        return name_fatal(1, "usage: postlog [-i] [-c config_dir] [-p priority] "
                                             "[-t tag] [text...]");
        }
        struct config *c = name_config(name_directory(directory), NULL, NULL);
        if (!c)
                return 1;
        struct identity me = {0};
        struct why why;
        int rc = log_setup_open(c, &me, &why);
        config_unref(&c);
        if (rc < 0)
                return name_fatal(1, "%s", why.text);
        if (optind < argc) {
                log_words(level, tag ? tag : "postlog", argv + optind, argc - optind);
                return 0;
        }
        char *line;
        while ((line = name_read_line()))
                log_write(level, tag ? tag : "postlog", "%s", line);
        return 0;
}
