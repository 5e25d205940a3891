/*
 * postconf_master.c - postconf -M, -P and -F: the lines of master.cf, their parameters, their fields
 *
 * A pattern is service/type, service/type/parameter or service/type/field; what is left out, and "*", is any.
 */
#include "bin/postconf.h"
#include "bin/postconf_entry.h"

#include <stdlib.h>

enum { TEXT_BYTES_MAX = 1024 * 1024 };

bool postconf_is_any(struct str pattern)
{
        return str_is_empty(pattern) || str_eq(pattern, STR("*"));
}

/* ---- -F ---- */

static void print_field(const struct postconf *p, const struct entry *e, size_t field)
{
        struct buf text;
        char name[600];
        buf_init(&text, TEXT_BYTES_MAX);
        if (field == ENTRY_COMMAND)
                entry_print_command(e, &text);
        else
                buf_append_str(&text, e->columns[field]);
        snprintf(name, sizeof(name), "%.*s/%.*s/%s", STR_ARG(e->columns[0]), STR_ARG(e->columns[1]),
                 entry_column_names[field]);
        if (p->hides_values)
                printf("%s\n", name);
        else if (p->hides_names)
                printf("%.*s\n", STR_ARG(buf_str(&text)));
        else
                printf("%s = %.*s\n", name, STR_ARG(buf_str(&text)));
        buf_done(&text);
}

static void print_fields(const struct postconf *p, const struct entry *e, struct str wanted)
{
        for (size_t i = 0; i < MASTER_COLUMNS; i++)
                if (postconf_is_any(wanted) || str_eq(wanted, str_from(entry_column_names[i])))
                        print_field(p, e, i);
}

/* ---- -P ---- */

struct parameter {
        struct str name;
        struct str value;
};

static int compare_parameters(const void *a, const void *b)
{
        return str_cmp(((const struct parameter *)a)->name, ((const struct parameter *)b)->name);
}

static void print_parameters(const struct postconf *p, const struct entry *e, struct str wanted)
{
        static struct parameter list[ENTRY_ARGUMENTS_MAX];
        size_t count = 0, at = 0, index;
        struct parameter one;
        while (entry_next_setting(e, &at, &index, &one.name, &one.value)) {
                size_t i = 0;
                while (i < count && !str_eq(list[i].name, one.name))
                        i++;
                list[i] = one; /* the last counts */
                count += i == count;
        }
        qsort(list, count, sizeof(*list), compare_parameters);
        for (size_t i = 0; i < count; i++) {
                char name[1200];
                if (!postconf_is_any(wanted) && !str_eq(wanted, list[i].name))
                        continue;
                snprintf(name, sizeof(name), "%.*s/%.*s/%.*s", STR_ARG(e->columns[0]),
                         STR_ARG(e->columns[1]), STR_ARG(list[i].name));
                postconf_print(p, str_from(name), list[i].value);
        }
}

/* ---- all of them ---- */

static void print_entry(const struct postconf *p, const struct entry *e)
{
        struct buf text;
        buf_init(&text, 2 * TEXT_BYTES_MAX);
        entry_print(e, p->folds, &text);
        fwrite(text.ptr, 1, text.len, stdout);
        buf_done(&text);
}

static void print_one(const struct postconf *p, const struct master_entry *m, struct str rest)
{
        static struct entry e;
        struct arena arena;
        struct why why;
        arena_init(&arena, 0);
        memcpy(e.columns, m->columns, sizeof(e.columns));
        if (entry_parse_arguments(&e, &arena, m->arguments, &why) < 0)
                name_warning("%.*s/%.*s: %s", STR_ARG(e.columns[0]), STR_ARG(e.columns[1]),
                             why.text);
        else if (p->table == 'M')
                print_entry(p, &e);
        else if (p->table == 'P')
                print_parameters(p, &e, rest);
        else
                print_fields(p, &e, rest);
        arena_done(&arena);
}

static bool print_matching(const struct postconf *p, const char *pattern)
{
        bool is_found = false;
        struct str rest = str_from(pattern);
        struct str service = str_cut(&rest, '/');
        struct str type = str_cut(&rest, '/');
        for (const struct master_entry *m = config_master(p->config); m; m = m->next) {
                if ((!postconf_is_any(service) && !str_eq(service, m->columns[0])) ||
                    (!postconf_is_any(type) && !str_eq(type, m->columns[1])))
                        continue;
                is_found = true;
                print_one(p, m, rest);
        }
        return is_found;
}

/* A pattern has no more parts than its option wants, and names a field that there is. */
static int check_pattern(const struct postconf *p, const char *pattern)
{
        struct str rest = str_from(pattern);
        str_cut(&rest, '/');
        str_cut(&rest, '/');
        if (p->table == 'M' && !str_is_empty(rest))
                return name_fatal(1, "-M option requires service_name[/type]");
        bool is_known = p->table != 'F' || postconf_is_any(rest);
        for (size_t i = 0; i < MASTER_COLUMNS; i++)
                is_known = is_known || str_eq(rest, str_from(entry_column_names[i]));
        return is_known ? 0
                        : name_fatal(1, "invalid service attribute name: \"%.*s\"", STR_ARG(rest));
}

int postconf_master(const struct postconf *p, char *const *patterns, size_t count)
{
        for (size_t i = 0; i < count; i++)
                if (check_pattern(p, patterns[i]))
                        return EXIT_FAILED;
        if (count == 0)
                print_matching(p, "");
        for (size_t i = 0; i < count; i++)
                if (!print_matching(p, patterns[i]))
                        name_warning("unmatched request: \"%s\"", patterns[i]);
        return EXIT_DONE;
}
