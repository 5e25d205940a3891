/* settings.c - how a table on a server is reached */
#include "table/settings.h"

#include "base/check.h"

#include <errno.h>
#include <stdarg.h>

struct setting_value {
        struct str value;
        int line; /* 0: in main.cf */
};

static void put(struct table_settings *s, struct str name, struct str value, int line)
{
        struct setting_value *v = arena_new(&s->arena, struct setting_value);
        v->value = arena_str(&s->arena, value);
        v->line = line;
        buf_append_str(&s->definition, name);
        buf_append_char(&s->definition, '=');
        buf_append_str(&s->definition, value);
        buf_append_char(&s->definition, '\n');
        map_put(&s->values, name, v); /* the last one counts, as in Postfix */
}

static int read_line(struct table_settings *s, const struct line *line)
{
        struct str text = str_make(line->ptr, line->len);
        ptrdiff_t equals = str_find(text, '=');
        struct str name = str_trim(str_part(text, 0, equals < 0 ? 0 : (size_t)equals));
        /* What stands there is not shown: it may be a password. */
        if (name.len == 0 || name.len > 60)
                return text_fault(s->text, line->number, -EINVAL, "table-syntax",
                                  "write \"setting = value\"", "this is no setting");
        int doubts = 0;
        if (!config_is_table_setting(str_from(s->text->type->name), name))
                text_doubt(s->text, line->number, &doubts, "table-setting-unknown",
                           "see the manual of this type of table, or take the line out",
                           "\"%.*s\" is no setting of a table of type %s: it has no effect",
                           STR_ARG(name), s->text->type->name);
        struct str value = str_trim(str_tail(text, (size_t)equals + 1));
        put(s, name, value, line->number);
        return 0;
}

static int read_file(struct table_settings *s)
{
        struct table_lines reader;
        struct line line;
        table_lines_init(&reader, s->text->bytes, s->text->len);
        while (table_lines_next(&reader, &line)) {
                int error = read_line(s, &line);
                if (error)
                        return error;
        }
        return 0;
}

/* NAME_setting of main.cf */
static int read_parameters(struct table_settings *s)
{
        const struct config *c = table_set_config(s->text->set);
        struct str type = str_from(s->text->type->name);
        const char *setting;
        if (!c)
                return fault_set(s->text->fault, -EINVAL, "table-syntax",
                                 "name the file with its settings, as /etc/postfix/NAME.cf",
                                 "%s:%.*s has its settings in main.cf, which is not read here",
                                 s->text->type->name, STR_ARG(s->text->name));
        for (size_t i = 0; (setting = config_table_setting(type, i)); i++) {
                struct str parameter =
                        arena_printf(&s->arena, "%.*s_%s", STR_ARG(s->text->name), setting);
                struct str value;
                if (config_is_set(c, parameter.ptr) &&
                    config_text(c, parameter, CONFIG_EFFECTIVE_EXPANDED, &s->arena, &value))
                        put(s, str_from(setting), str_trim(value), 0);
        }
        if (s->values.count)
                return 0;
        return fault_set(s->text->fault, -EINVAL, "table-syntax",
                         "write them, or name a file that begins with /",
                         "there is no parameter %.*s_%s in main.cf: the table %s:%.*s has no "
                         "settings",
                         STR_ARG(s->text->name), config_table_setting(type, 0), s->text->type->name,
                         STR_ARG(s->text->name));
}

int table_settings_read(struct table_settings *s, const struct table_text *text)
{
        *s = (struct table_settings){.text = text};
        arena_init(&s->arena, 0);
        map_init(&s->values);
        buf_init(&s->definition, SIZE_MAX / 2); /* the text has a limit */
        return text->is_file ? read_file(s) : read_parameters(s);
}

void table_settings_done(struct table_settings *s)
{
        map_done(&s->values);
        buf_done(&s->definition);
        arena_done(&s->arena);
}

static const struct setting_value *find(const struct table_settings *s, const char *name)
{
        const struct setting_value *v = map_find(&s->values, str_from(name));
        return v && v->value.len ? v : NULL;
}

bool table_settings_is_given(const struct table_settings *s, const char *name)
{
        return map_find(&s->values, str_from(name)) != NULL;
}

bool table_settings_has(const struct table_settings *s, const char *name)
{
        return find(s, name) != NULL;
}

struct str table_settings_get(const struct table_settings *s, const char *name, const char *initial)
{
        const struct setting_value *v = find(s, name);
        return v ? v->value : str_from(initial);
}

int table_settings_fault(const struct table_settings *s, const char *name, const char *cure,
                         const char *format, ...)
{
        const struct setting_value *v = map_find(&s->values, str_from(name));
        char words[200];
        va_list args;
        va_start(args, format);
        vsnprintf(words, sizeof(words), format, args);
        va_end(args);
        return text_fault(s->text, v ? v->line : 0, -EINVAL, "table-setting", cure, "%s: %s", name,
                          words);
}

int table_settings_number(const struct table_settings *s, const char *name, int64_t initial,
                          int64_t min, int64_t max, int64_t *out)
{
        const struct setting_value *v = find(s, name);
        *out = initial;
        if (v && str_to_int64(v->value, min, max, out) != 0)
                return table_settings_fault(s, name, NULL, "not a number from %lld to %lld",
                                            (long long)min, (long long)max);
        return 0;
}

int table_settings_bool(const struct table_settings *s, const char *name, bool initial, bool *out)
{
        const struct setting_value *v = find(s, name);
        *out = initial;
        if (!v)
                return 0;
        if (!str_eq_nocase(v->value, STR("yes")) && !str_eq_nocase(v->value, STR("no")))
                return table_settings_fault(s, name, "write yes or no", "neither yes nor no");
        *out = str_eq_nocase(v->value, STR("yes"));
        return 0;
}

int table_settings_word(const struct table_settings *s, const char *name, const char *const *words,
                        int initial, int *out)
{
        const struct setting_value *v = find(s, name);
        *out = initial;
        if (!v)
                return 0;
        for (int i = 0; words[i]; i++) {
                if (!str_eq_nocase(v->value, str_from(words[i])))
                        continue;
                *out = i;
                return 0;
        }
        char known[120] = "";
        size_t used = 0;
        for (int i = 0; words[i] && used < sizeof(known); i++)
                used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
                                         i ? ", " : "write one of: ", words[i]);
        return table_settings_fault(s, name, known, "no word that is known");
}

void table_settings_check_secret(const struct table_settings *s)
{
        struct findings *findings = s->text->findings;
        struct str path = s->text->is_file ? s->text->at.file : STR("");
        const struct config *c = table_set_config(s->text->set);
        char file[1024];
        struct stat st;
        if (!findings)
                return;
        if (s->text->is_file)
                snprintf(file, sizeof(file), "%.*s", STR_ARG(path));
        else if (c)
                snprintf(file, sizeof(file), "%.*s/main.cf", STR_ARG(c->dir));
        else
                return;
        if (stat(file, &st) < 0 || !(st.st_mode & S_IROTH))
                return;
        findings_add(findings, SEVERITY_WARNING, "table-password-exposed",
                     (struct place){str_from(file), 0},
                     "chmod o-r; the user that runs this program must read it",
                     "there is a password in this file, and everybody on this machine may read it");
}
