/* map.c - forepost map query, list, build: what look-up tables say, and the files they are made of */
#include "bin/command.h"
#include "table/build.h"
#include "table/table.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024, KEY_BYTES_MAX = 64 * 1024 };

/* A table for this command alone. NULL: it has been said why. */
static struct table *open_table(const struct args *args, struct table_set **set)
{
        struct why why;
        struct str spec = str_from(args->words[0]);
        *set = table_set_new(".");
        /* settings in main.cf: pgsql:name and the like */
        while (str_starts(spec, STR("proxy:")))
                spec = str_tail(spec, strlen("proxy:"));
        struct str name = spec;
        struct str type = str_cut(&name, ':');
        if (config_table_setting(type, 0) && name.len && name.ptr[0] != '/' && name.ptr[0] != '.') {
                struct config *c = command_config_load(args);
                if (!c)
                        return NULL;
                table_set_use_config(*set, c);
                config_unref(&c);
        }
        struct table *table =
                table_open(*set, str_from(args->words[0]), (struct place){.line = 0}, NULL, &why);
        if (!table)
                command_error("%s", why.text);
        return table;
}

/* 0: found and printed */
static int query(struct table *table, struct str key, bool wants_key)
{
        struct arena arena;
        struct str value;
        struct why why;
        arena_init(&arena, ANSWER_BYTES_MAX);
        enum table_result result = await_table_find(table, key, &arena, &value, &why);
        if (result == TABLE_FOUND && wants_key)
                printf("%.*s\t%.*s\n", STR_ARG(key), STR_ARG(value));
        else if (result == TABLE_FOUND)
                printf("%.*s\n", STR_ARG(value));
        else if (result == TABLE_ERROR)
                command_error("%s", why.text);
        arena_done(&arena);
        return result == TABLE_FOUND ? EXIT_DONE : EXIT_FAILED;
}

/* Keys from standard input, one a line; done when at least one was found. */
static int query_lines(struct table *table)
{
        static char line[KEY_BYTES_MAX];
        int code = EXIT_FAILED;
        while (fgets(line, sizeof(line), stdin)) {
                struct str key = str_trim(str_from(line));
                if (key.len && query(table, key, true) == EXIT_DONE)
                        code = EXIT_DONE;
        }
        return code;
}

static int run_query(const struct args *args)
{
        struct table_set *set;
        struct table *table = open_table(args, &set);
        int code = EXIT_FAILED;
        if (table && strcmp(args->words[1], "-") == 0)
                code = query_lines(table);
        else if (table)
                code = query(table, str_from(args->words[1]), false);
        table_set_free(&set);
        return code;
}

const struct command command_map_query = {
        .group = "map",
        .name = "query",
        .operands = "TYPE:NAME KEY",
        .summary = "Looks KEY up in a table and prints what it says",
        .help = "KEY is asked as it is, in lower case for tables that fold it. \"-\": keys come from\n"
                "standard input, one a line, and are printed with their values. Exit code 1 and no\n"
                "output: not found.\n",
        .flags = command_no_flags,
        .words_min = 2,
        .words_max = 2,
        .run = run_query,
};

/* ---- list ---- */

static bool print_entry(void *context, struct str key, struct str value)
{
        return printf("%.*s\t%.*s\n", STR_ARG(key), STR_ARG(value)) >= 0;
}

static int run_list(const struct args *args)
{
        struct table_set *set;
        struct table *table = open_table(args, &set);
        bool is_listed = table && table_each(table, print_entry, NULL);
        if (table && !is_listed)
                command_error(
                        "%s has no list of its keys: what it says depends on what it is asked; "
                        "see forepost map query",
                        args->words[0]);
        table_set_free(&set);
        return is_listed ? EXIT_DONE : EXIT_FAILED;
}

const struct command command_map_list = {
        .group = "map",
        .name = "list",
        .operands = "TYPE:NAME",
        .summary = "Prints all entries of a table",
        .help = "\"KEY<tab>VALUE\", as postmap -s; for tables that have a list of their keys: hash, btree,\n"
                "texthash, inline, cdb, lmdb.\n",
        .flags = command_no_flags,
        .words_min = 1,
        .words_max = 1,
        .run = run_list,
};

/* ---- build ---- */

enum { FLAG_ALIASES = 1 };

static const struct args_flag build_flags[] = {
        {"--aliases", FLAG_ALIASES, "the text is \"name: value\", as postalias reads it"},
        {NULL, 0, NULL},
};

static int build(const char *spec, enum table_text_format format)
{
        struct findings findings;
        struct why why;
        size_t entries;
        findings_init(&findings);
        int rc = table_build(str_from(spec), ".", format, &findings, &entries, &why);
        for (const struct finding *f = findings.first; f; f = f->next) {
                static char line[4096];
                finding_format(f, line, sizeof(line));
                fputs(line, stderr);
        }
        if (rc < 0)
                command_error("%s", why.text);
        else
                printf("%s: %zu entries\n", spec, entries);
        findings_done(&findings);
        return rc < 0 ? EXIT_FAILED : EXIT_DONE;
}

static int run_build(const struct args *args)
{
        int code = EXIT_DONE;
        for (size_t i = 0; i < args->word_count; i++)
                if (build(args->words[i],
                          args->flags & FLAG_ALIASES ? TABLE_TEXT_ALIASES : TABLE_TEXT_MAP))
                        code = EXIT_FAILED;
        return code;
}

const struct command command_map_build = {
        .group = "map",
        .name = "build",
        .operands = "TYPE:FILE...",
        .summary = "Makes the file that a cdb: or lmdb: table maps from its text FILE",
        .help = "FILE.cdb or FILE.lmdb is replaced at once when the new one is whole; a server that runs\n"
                "takes it by itself. hash:, btree: and texthash: are read from their text: for these the\n"
                "text is only checked.\n",
        .flags = build_flags,
        .words_min = 1,
        .words_max = ARGS_WORDS_MAX,
        .run = run_build,
};
