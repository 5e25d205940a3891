/*
 * postconf.c - postconf(1): what holds, and what main.cf says
 *
 * Not here: templates of bounces (-b, -t), SASL plug-ins (-a, -A), OpenSSL's data (-T), changes of master.cf
 * (-e with -M, -F or -P): these say so and fail.
 */
#include "bin/postconf.h"
#include "table/table.h"

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

static int list_types(void)
{
        const char *names[64];
        size_t count = 0;
        for (size_t i = 0; table_type_name(i) && count < 64; i++) {
                size_t at = count++;
                for (; at && strcmp(names[at - 1], table_type_name(i)) > 0; at--)
                        names[at] = names[at - 1];
                names[at] = table_type_name(i);
        }
        for (size_t i = 0; i < count; i++)
                puts(names[i]);
        return EXIT_DONE;
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
                1, "usage: postconf [-dfhHMnPFxv] [-c config_dir] [-C class] [-o name=value] "
                   "[name...] | -e name=value... | -X name... | -# name... | -m");
}

static int set_mode(struct postconf *p, char mode)
{
        bool is_change = mode == 'e' || mode == 'X' || mode == '#';
        bool was_change = p->mode == 'e' || p->mode == 'X' || p->mode == '#';
        if ((is_change && p->mode && !was_change) || (was_change && !is_change))
                return name_fatal(1, "master.cf is not changed by this command: edit it");
        if (p->mode && p->mode != mode)
                return name_fatal(1, "specify one of -e, -m, -F, -M, -P, -X and -#");
        p->mode = mode;
        return 0;
}

static int run(struct postconf *p, struct config_override *overrides, char *const *words,
               size_t count)
{
        if (p->mode == 'e' || p->mode == 'X' || p->mode == '#')
                return postconf_edit(p, words, count);
        struct findings findings;
        findings_init(&findings);
        p->config = name_config(p->directory, overrides, &findings);
        int code = EXIT_FAILED;
        if (p->config && strchr("MPF", p->mode) && p->mode)
                code = postconf_master(p, words, count);
        else if (p->config)
                code = list_parameters(p, words, count);
        if (p->config && !p->wants_defaults)
                print_doubts(&findings);
        config_unref(&p->config);
        findings_done(&findings);
        return code;
}

int name_postconf(int argc, char **argv)
{
        static struct config_override overrides[OVERRIDES_MAX + 1];
        static char own_directory[4200];
        struct postconf p = {.classes = CONFIG_BUILTIN | CONFIG_OF_SERVICE | CONFIG_OF_USER};
        size_t override_count = 1;
        const char *directory = NULL;
        bool wants_change = false;
        int option, rc = 0;
        while (rc == 0 && (option = getopt(argc, argv, "+aAbc:C:deEfFhHlmMno:pPtT:vxX#")) >= 0) {
                switch (option) {
                case 'c':
                        directory = optarg;
                        break;
                case 'C':
                        if (class_of(optarg, &p.classes) < 0)
                                return name_fatal(1, "no such class: %s", optarg);
                        break;
                case 'o':
                        if (override_count > OVERRIDES_MAX)
                                return name_fatal(1, "more than %d times -o", OVERRIDES_MAX);
                        overrides[override_count].name_value = optarg;
                        overrides[override_count - 1].next = &overrides[override_count];
                        override_count++;
                        break;
                case 'd':
                        p.wants_defaults = true;
                        break;
                case 'n':
                        p.is_set_only = true;
                        break;
                case 'x':
                        p.expands = true;
                        break;
                case 'f':
                        p.folds = true;
                        break;
                case 'h':
                        p.hides_names = true;
                        break;
                case 'H':
                        p.hides_values = true;
                        break;
                case 'p':
                case 'v':
                        break;
                case 'e':
                case 'X':
                case '#':
                        wants_change = true;
                        rc = set_mode(&p, (char)option);
                        break;
                case 'm':
                case 'M':
                case 'P':
                case 'F':
                        rc = set_mode(&p, (char)option);
                        break;
                case '?':
                        return usage();
                default:
                        return name_fatal(1, "-%c is not here: there is no such thing in Forepost",
                                          option);
                }
        }
        if (rc)
                return rc;
        char *const *words = argv + optind;
        size_t count = (size_t)(argc - optind);
        if (p.mode == 0 && count && strchr(words[0], '=') && !wants_change)
                p.mode = 'e'; /* as Postfix since 2.8 */
        if (p.mode == 'm')
                return list_types();
        p.directory = name_directory(directory);
        struct config_override *first = overrides[0].next;
        if (directory || getenv("MAIL_CONFIG")) {
                snprintf(own_directory, sizeof(own_directory), "config_directory=%s", p.directory);
                overrides[0].name_value = own_directory;
                first = overrides;
        }
        return run(&p, first, words, count);
}
