/*
 * postconf.c - postconf(1): what holds, and what main.cf says
 */
#include "bin/postconf.h"

#include <stdlib.h>
#include <unistd.h>

enum { VALUES_BYTES_MAX = 16 * 1024 * 1024, COLUMNS_MAX = 80, OVERRIDES_MAX = 64 };

void postconf_print(const struct postconf *p, struct str name, struct str value)
{
        size_t column = 0;
        bool is_first = true;
        if (p->hides_values) {
                printf("%.*s\n", STR_ARG(name));
                return;
        }
        if (!p->hides_names) {
                printf("%.*s =", STR_ARG(name));
                column = name.len + 2;
        }
        struct str word;
        while (str_next_word(&value, " \t\r\n", &word)) {
                bool needs_blank = !is_first || !p->hides_names;
                if (p->folds && needs_blank && column + 1 + word.len > COLUMNS_MAX) {
                        printf("\n    ");
                        column = 4;
                } else if (needs_blank) {
                        putchar(' ');
                        column++;
                }
                printf("%.*s", STR_ARG(word));
                column += word.len;
                is_first = false;
        }
        putchar('\n');
}

static void print_one(void *context, struct str name)
{
        const struct postconf *p = context;
        struct arena arena;
        struct str value;
        enum config_value which = p->wants_defaults ? CONFIG_DEFAULT
                                  : p->expands      ? CONFIG_EFFECTIVE_EXPANDED
                                                    : CONFIG_EFFECTIVE_RAW;
        arena_init(&arena, VALUES_BYTES_MAX);
        struct config_description d;
        bool is_known = config_text(p->config, name, which, &arena, &value);
        if (p->wants_defaults && p->expands && config_describe(name, &d) &&
            !config_is_set(p->config, d.name))
                is_known = config_text(p->config, name, CONFIG_EFFECTIVE_EXPANDED, &arena, &value);
        if (is_known)
                postconf_print(p, name, value);
        else
                name_warning("%.*s: unknown parameter", STR_ARG(name));
        arena_done(&arena);
}

/* What an administrator must not overlook, as Postfix says it when main.cf is shown. */
static void print_doubts(const struct findings *findings)
{
        for (const struct finding *f = findings->first; f; f = f->next)
                if (strcmp(f->code, "unknown-parameter") == 0 ||
                    strcmp(f->code, "unknown-transport") == 0 ||
                    strcmp(f->code, "undefined-name") == 0 || strcmp(f->code, "syntax") == 0 ||
                    strcmp(f->code, "stray-continuation") == 0)
                        name_warning("%.*s:%d: %.*s", STR_ARG(f->file), f->line, STR_ARG(f->text));
}

static int list_parameters(const struct postconf *p, char *const *words, size_t count)
{
        struct postconf copy = *p;
        for (size_t i = 0; i < count; i++)
                print_one(&copy, str_from(words[i]));
        if (count == 0)
                config_each_of(p->config, p->classes, p->is_set_only, print_one, &copy);
        return EXIT_DONE;
}

static int class_of(const char *words, unsigned *classes)
{
        static const struct {
                const char *word;
                unsigned bits;
        } known[] = {{"builtin", CONFIG_BUILTIN},
                     {"service", CONFIG_OF_SERVICE},
                     {"user", CONFIG_OF_USER},
                     {"all", CONFIG_BUILTIN | CONFIG_OF_SERVICE | CONFIG_OF_USER}};
        struct str rest = str_from(words), word;
        *classes = 0;
        while (str_next_word(&rest, ", \t", &word)) {
                unsigned bits = 0;
                for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
                        if (str_eq_nocase(word, str_from(known[i].word)))
                                bits = known[i].bits;
                if (bits == 0)
                        return -1;
                *classes |= bits;
        }
        return 0;
}

static int usage(void)
{
        return name_fatal(
                1, "usage: postconf [-aAbdefhHlmMnPFptvxX#] [-c config_dir] [-C class] "
                   "[-o name=value] [-T compile-version|run-version|public-key-algorithms] "
                   "[name...] | [-e] name=value... | [-e] -M|-P|-F service/type...=value...");
}

/* What of `options` was given and is not `but`, or 0. */
static char find_option(const char *given, const char *options, char but)
{
        for (; *options; options++)
                if (*options != but && strchr(given, *options))
                        return *options;
        return 0;
}

