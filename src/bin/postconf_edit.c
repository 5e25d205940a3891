/*
 * postconf_edit.c - postconf -e, -X and -#: main.cf written anew
 *
 * Lines that are not concerned, comments and order stay.
 */
#include "bin/postconf.h"
#include "bin/postconf_file.h"

enum { CHANGES_MAX = 256 };

struct change {
        struct str name;
        struct str value;
        bool is_done;
};

struct edit {
        char mode;
        struct change changes[CHANGES_MAX];
        size_t count;
        struct buf *out;
        struct change *current; /* of the logical line that we are in; NULL: it stays */
        bool is_over;           /* there was no room in `out` */
};

int postconf_take_setting(const char *word, struct str *name, struct str *value)
{
        struct str rest = str_from(word);
        bool has_value = str_find(rest, '=') >= 0;
        *name = str_trim(str_cut(&rest, '='));
        *value = str_trim(rest);
        bool is_split = str_find(*name, ' ') >= 0 || str_find(*name, '\t') >= 0;
        if (!has_value || is_split)
                return name_fatal(1, "missing '=' after attribute name: \"%s\"", word);
        if (str_is_empty(*name))
                return name_fatal(1, "missing attribute name: \"%s\"", word);
        if (strchr(word, '\n'))
                return name_fatal(1, "a value on several lines: \"%s\"", word);
        return 0;
}

static int read_changes(struct edit *e, char *const *words, size_t count)
{
        if (count > CHANGES_MAX)
                return name_fatal(1, "more than %d parameters", CHANGES_MAX);
        for (size_t i = 0; i < count; i++) {
                struct change *c = &e->changes[e->count++];
                *c = (struct change){.name = str_trim(str_from(words[i]))};
                if (e->mode == 'e' && postconf_take_setting(words[i], &c->name, &c->value))
                        return EXIT_FAILED;
                if (e->mode != 'e' && strchr(words[i], '='))
                        return name_fatal(1, "-X and -# want names alone: \"%s\"", words[i]);
        }
        return 0;
}

static struct change *find_change(struct edit *e, struct str line)
{
        struct str name = str_trim(str_cut(&line, '='));
        for (size_t i = 0; i < e->count; i++)
                if (str_eq(e->changes[i].name, name))
                        return &e->changes[i];
        return NULL;
}

static void put(struct edit *e, struct str text)
{
        e->is_over = buf_append_str(e->out, text) < 0 || e->is_over;
}

static void put_setting(struct edit *e, const struct change *c)
{
        e->is_over = buf_printf(e->out, "%.*s = %.*s\n", STR_ARG(c->name), STR_ARG(c->value)) < 0 ||
                     e->is_over;
}

static void edit_line(struct edit *e, struct str line)
{
        bool is_nothing = postconf_line_is_nothing(line);
        if (!is_nothing && !postconf_line_goes_on(line)) {
                e->current = find_change(e, line);
                if (e->current && e->mode == 'e' && !e->current->is_done)
                        put_setting(e, e->current);
                if (e->current)
                        e->current->is_done = true;
        }
        if (!is_nothing && e->current && e->mode == '#')
                put(e, STR("#"));
        if (is_nothing || !e->current || e->mode == '#')
                put(e, line);
}

static void edit_text(struct edit *e, struct str text)
{
        struct str line;
        while (postconf_line(&text, &line)) {
                edit_line(e, line);
                if (!str_ends(line, STR("\n")))
                        put(e, STR("\n"));
        }
        for (size_t i = 0; i < e->count; i++)
                if (e->mode == 'e' && !e->changes[i].is_done)
                        put_setting(e, &e->changes[i]);
}

int postconf_edit(const struct postconf *p, char *const *words, size_t count)
{
        static struct edit e;
        struct postconf_file file;
        e.mode = p->mode;
        int rc = read_changes(&e, words, count);
        if (rc == 0)
                rc = postconf_file_begin(&file, p->directory, "main.cf");
        if (rc)
                return rc;
        e.out = &file.out;
        edit_text(&e, buf_str(&file.text));
        if (e.is_over)
                name_fatal(1, "%s would be longer than %d MiB", file.path,
                           2 * POSTCONF_FILE_BYTES_MAX >> 20);
        return postconf_file_end(&file, !e.is_over);
}
