/* args.c - the command line */
#include "bin/args.h"

#include <errno.h>

static bool is(const char *a, const char *b)
{
        return strcmp(a, b) == 0;
}

static int add_override(struct args *args, const char *name_value, struct why *why)
{
        const char *equals = strchr(name_value, '=');
        if (!equals || equals == name_value)
                return why_set(why, -EINVAL, "-o wants NAME=VALUE, not \"%.100s\"", name_value);
        if (args->override_count == ARGS_OVERRIDES_MAX)
                return why_set(why, -EINVAL, "more than %d times -o", ARGS_OVERRIDES_MAX);
        struct config_override *o = &args->override[args->override_count++];
        *o = (struct config_override){.name_value = name_value};
        if (args->override_count > 1)
                args->override[args->override_count - 2].next = o;
        return 0;
}

static int add_word(struct args *args, const char *word, struct why *why)
{
        if (args->word_count == ARGS_WORDS_MAX)
                return why_set(why, -EINVAL, "more than %d words", ARGS_WORDS_MAX);
        args->words[args->word_count++] = word;
        return 0;
}

static int add_value(struct args *args, const struct args_flag *flag, const char *text,
                     struct why *why)
{
        if (args->value_count == ARGS_VALUES_MAX)
                return why_set(why, -EINVAL, "more than %d options with values", ARGS_VALUES_MAX);
        args->flags |= flag->bit;
        args->values[args->value_count++] = (struct args_value){flag->bit, text};
        return 0;
}

/* 1: `next` was taken too. */
static int add_flag(struct args *args, const char *option, const char *next,
                    const struct args_flag *flags, struct why *why)
{
        if (is(option, "--help") || is(option, "-h")) {
                args->wants_help = true;
                return 0;
        }
        if (is(option, "--version") && (!flags || args->word_count == 0)) {
                args->wants_version = true;
                return 0;
        }
        if (!flags)
                return 0;
        for (const struct args_flag *f = flags; f->name; f++) {
                if (!f->value && is(f->name, option)) {
                        args->flags |= f->bit;
                        return 0;
                }
                size_t len = strlen(f->name);
                if (f->value && strncmp(option, f->name, len) == 0) {
                        if (option[len] == '=')
                                return add_value(args, f, option + len + 1, why);
                        if (!option[len] && !next)
                                return why_set(why, -EINVAL, "%s wants %s", f->name, f->value);
                        if (!option[len]) {
                                int rc = add_value(args, f, next, why);
                                return rc < 0 ? rc : 1;
                        }
                }
        }
        return why_set(why, -EINVAL, "unknown option \"%.100s\"", option);
}

/* -c DIR or -cDIR, -o NAME=VALUE or -oNAME=VALUE. 1: it was one of them; *i stands on its last word. */
static int take_common(struct args *args, int argc, char *const *argv, int *i, struct why *why)
{
        const char *option = argv[*i];
        if (option[0] != '-' || (option[1] != 'c' && option[1] != 'o'))
                return 0;
        const char *value = option + 2;
        if (!*value) {
                if (*i + 1 == argc)
                        return why_set(why, -EINVAL, "%s wants %s", option,
                                       option[1] == 'c' ? "a directory" : "NAME=VALUE");
                value = argv[++*i];
        }
        if (option[1] == 'o') {
                int rc = add_override(args, value, why);
                return rc < 0 ? rc : 1;
        }
        if (!*value)
                return why_set(why, -EINVAL, "-c wants a directory");
        args->dir = value;
        return 1;
}

int args_parse(struct args *args, int argc, char *const *argv, const struct args_flag *flags,
               struct why *why)
{
        *args = (struct args){.dir = "/etc/forepost"};
        bool is_over = false;
        for (int i = 0; i < argc; i++) {
                int rc = 0;
                if (!is_over && is(argv[i], "--")) {
                        is_over = true;
                        continue;
                }
                if (is_over || argv[i][0] != '-' || !argv[i][1]) {
                        rc = add_word(args, argv[i], why);
                } else {
                        rc = take_common(args, argc, argv, &i, why);
                        if (rc == 0 &&
                            (rc = add_flag(args, argv[i], i + 1 < argc ? argv[i + 1] : NULL, flags,
                                           why)) > 0)
                                i++;
                }
                if (rc < 0)
                        return rc;
        }
        return 0;
}

const char *args_value(const struct args *args, unsigned bit)
{
        for (size_t i = args->value_count; i > 0; i--)
                if (args->values[i - 1].bit == bit)
                        return args->values[i - 1].text;
        return NULL;
}

const struct config_override *args_overrides(const struct args *args)
{
        return args->override_count ? args->override : NULL;
}

static size_t min3(size_t a, size_t b, size_t c)
{
        size_t ab = a < b ? a : b;
        return ab < c ? ab : c;
}

/* Letters to change, put in or leave out (Levenshtein). */
static size_t distance(const char *a, const char *b)
{
        enum { NAME_MAX_BYTES = 32 };
        size_t row[NAME_MAX_BYTES + 1];
        size_t b_len = strlen(b);
        if (strlen(a) > NAME_MAX_BYTES || b_len > NAME_MAX_BYTES)
                return SIZE_MAX;
        for (size_t j = 0; j <= b_len; j++)
                row[j] = j;
        for (size_t i = 1; a[i - 1]; i++) {
                size_t corner = row[0];
                row[0] = i;
                for (size_t j = 1; j <= b_len; j++) {
                        size_t above = row[j];
                        row[j] = min3(above + 1, row[j - 1] + 1,
                                      corner + (char_lower(a[i - 1]) != char_lower(b[j - 1])));
                        corner = above;
                }
        }
        return row[b_len];
}

const char *args_nearest(const char *word, const char *const *names)
{
        const char *best = NULL;
        size_t best_distance = strlen(word) < 5 ? 2 : 3; /* must be nearer than this */
        for (; *names; names++) {
                size_t d = distance(word, *names);
                if (d < best_distance) {
                        best = *names;
                        best_distance = d;
                }
        }
        return best;
}
