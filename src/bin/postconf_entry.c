/* postconf_entry.c - one line of master.cf, taken apart and printed */
#include "bin/postconf_entry.h"

#include <errno.h>

enum { LINE_COLUMNS_MAX = 79 }; /* those of main.cf may have 80 */

const char *const entry_column_names[MASTER_COLUMNS] = {"service",       "type",   "private",
                                                        "unprivileged",  "chroot", "wakeup",
                                                        "process_limit", "command"};

/* The columns in which the fields begin, when those before them leave the room. */
static const size_t field_columns[MASTER_COLUMNS] = {0, 11, 17, 25, 33, 41, 49, 57};

static bool has_blank(struct str s)
{
        return str_find(s, ' ') >= 0 || str_find(s, '\t') >= 0;
}

static struct str unbrace(struct str s)
{
        bool is_braced = s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}';
        return is_braced ? str_trim(str_part(s, 1, s.len - 2)) : s;
}

static bool put(struct entry *e, struct str argument)
{
        if (e->count == ENTRY_ARGUMENTS_MAX)
                return false;
        e->arguments[e->count++] = argument;
        return true;
}

/* "{ a = b }" becomes "a=b"; what is no setting stays. */
static struct str setting(struct arena *arena, struct str argument)
{
        struct str name, value;
        struct why why;
        if (config_master_override(argument, &name, &value, &why) < 0)
                return unbrace(argument);
        return arena_printf(arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
}

/* "-vo" is "-v" and "-o"; what stands behind the o, or else the next argument, is its value. */
static bool put_option(struct entry *e, struct arena *arena, struct str option, struct str *rest)
{
        ptrdiff_t at = str_find(option, 'o');
        struct str value = at < 0 ? STR("") : str_tail(option, (size_t)at + 1);
        if (at < 0)
                return put(e, option);
        if (at > 1 && !put(e, str_part(option, 0, (size_t)at)))
                return false;
        if (!put(e, STR("-o")))
                return false;
        if (str_is_empty(value) && !config_master_argument(rest, &value))
                return true;
        return put(e, setting(arena, value));
}

int entry_parse_arguments(struct entry *e, struct arena *arena, struct str text, struct why *why)
{
        struct str argument;
        bool are_options = true, is_good = true;
        e->count = e->option_count = 0;
        while (is_good && config_master_argument(&text, &argument)) {
                are_options = are_options && argument.ptr[0] == '-' && argument.len > 1 &&
                              argument.ptr[1] != '-';
                is_good = are_options ? put_option(e, arena, argument, &text)
                                      : put(e, unbrace(argument));
                if (are_options)
                        e->option_count = e->count;
        }
        return is_good ? 0 : why_set(why, -EINVAL, "more than %d arguments", ENTRY_ARGUMENTS_MAX);
}

int entry_parse(struct entry *e, struct arena *arena, struct str text, struct why *why)
{
        for (size_t i = 0; i < MASTER_COLUMNS; i++)
                if (!str_next_word(&text, " \t\r\n", &e->columns[i]))
                        return why_set(why, -EINVAL, "bad field count");
        return entry_parse_arguments(e, arena, str_trim(text), why);
}

static bool is_one_of(struct str value, const char *const *words)
{
        for (; *words; words++)
                if (str_eq(value, str_from(*words)))
                        return true;
        return false;
}

bool entry_column_is_good(size_t i, struct str value)
{
        static const char *const types[] = {"inet", "unix", "fifo", "pass", "unix-dgram", NULL};
        static const char *const answers[] = {"y", "n", "-", NULL};
        int64_t number;
        if (str_is_empty(value) || (i < ENTRY_COMMAND && has_blank(value)))
                return false;
        if (i == 1)
                return is_one_of(value, types);
        if (i >= 2 && i <= 4)
                return is_one_of(value, answers);
        if (i == 5 && value.len > 1 && str_ends(value, STR("?")))
                value.len--;
        if (i == 5 || i == 6)
                return str_eq(value, STR("-")) || str_to_int64(value, 0, INT32_MAX, &number) == 0;
        return true;
}

/* ---- printing ---- */

static void print_argument(struct str argument, struct buf *out)
{
        bool needs_braces = has_blank(argument) || str_is_empty(argument);
        buf_printf(out, needs_braces ? "{%.*s}" : "%.*s", STR_ARG(argument));
}

/* The arguments that stand together from *at on: an -o and its value, or one. */
static bool next_group(const struct entry *e, size_t *at, struct buf *group)
{
        buf_clear(group);
        if (*at == e->count)
                return false;
        bool is_pair = *at + 1 < e->option_count && str_eq(e->arguments[*at], STR("-o"));
        print_argument(e->arguments[(*at)++], group);
        if (is_pair) {
                buf_append_char(group, ' ');
                print_argument(e->arguments[(*at)++], group);
        }
        return true;
}

/* Behind a fold only words that are no -o stand on one line. */
static void print_arguments(const struct entry *e, bool folds, size_t column, struct buf *out)
{
        struct buf group;
        size_t at = 0;
        bool was_setting = false;
        buf_init(&group, 1 << 20);
        for (size_t first = 0; next_group(e, &at, &group); first = at) {
                bool is_setting = first < e->option_count && str_eq(e->arguments[first], STR("-o"));
                bool is_too_long = column + 1 + group.len > LINE_COLUMNS_MAX;
                if (folds && (is_setting || was_setting || is_too_long)) {
                        buf_append_str(out, STR("\n    "));
                        column = 4;
                } else {
                        buf_append_char(out, ' ');
                        column++;
                }
                buf_append_str(out, buf_str(&group));
                column += group.len;
                was_setting = is_setting;
        }
        buf_done(&group);
}

void entry_print(const struct entry *e, bool folds, struct buf *out)
{
        size_t column = 0;
        for (size_t i = 0; i < MASTER_COLUMNS; i++) {
                size_t blanks = i == 0                      ? 0
                                : column < field_columns[i] ? field_columns[i] - column
                                                            : 1;
                buf_printf(out, "%*s%.*s", (int)blanks, "", STR_ARG(e->columns[i]));
                column += blanks + e->columns[i].len;
        }
        print_arguments(e, folds, column, out);
        buf_append_char(out, '\n');
}

void entry_print_command(const struct entry *e, struct buf *out)
{
        buf_append_str(out, e->columns[ENTRY_COMMAND]);
        print_arguments(e, false, 0, out);
}

/* ---- settings ---- */

bool entry_next_setting(const struct entry *e, size_t *at, size_t *index, struct str *name,
                        struct str *value)
{
        for (; *at + 1 < e->option_count; ++*at) {
                if (!str_eq(e->arguments[*at], STR("-o")))
                        continue;
                *index = ++*at;
                *value = e->arguments[*index];
                *name = str_trim(str_cut(value, '='));
                ++*at;
                return true;
        }
        return false;
}

static void move(struct entry *e, size_t from, size_t to)
{
        memmove(&e->arguments[to], &e->arguments[from], (e->count - from) * sizeof(*e->arguments));
        e->option_count = e->option_count + to - from;
        e->count = e->count + to - from;
}

bool entry_set(struct entry *e, struct arena *arena, struct str name, struct str value)
{
        struct str text = arena_printf(arena, "%.*s=%.*s", STR_ARG(name), STR_ARG(value));
        struct str one, old;
        size_t at = 0, index;
        while (entry_next_setting(e, &at, &index, &one, &old))
                if (str_eq(one, name)) {
                        e->arguments[index] = text;
                        return true;
                }
        if (e->count + 2 > ENTRY_ARGUMENTS_MAX)
                return false;
        size_t end = e->option_count;
        move(e, end, end + 2);
        e->arguments[end] = STR("-o");
        e->arguments[end + 1] = text;
        return true;
}

void entry_unset(struct entry *e, struct str name)
{
        struct str one, value;
        size_t at = 0, index;
        while (entry_next_setting(e, &at, &index, &one, &value))
                if (str_eq(one, name)) {
                        move(e, index + 1, index - 1);
                        at = index - 1;
                }
}
