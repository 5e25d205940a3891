/*
 * postmap.c - postmap(1) and postalias(1), and newaliases(1): asking tables, and making them
 *
 * The text of hash:, btree: and texthash: is what the server reads, so there is nothing to be made of it: the text is
 * looked at, what is wrong with it is said, and that is all. What a compiled type needs is made by table/.
 *
 * Not here: changing single entries (-d, -i): that would be a change of the compiled file behind its text's back.
 */
#include "bin/names.h"
#include "table/build.h"
#include "table/table.h"

#include <stdlib.h>
#include <unistd.h>

enum { SPEC_BYTES_MAX = 4200, ANSWER_BYTES_MAX = 16 * 1024 * 1024, HEADER_BYTES_MAX = 256 * 1024 };

enum key_mode { KEYS_ARE_LINES, KEYS_ARE_HEADERS, KEYS_ARE_BODY };

struct run {
        struct config *config; /* NULL: none was found, and none was asked for */
        struct table_set *set;
        char type[64]; /* default_database_type */
        const char *query;
        enum key_mode keys;
        bool lists;
        bool is_alias;
};

/* "map" is "hash:map" */
static void name_table(const struct run *r, const char *given, char out[SPEC_BYTES_MAX])
{
        snprintf(out, SPEC_BYTES_MAX, "%s%s%s", strchr(given, ':') ? "" : r->type,
                 strchr(given, ':') ? "" : ":", given);
}

static void say_findings(const struct run *r, const struct findings *findings)
{
        for (const struct finding *f = findings->first; f; f = f->next)
                if (!r->is_alias || strcmp(f->code, "table-alias-format") != 0)
                        name_warning("%.*s, line %d: %.*s", STR_ARG(f->file), f->line,
                                     STR_ARG(f->text));
}

/* NULL: it has been said why. */
static struct table *open_table(struct run *r, const char *given)
{
        static char spec[SPEC_BYTES_MAX];
        struct findings findings;
        struct why why;
        name_table(r, given, spec);
        findings_init(&findings);
        struct table *table =
                table_open(r->set, str_from(spec), (struct place){.line = 0}, &findings, &why);
        say_findings(r, &findings);
        findings_done(&findings);
        if (!table)
                name_fatal(1, "%s", why.text);
        return table;
}

/* ---- asking ---- */

/* TABLE_FOUND, TABLE_NOT_FOUND; TABLE_ERROR: said. */
static enum table_result ask(struct table *table, struct str key, bool shows_key)
{
        struct arena arena;
        struct str value;
        struct why why;
        arena_init(&arena, ANSWER_BYTES_MAX);
        enum table_result result = await_table_find(table, key, &arena, &value, &why);
        if (result == TABLE_FOUND && shows_key)
                printf("%.*s\t%.*s\n", STR_ARG(key), STR_ARG(value));
        else if (result == TABLE_FOUND)
                printf("%.*s\n", STR_ARG(value));
        else if (result == TABLE_ERROR)
                name_fatal(1, "table %.*s: query error: %s", STR_ARG(table_name(table)), why.text);
        arena_done(&arena);
        return result;
}

struct asking {
        struct table **tables;
        size_t count;
        int code;
};

/* The first table that knows it answers. False: one cannot be asked. */
static bool ask_all(struct asking *a, struct str key)
{
        enum table_result result = TABLE_NOT_FOUND;
        for (size_t i = 0; i < a->count && result == TABLE_NOT_FOUND; i++)
                result = ask(a->tables[i], key, true);
        if (result == TABLE_FOUND)
                a->code = EXIT_DONE;
        return result != TABLE_ERROR;
}

