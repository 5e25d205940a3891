/*
 * postconf_master.c - postconf -M, -P and -F: the lines of master.cf, their parameters, their fields
 *
 * A pattern is service/type, service/type/parameter or service/type/field; what is left out, and "*", is any.
 */
#include "bin/postconf.h"

enum { FIELDS = MASTER_COLUMNS, PARAMETERS_MAX = 1000, ARGUMENTS_BYTES_MAX = 1024 * 1024 };

static const char *const field_names[FIELDS] = {"service",       "type",   "private",
                                                "unprivileged",  "chroot", "wakeup",
                                                "process_limit", "command"};

/* The columns in which the fields begin, when those before them leave the room. */
static const size_t field_columns[FIELDS] = {0, 11, 17, 25, 33, 41, 49, 57};

static bool is_any(struct str pattern)
{
        return str_is_empty(pattern) || str_eq(pattern, STR("*"));
}

/* *rest is the third part. */
static bool matches(const struct master_entry *e, const char *pattern, struct str *rest)
{
        struct str all = str_from(pattern);
        struct str service = str_cut(&all, '/');
        struct str type = str_cut(&all, '/');
        *rest = all;
        return (is_any(service) || str_eq(service, e->columns[0])) &&
               (is_any(type) || str_eq(type, e->columns[1]));
}

/* "{ a = b c }" as Postfix prints it: "{a=b c}" */
static void append_argument(struct buf *out, struct str argument)
{
        struct str name, value;
        struct why why;
        if (argument.len && argument.ptr[0] == '{' &&
            config_master_override(argument, &name, &value, &why) == 0)
                buf_printf(out, "{%.*s=%.*s}", STR_ARG(name), STR_ARG(value));
        else
                buf_append_str(out, argument);
}

/* An option and its value stand together: "-o name=value". */
static bool next_group(struct str *rest, struct buf *group)
{
        struct str argument;
        buf_clear(group);
        if (!config_master_argument(rest, &argument))
                return false;
        append_argument(group, argument);
        bool is_option = str_eq(argument, STR("-o"));
        if (is_option && config_master_argument(rest, &argument)) {
                buf_append_char(group, ' ');
                append_argument(group, argument);
        }
        return true;
}

/* Behind a fold only words that are no -o stand on one line. */
static void print_arguments(const struct postconf *p, struct str rest, size_t column)
{
        struct buf group;
        buf_init(&group, ARGUMENTS_BYTES_MAX);
        bool was_option = false;
        while (next_group(&rest, &group)) {
                struct str text = buf_str(&group);
                bool is_option = str_starts(text, STR("-o "));
                if (p->folds && (is_option || was_option || column + 1 + text.len > 80)) {
                        printf("\n    ");
                        column = 4;
                } else {
                        putchar(' ');
                        column++;
                }
                printf("%.*s", STR_ARG(text));
                column += text.len;
                was_option = is_option;
        }
        buf_done(&group);
}

static void print_entry(const struct postconf *p, const struct master_entry *e)
{
        size_t column = 0;
        for (int i = 0; i < FIELDS; i++) {
                size_t blanks = i == 0                      ? 0
                                : column < field_columns[i] ? field_columns[i] - column
                                                            : 1;
                printf("%*s%.*s", (int)blanks, "", STR_ARG(e->columns[i]));
                column += blanks + e->columns[i].len;
        }
        print_arguments(p, e->arguments, column);
        putchar('\n');
}

/* ---- -F ---- */

static void print_field(const struct postconf *p, const struct master_entry *e, int field)
{
        struct buf text;
        char name[600];
        buf_init(&text, ARGUMENTS_BYTES_MAX);
        buf_append_str(&text, e->columns[field]);
        struct str rest = e->arguments;
        struct buf group;
        buf_init(&group, ARGUMENTS_BYTES_MAX);
        while (field == FIELDS - 1 && next_group(&rest, &group))
                buf_printf(&text, " %.*s", STR_ARG(buf_str(&group)));
        buf_done(&group);
        snprintf(name, sizeof(name), "%.*s/%.*s/%s", STR_ARG(e->columns[0]), STR_ARG(e->columns[1]),
                 field_names[field]);
        if (p->hides_values)
                printf("%s\n", name);
        else if (p->hides_names)
                printf("%.*s\n", STR_ARG(buf_str(&text)));
        else
                printf("%s = %.*s\n", name, STR_ARG(buf_str(&text)));
        buf_done(&text);
}

static void print_fields(const struct postconf *p, const struct master_entry *e, struct str wanted)
{
        for (int i = 0; i < FIELDS; i++)
                if (is_any(wanted) || str_eq(wanted, str_from(field_names[i])))
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

static void print_parameters(const struct postconf *p, const struct master_entry *e,
                             struct str wanted)
{
        static struct parameter list[PARAMETERS_MAX];
        size_t count = 0;
        struct str rest = e->arguments, argument;
        while (config_master_argument(&rest, &argument)) {
                struct parameter *one = &list[count];
                struct why why;
                if (str_eq(argument, STR("-o"))) {
                        if (!config_master_argument(&rest, &argument))
                                break;
                } else if (str_starts(argument, STR("-o"))) {
                        argument = str_tail(argument, 2);
                } else {
                        continue;
                }
                if (count == PARAMETERS_MAX ||
                    config_master_override(argument, &one->name, &one->value, &why) < 0)
                        continue;
                size_t at = 0;
                while (at < count && !str_eq(list[at].name, one->name))
                        at++;
                if (at == count)
                        count++;
                else
                        list[at] = *one; /* the last counts */
        }
        qsort(list, count, sizeof(*list), compare_parameters);
        for (size_t i = 0; i < count; i++) {
                char name[1200];
                if (!is_any(wanted) && !str_eq(wanted, list[i].name))
                        continue;
                snprintf(name, sizeof(name), "%.*s/%.*s/%.*s", STR_ARG(e->columns[0]),
                         STR_ARG(e->columns[1]), STR_ARG(list[i].name));
                postconf_print(p, str_from(name), list[i].value);
        }
}

/* ---- all of them ---- */

static bool print_matching(const struct postconf *p, const char *pattern)
{
        bool is_found = false;
        for (const struct master_entry *e = config_master(p->config); e; e = e->next) {
                struct str rest;
                if (!matches(e, pattern, &rest))
                        continue;
                is_found = true;
                if (p->mode == 'M')
                        print_entry(p, e);
                else if (p->mode == 'P')
                        print_parameters(p, e, rest);
                else
                        print_fields(p, e, rest);
        }
        return is_found;
}

int postconf_master(const struct postconf *p, char *const *patterns, size_t count)
{
        if (count == 0)
                print_matching(p, "");
        for (size_t i = 0; i < count; i++)
                if (!print_matching(p, patterns[i]))
                        name_warning("unmatched request: \"%s\"", patterns[i]);
        return EXIT_DONE;
}
