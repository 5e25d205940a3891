/* config.c - forepost config: what holds, as postconf(1) prints it */
#include "bin/command.h"
#include "bin/manual.h"

enum { ONLY_SET = 1, DEFAULTS = 2, EXPANDED = 4, DOC = 8 };

enum { VALUES_BYTES_MAX = 16 * 1024 * 1024 };

struct printer {
        const struct config *config;
        enum config_value which;
        bool has_failed;
};

static void say_unknown(const char *name)
{
        const char *nearest = config_nearest(str_from(name));
        command_error("unknown parameter: %s%s%s%s", name, nearest ? " (did you mean " : "",
                      nearest ? nearest : "", nearest ? "?)" : "");
}

static void print(void *context, struct str name)
{
        struct printer *p = context;
        struct arena arena;
        struct str value;
        arena_init(&arena, VALUES_BYTES_MAX);
        if (config_text(p->config, name, p->which, &arena, &value)) {
                printf("%.*s =%s%.*s\n", STR_ARG(name), value.len ? " " : "", STR_ARG(value));
        } else {
                char text[256];
                snprintf(text, sizeof(text), "%.*s", STR_ARG(name));
                say_unknown(text);
                p->has_failed = true;
        }
        arena_done(&arena);
}

/* What the program knows by itself: there need not be a configuration. */
static int run_manual(const struct args *args)
{
        int code = EXIT_DONE;
        for (size_t i = 0; i < args->word_count; i++)
                if (!manual_print_one(args->words[i])) {
                        say_unknown(args->words[i]);
                        code = EXIT_FAILED;
                }
        if (args->word_count == 0)
                manual_print();
        return code;
}

static int run(const struct args *args)
{
        if (args->flags & DOC)
                return run_manual(args);
        struct config *c = command_config_load(args);
        if (!c)
                return EXIT_FAILED;
        struct printer p = {.config = c,
                            .which = args->flags & DEFAULTS   ? CONFIG_DEFAULT
                                     : args->flags & EXPANDED ? CONFIG_EFFECTIVE_EXPANDED
                                                              : CONFIG_EFFECTIVE_RAW};
        for (size_t i = 0; i < args->word_count; i++)
                print(&p, str_from(args->words[i]));
        if (args->word_count == 0)
                config_each(c, args->flags & ONLY_SET, print, &p);
        config_unref(&c);
        return p.has_failed ? EXIT_FAILED : EXIT_DONE;
}

static const struct args_flag flags[] = {
        {"-n", ONLY_SET, "only what main.cf (or -o) sets", NULL},
        {"-d", DEFAULTS, "defaults, whatever main.cf sets", NULL},
        {"-x", EXPANDED, "with $name replaced by its value", NULL},
        {"--doc", DOC, "the manual instead: what each is, its default and its range (Markdown)",
         NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_config = {
        .name = "config",
        .operands = "[NAME...]",
        .summary = "Prints what holds, \"name = value\", one a line",
        .help = "Without names all parameters that are known. Exit code 1 for an unknown name.\n",
        .flags = flags,
        .words_max = ARGS_WORDS_MAX,
        .run = run,
};
