/*
 * forepost.c - the program: finds the command that is meant and runs it
 *
 * Commands are in files of their own. What a command finds goes to standard output, what went wrong to
 * standard error. Exit codes: command.h.
 */
#include "bin/names.h"
#include "ops/maildrop.h"

#include "base/check.h"

static const struct command *const commands[] = {
        &command_serve,        &command_check,         &command_config,
        &command_map_query,    &command_map_list,      &command_map_build,
        &command_map_import,   &command_queue_list,    &command_queue_show,
        &command_queue_count,  &command_queue_flush,   &command_queue_delete,
        &command_queue_hold,   &command_queue_release, &command_queue_requeue,
        &command_queue_expire, &command_queue_drain,   &command_queue_accept,
        &command_queue_verify, &command_queue_export,  &command_queue_import,
        &command_reload,       &command_stop,          &command_status,
        &command_dnsbl,        &command_spf,           &command_dns,
        &command_manual,       &command_explain,       &command_replay,
        &command_sessions,
};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(*commands) };

const struct command *command_at(size_t i)
{
        return i < COMMAND_COUNT ? commands[i] : NULL;
}

static const char *const groups[] = {"map", "queue", NULL};

static bool is(const char *a, const char *b)
{
        return a && strcmp(a, b) == 0;
}

static void print_command_line(const struct command *c)
{
        char words[64];
        snprintf(words, sizeof(words), "%s%s%s%s%s", c->group ? c->group : "", c->group ? " " : "",
                 c->name, *c->operands ? " " : "", c->operands);
        printf("  %-24s %s\n", words, c->summary);
}

static void print_common_options(void)
{
        printf("\nOptions of every command:\n"
               "  -c DIR          configuration directory (default /etc/forepost)\n"
               "  -o NAME=VALUE   overrides main.cf; may be given several times\n"
               "  --help\n"
               "\nExit codes: 0 done, 1 failed, 2 wrong usage, 3 the server is not running.\n");
}

/* All commands, or (group) those of one. */
static void print_overview(const char *group)
{
        printf("Usage: forepost %s%sCOMMAND [OPTION...]\n\nCommands:\n", group ? group : "",
               group ? " " : "");
        for (size_t i = 0; i < COMMAND_COUNT; i++)
                if (!group || is(commands[i]->group, group))
                        print_command_line(commands[i]);
        print_common_options();
        printf("\n\"forepost COMMAND --help\" tells more about one.\n");
}

static void print_help(const struct command *c)
{
        printf("Usage: forepost %s%s%s [OPTION...]%s%s\n\n%s.\n", c->group ? c->group : "",
               c->group ? " " : "", c->name, *c->operands ? " " : "", c->operands, c->summary);
        if (*c->help)
                printf("\n%s", c->help);
        if (c->flags[0].name)
                printf("\nOptions:\n");
        for (const struct args_flag *f = c->flags; f->name; f++) {
                char name[64];
                snprintf(name, sizeof(name), "%s%s%s", f->name, f->value ? " " : "",
                         f->value ? f->value : "");
                printf("  %-*s %s\n", f->value ? 22 : 15, name, f->help);
        }
        print_common_options();
}

static const struct command *find_command(const char *group, const char *name)
{
        for (size_t i = 0; i < COMMAND_COUNT; i++) {
                const struct command *c = commands[i];
                if (is(c->name, name) && (group ? is(c->group, group) : !c->group))
                        return c;
        }
        return NULL;
}

static bool is_group(const char *word)
{
        for (size_t i = 0; groups[i]; i++)
                if (is(groups[i], word))
                        return true;
        return false;
}

static int unknown(const char *group, const char *word)
{
        const char *names[COMMAND_COUNT + sizeof(groups) / sizeof(*groups) + 1];
        size_t count = 0;
        for (size_t i = 0; i < COMMAND_COUNT; i++)
                if (group ? is(commands[i]->group, group) : !commands[i]->group)
                        names[count++] = commands[i]->name;
        for (size_t i = 0; !group && groups[i]; i++)
                names[count++] = groups[i];
        names[count] = NULL;
        const char *nearest = args_nearest(word, names);
        command_error("unknown command \"%s%s%.50s\"%s%s%s", group ? group : "", group ? " " : "",
                      word, nearest ? "; did you mean \"" : "; see forepost --help",
                      nearest ? nearest : "", nearest ? "\"?" : "");
        return EXIT_USAGE;
}

/* The words of the command itself are taken off the front. */
static int run(const struct command *c, int argc, char *const *argv)
{
        static struct args args;
        struct why why;
        if (args_parse(&args, argc, argv, c->flags, &why) < 0) {
                command_error("%s; see forepost %s%s%s --help", why.text, c->group ? c->group : "",
                              c->group ? " " : "", c->name);
                return EXIT_USAGE;
        }
        if (args.wants_help) {
                print_help(c);
                return EXIT_DONE;
        }
        size_t own = c->group ? 2 : 1;
        check(args.word_count >= own);
        args.word_count -= own;
        memmove(args.words, args.words + own, args.word_count * sizeof(*args.words));
        if (args.word_count < c->words_min || args.word_count > c->words_max) {
                command_error("usage: forepost %s%s%s%s%s", c->group ? c->group : "",
                              c->group ? " " : "", c->name, *c->operands ? " " : "", c->operands);
                return EXIT_USAGE;
        }
        return c->run(&args);
}

static int find_and_run(int argc, char *const *argv)
{
        static struct args look;
        struct why why;
        if (args_parse(&look, argc, argv, NULL, &why) < 0) {
                command_error("%s; see forepost --help", why.text);
                return EXIT_USAGE;
        }
        if (look.word_count == 0) {
                if (look.wants_version) {
                        printf("forepost %s\n", FOREPOST_VERSION);
                        return EXIT_DONE;
                }
                if (look.wants_help) {
                        print_overview(NULL);
                        return EXIT_DONE;
                }
                command_error("which command? see forepost --help");
                return EXIT_USAGE;
        }
        const char *word = look.words[0];
        if (!is_group(word)) {
                const struct command *c = find_command(NULL, word);
                return c ? run(c, argc, argv) : unknown(NULL, word);
        }
        if (look.word_count == 1) {
                if (look.wants_help) {
                        print_overview(word);
                        return EXIT_DONE;
                }
                command_error("%s what? see forepost %s --help", word, word);
                return EXIT_USAGE;
        }
        const struct command *c = find_command(word, look.words[1]);
        return c ? run(c, argc, argv) : unknown(word, look.words[1]);
}

int main(int argc, char **argv)
{
        maildrop_lay_rights_down();
        name_main *name = name_find(argv[0]);
        int code = name ? name(argc, argv) : find_and_run(argc - 1, argv + 1);
        if (fflush(stdout) != 0 || ferror(stdout)) {
                if (code == EXIT_DONE)
                        code = EXIT_FAILED;
        }
        return code;
}
