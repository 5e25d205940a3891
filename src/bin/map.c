/* map.c - forepost map query: what a look-up table says, as postmap -q prints it */
#include "bin/command.h"
#include "table/table.h"

enum { ANSWER_BYTES_MAX = 16 * 1024 * 1024, KEY_BYTES_MAX = 64 * 1024 };

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
        struct findings findings;
        findings_init(&findings);
        struct table_set *set = table_set_new(".");
        struct why why;
        struct table *table = table_open(set, str_from(args->words[0]), (struct place){.line = 0},
                                         &findings, &why);
        int code = EXIT_FAILED;
        if (!table)
                command_error("%s", why.text);
        else if (strcmp(args->words[1], "-") == 0)
                code = query_lines(table);
        else
                code = query(table, str_from(args->words[1]), false);
        table_set_free(&set);
        findings_done(&findings);
        return code;
}

const struct command command_map_query = {
        .group = "map",
        .name = "query",
        .operands = "TYPE:NAME KEY",
        .summary = "Looks KEY up in a table and prints what it says",
        .help = "KEY is asked as it is, in lower case for tables that fold it. \"-\": keys come from\n"
                "standard input, one a line, and are printed with their values. Exit code 1 and no\n"
                "output: not found. Types: hash, btree, texthash (all read the text file), inline,\n"
                "static, cidr, regexp, pcre.\n",
        .flags = command_no_flags,
        .words_min = 2,
        .words_max = 2,
        .run = run_query,
};