static bool ask_header(struct asking *a, struct buf *header)
{
        bool is_good = header->len == 0 || ask_all(a, buf_str(header));
        buf_clear(header);
        return is_good;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

/* postmap -h: each header of a message, with its continuation lines, is a key. */
static void ask_headers(struct asking *a)
{
        struct buf header;
        char *line;
        bool is_good = true;
        buf_init(&header, HEADER_BYTES_MAX);
        while (is_good && (line = name_read_line()) && *line) {
                if (is_blank(*line) && header.len)
                        buf_append_char(&header, '\n');
                else
                        is_good = ask_header(a, &header);
                buf_append_str(&header, str_from(line));
        }
        if (is_good)
                ask_header(a, &header);
        buf_done(&header);
}

static void ask_lines(struct asking *a, enum key_mode keys)
{
        char *line;
        bool is_body = keys != KEYS_ARE_BODY;
        while ((line = name_read_line())) {
                if (!is_body) {
                        is_body = *line == 0;
                        continue;
                }
                if (!ask_all(a, str_from(line)))
                        break;
        }
}

static int query(struct run *r, char *const *names, size_t count)
{
        struct table *tables[64];
        struct asking a = {.tables = tables, .code = EXIT_FAILED};
        if (count > 64)
                return name_fatal(1, "more than 64 tables");
        for (; a.count < count; a.count++)
                if (!(tables[a.count] = open_table(r, names[a.count])))
                        return EXIT_FAILED;
        if (strcmp(r->query, "-") == 0) {
                if (r->keys == KEYS_ARE_HEADERS)
                        ask_headers(&a);
                else
                        ask_lines(&a, r->keys);
                return a.code;
        }
        for (size_t i = 0; i < count; i++) {
                enum table_result result = ask(tables[i], str_from(r->query), false);
                if (result != TABLE_NOT_FOUND)
                        return result == TABLE_FOUND ? EXIT_DONE : EXIT_FAILED;
        }
        return EXIT_FAILED;
}

static bool print_entry(void *context, struct str key, struct str value)
{
        printf("%.*s\t%.*s\n", STR_ARG(key), STR_ARG(value));
        return true;
}

static int list(struct run *r, char *const *names, size_t count)
{
        for (size_t i = 0; i < count; i++) {
                struct table *table = open_table(r, names[i]);
                if (!table)
                        return EXIT_FAILED;
                if (!table_each(table, print_entry, NULL))
                        return name_fatal(1, "table %.*s: sequence operation is not supported",
                                          STR_ARG(table_name(table)));
        }
        return EXIT_DONE;
}

/* ---- making ---- */

static int make(struct run *r, const char *given)
{
        static char spec[SPEC_BYTES_MAX];
        struct findings findings;
        struct why why;
        size_t entries;
        name_table(r, given, spec);
        findings_init(&findings);
        int rc = table_build(str_from(spec), ".", r->is_alias ? TABLE_TEXT_ALIASES : TABLE_TEXT_MAP,
                             &findings, &entries, &why);
        say_findings(r, &findings);
        findings_done(&findings);
        return rc < 0 ? name_fatal(1, "%s", why.text) : EXIT_DONE;
}

static int make_all(struct run *r, char *const *names, size_t count)
{
        int code = EXIT_DONE;
        for (size_t i = 0; i < count && code == EXIT_DONE; i++)
                code = make(r, names[i]);
        return code;
}

/* ---- commands ---- */

static int usage(const struct run *r)
{
        return name_fatal(1, r->is_alias
                                     ? "usage: postalias [-fnNoprsvw] [-c config_dir] [-q key] "
                                       "[map_type:]file..."
                                     : "usage: postmap [-bfhnNoprsuUvw] [-c config_dir] [-q key] "
                                       "[map_type:]file...");
}

static void text_of(const struct run *r, const char *name, char *out, size_t room)
{
        struct arena arena;
        struct str value = STR("");
        arena_init(&arena, ANSWER_BYTES_MAX);
        if (r->config)
                config_text(r->config, str_from(name), CONFIG_EFFECTIVE_EXPANDED, &arena, &value);
        snprintf(out, room, "%.*s", STR_ARG(value));
        arena_done(&arena);
}

/* A table can be asked on a machine that has no main.cf. */
static int begin(struct run *r, const char *directory)
{
        const char *found = name_directory(directory);
        static char path[SPEC_BYTES_MAX];
        snprintf(path, sizeof(path), "%s/main.cf", found);
        if (directory || access(path, F_OK) == 0) {
                r->config = name_config(found, NULL, NULL);
                if (!r->config)
                        return EXIT_FAILED;
        }
        text_of(r, "default_database_type", r->type, sizeof(r->type));
        if (!r->type[0])
                snprintf(r->type, sizeof(r->type), "hash");
        r->set = table_set_new(".");
        return 0;
}

static void end(struct run *r)
{
        table_set_free(&r->set);
        config_unref(&r->config);
}

static int postmap(int argc, char **argv, bool is_alias)
{
        struct run r = {.is_alias = is_alias};
        const char *directory = NULL;
        int option;
        while ((option = getopt(argc, argv, "+bc:d:fFhimnNopq:rsuUvw")) >= 0) {
                switch (option) {
                case 'c':
                        directory = optarg;
                        break;
                case 'q':
                        r.query = optarg;
                        break;
                case 's':
                        r.lists = true;
                        break;
                case 'h':
                        r.keys = KEYS_ARE_HEADERS;
                        break;
                case 'b':
                        r.keys = KEYS_ARE_BODY;
                        break;
                case 'd':
                case 'i':
                        return name_fatal(1,
                                          "-%c is not here: edit the text of the table, which the "
                                          "server reads by itself",
                                          option);
                case 'F':
                case 'm':
                        return name_fatal(1, "-%c is not here", option);
                case '?':
                        return usage(&r);
                default: /* what says how Postfix makes a file, or how much is logged */
                        break;
                }
        }
        if (optind == argc || (r.query && r.lists))
                return usage(&r);
        int code = begin(&r, directory);
        size_t count = (size_t)(argc - optind);
        if (code == 0)
                code = r.query   ? query(&r, argv + optind, count)
                       : r.lists ? list(&r, argv + optind, count)
                                 : make_all(&r, argv + optind, count);
        end(&r);
        return code;
}

int name_postmap(int argc, char **argv)
{
        return postmap(argc, argv, false);
}

int name_postalias(int argc, char **argv)
{
        return postmap(argc, argv, true);
}

/* The files of alias_database. */
int name_make_aliases(const char *directory)
{
        struct run r = {.is_alias = true};
        static char files[SPEC_BYTES_MAX];
        int code = begin(&r, directory);
        if (code == 0) {
                text_of(&r, "alias_database", files, sizeof(files));
                struct str rest = str_from(files), item;
                while (code == 0 && config_list_next(&rest, &item)) {
                        static char one[SPEC_BYTES_MAX];
                        snprintf(one, sizeof(one), "%.*s", STR_ARG(item));
                        code = make(&r, one);
                }
        }
        end(&r);
        return code;
}