static int check_options(const char *given)
{
        static const struct {
                const char *these, *those; /* none of these goes with another of those */
        } rules[] = {{"aAblmtTMFP", "aAblmtTMFPdC"},
                     {"eX#", "aAblmtTeX#dfhHnox"},
                     {"aAblmtT", "n"},
                     {"dn", "dnp"},
                     {"h", "H"},
                     {"M", "hHn"}};
        for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++)
                for (const char *one = rules[i].these; *one; one++) {
                        char other = find_option(given, rules[i].those, *one);
                        if (strchr(given, *one) && other)
                                return name_fatal(1, "specify one of -%c -%c", *one, other);
                }
        return 0;
}

static int change(const struct postconf *p, char *const *words, size_t count)
{
        if (count == 0)
                return name_fatal(1, p->mode == 'e' ? "-e requires name=value argument"
                                                    : "missing service argument");
        return p->table ? postconf_edit_master(p, words, count) : postconf_edit(p, words, count);
}

static int run(struct postconf *p, struct config_override *overrides, char *const *words,
               size_t count)
{
        if (p->mode && strchr("eX#", p->mode))
                return change(p, words, count);
        struct findings findings;
        findings_init(&findings);
        p->config = name_config(p->directory, overrides, &findings);
        int code = EXIT_FAILED;
        if (p->config && p->mode)
                code = postconf_templates(p, count ? words[0] : NULL);
        else if (p->config && p->table)
                code = postconf_master(p, words, count);
        else if (p->config)
                code = list_parameters(p, words, count);
        if (p->config && !p->wants_defaults && !p->mode)
                print_doubts(&findings);
        config_unref(&p->config);
        findings_done(&findings);
        return code;
}

struct given {
        struct config_override overrides[OVERRIDES_MAX + 1]; /* the first is that of -c */
        size_t override_count;
        const char *directory;
        char options[128]; /* each once */
};

static int take_value(struct postconf *p, struct given *g, int option, const char *value)
{
        if (option == 'c') {
                g->directory = value;
        } else if (option == 'C' && class_of(value, &p->classes) < 0) {
                return name_fatal(1, "no such class: %s", value);
        } else if (option == 'T') {
                p->about = value;
                p->mode = 'T';
        } else if (option == 'o') {
                if (g->override_count > OVERRIDES_MAX)
                        return name_fatal(1, "more than %d times -o", OVERRIDES_MAX);
                g->overrides[g->override_count].name_value = value;
                g->overrides[g->override_count - 1].next = &g->overrides[g->override_count];
                g->override_count++;
        }
        return 0;
}

static int take_option(struct postconf *p, struct given *g, int option)
{
        const struct {
                char option;
                bool *flag;
        } flags[] = {{'d', &p->wants_defaults}, {'n', &p->is_set_only}, {'x', &p->expands},
                     {'f', &p->folds},          {'h', &p->hides_names}, {'H', &p->hides_values}};
        if (option == '?')
                return usage();
        if (!strchr(g->options, option))
                g->options[strlen(g->options)] = (char)option;
        for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++)
                if (flags[i].option == option)
                        *flags[i].flag = true;
        if (strchr("MPF", option))
                p->table = (char)option;
        if (strchr("eX#aAblmt", option))
                p->mode = (char)option;
        return strchr("cCoT", option) ? take_value(p, g, option, optarg) : 0;
}

int name_postconf(int argc, char **argv)
{
        static struct given g = {.override_count = 1};
        static char own_directory[4200];
        struct postconf p = {.classes = CONFIG_BUILTIN | CONFIG_OF_SERVICE | CONFIG_OF_USER};
        int option, rc = 0;
        while (rc == 0 && (option = getopt(argc, argv, "+aAbc:C:deEfFhHlmMno:pPtT:vxX#")) >= 0)
                rc = take_option(&p, &g, option);
        char *const *words = argv + optind;
        size_t count = (size_t)(argc - optind);
        /* as Postfix since 2.8 */
        if (rc == 0 && count && strchr(words[0], '=') && (!p.mode || strchr("X#", p.mode)))
                rc = take_option(&p, &g, 'e');
        if (rc == 0)
                rc = check_options(g.options);
        if (rc)
                return rc;
        if (p.mode && strchr("aAlmT", p.mode))
                return postconf_built_in(&p);
        p.directory = name_directory(g.directory);
        struct config_override *first = g.overrides[0].next;
        if (g.directory || getenv("MAIL_CONFIG")) {
                snprintf(own_directory, sizeof(own_directory), "config_directory=%s", p.directory);
                g.overrides[0].name_value = own_directory;
                first = g.overrides;
        }
        return run(&p, first, words, count);
}
