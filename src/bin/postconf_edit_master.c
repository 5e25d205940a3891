/*
 * postconf_edit_master.c - postconf -e, -X and -# with -M, -F or -P: master.cf written anew
 *
 * As Postfix's: with -M a line takes the place of the old one; with -F and -P a line that is concerned is written where it ends,
 * behind the comments that stand in it. All others stay byte by byte.
 */
#include "bin/postconf.h"
#include "bin/postconf_entry.h"
#include "bin/postconf_file.h"

enum { REQUESTS_MAX = 256, ENTRY_BYTES_MAX = 4 * POSTCONF_FILE_BYTES_MAX };

struct request {
        const char *word;
        struct str service, type; /* * is any */
        struct str name;          /* of the parameter; -M: empty */
        size_t field;             /* -F */
        struct str value;         /* -M: the new line */
        size_t matches;
};

struct edit {
        char table;  /* M, F or P */
        char change; /* e, X or # */
        struct request requests[REQUESTS_MAX];
        size_t count;
        struct postconf_file file;
        struct arena arena;
        struct buf line; /* the logical line that is collected for -F and -P; empty: none */
        size_t line_number, from; /* where we are, and where that began */
        struct request *current;  /* -M: whose line we are in; NULL: it stays */
};

/* ---- what is asked for ---- */

static bool has_blank(struct str s)
{
        return str_find(s, ' ') >= 0 || str_find(s, '\t') >= 0;
}

static int wrong_column(size_t i, struct str value, struct str where)
{
        return name_fatal(1, "invalid %s field \"%.*s\" in \"%.*s\"", entry_column_names[i],
                          STR_ARG(value), STR_ARG(where));
}

static int check_line(struct edit *e, const struct request *r)
{
        static struct entry entry;
        struct why why;
        if (entry_parse(&entry, &e->arena, r->value, &why) < 0)
                return name_fatal(1, "%s: \"%s\"", why.text, r->word);
        for (size_t i = 0; i < MASTER_COLUMNS; i++)
                if (!entry_column_is_good(i, entry.columns[i]))
                        return wrong_column(i, entry.columns[i], r->value);
        return 0;
}

static int check_field(struct request *r)
{
        while (r->field < MASTER_COLUMNS &&
               !str_eq(r->name, str_from(entry_column_names[r->field])))
                r->field++;
        if (str_eq(r->name, STR("*")))
                return name_fatal(1, "-Fe does not accept wild-card field name");
        if (r->field == MASTER_COLUMNS)
                return name_fatal(1, "invalid service attribute name: \"%.*s\"", STR_ARG(r->name));
        if (r->field != ENTRY_COMMAND && has_blank(r->value))
                return name_fatal(1, "-Fe does not accept whitespace in non-command field");
        return entry_column_is_good(r->field, r->value)
                       ? 0
                       : wrong_column(r->field, r->value, r->value);
}

static int check_parameter(const struct request *r)
{
        if (str_eq(r->name, STR("*")))
                return name_fatal(1, "-Pe does not accept wild-card parameter name");
        return has_blank(r->value)
                       ? name_fatal(1, "-Pe does not accept whitespace in parameter value")
                       : 0;
}

static int read_request(struct edit *e, const char *word)
{
        struct request *r = &e->requests[e->count++];
        *r = (struct request){.word = word};
        struct str pattern = str_from(word);
        if (e->change == 'e' && postconf_take_setting(word, &pattern, &r->value))
                return EXIT_FAILED;
        r->service = str_cut(&pattern, '/');
        r->type = str_cut(&pattern, '/');
        r->name = pattern;
        bool is_whole = r->service.len && r->type.len && str_find(r->name, '/') < 0;
        if (e->table == 'M' && (!is_whole || r->name.len))
                return name_fatal(1, "-Me, -MX or -M# requires service_name/type");
        if (e->table == 'F' && (!is_whole || !r->name.len))
                return name_fatal(1, "-Fe or -FX requires service_name/type/field_name");
        if (e->table == 'P' && (!is_whole || !r->name.len))
                return name_fatal(1, "-Pe or -PX requires service_name/type/parameter");
        if (e->table == 'F')
                return check_field(r);
        if (e->table == 'P')
                return check_parameter(r);
        return e->change == 'e' ? check_line(e, r) : 0;
}

static int read_requests(struct edit *e, char *const *words, size_t count)
{
        int rc = 0;
        if (e->table == 'F' && e->change != 'e')
                return name_fatal(1, "with option -F, do not specify -%c", e->change);
        if (e->table == 'P' && e->change == '#')
                return name_fatal(1, "with option -P, do not specify -#");
        if (count > REQUESTS_MAX)
                return name_fatal(1, "more than %d changes", REQUESTS_MAX);
        for (size_t i = 0; i < count && rc == 0; i++)
                rc = read_request(e, words[i]);
        return rc;
}

/* ---- lines ---- */

static int put(struct edit *e, struct str text)
{
        if (buf_append_str(&e->file.out, text) == 0)
                return 0;
        return name_fatal(1, "%s would be longer than %d MiB", e->file.path,
                          2 * POSTCONF_FILE_BYTES_MAX >> 20);
}

static int put_entry(struct edit *e, const struct entry *entry)
{
        struct buf text;
        buf_init(&text, ENTRY_BYTES_MAX);
        entry_print(entry, true, &text);
        int rc = put(e, buf_str(&text));
        buf_done(&text);
        return rc;
}

static bool is_meant(const struct request *r, struct str line)
{
        struct str service = STR(""), type = STR("");
        str_next_word(&line, " \t\r\n", &service);
        str_next_word(&line, " \t\r\n", &type);
        return (str_eq(r->service, STR("*")) || str_eq(r->service, service)) &&
               (str_eq(r->type, STR("*")) || str_eq(r->type, type));
}

/* Counts them; the last, or NULL. */
static struct request *find_requests(struct edit *e, struct str line)
{
        struct request *last = NULL;
        for (size_t i = 0; i < e->count; i++)
                if (is_meant(&e->requests[i], line)) {
                        last = &e->requests[i];
                        last->matches++;
                }
        return last;
}

/* ---- -M ---- */

static int put_new(struct edit *e, const struct request *r)
{
        static struct entry entry;
        struct why why;
        int rc = entry_parse(&entry, &e->arena, r->value, &why);
        return rc < 0 ? name_fatal(1, "%s: \"%s\"", why.text, r->word) : put_entry(e, &entry);
}

static int edit_entry_line(struct edit *e, struct str line)
{
        int rc = 0;
        bool is_nothing = postconf_line_is_nothing(line);
        if (!is_nothing && !postconf_line_goes_on(line)) {
                e->current = find_requests(e, line);
                if (e->current && e->change == 'e' && e->current->matches == 1)
                        rc = put_new(e, e->current);
        }
        if (is_nothing || !e->current)
                return rc ? rc : put(e, line);
        if (e->change != '#')
                return rc;
        rc = put(e, STR("#"));
        return rc ? rc : put(e, line);
}

/* ---- -F and -P ---- */

static int change_entry(struct edit *e, struct entry *entry, const struct request *r)
{
        struct why why;
        if (e->table == 'F' && r->field == ENTRY_COMMAND) {
                struct str rest = r->value;
                str_next_word(&rest, " \t", &entry->columns[ENTRY_COMMAND]);
                if (entry_parse_arguments(entry, &e->arena, rest, &why) < 0)
                        return name_fatal(1, "%s: %s", r->word, why.text);
        } else if (e->table == 'F') {
                entry->columns[r->field] = r->value;
        } else if (e->change == 'X') {
                entry_unset(entry, r->name);
        } else if (!entry_set(entry, &e->arena, r->name, r->value)) {
                return name_fatal(1, "%s: more than %d arguments", r->word, ENTRY_ARGUMENTS_MAX);
        }
        return 0;
}

static int end_line(struct edit *e)
{
        static struct entry entry;
        struct why why;
        struct str text = buf_str(&e->line);
        if (e->line.len == 0)
                return 0;
        if (entry_parse(&entry, &e->arena, text, &why) < 0)
                return name_fatal(1, "file %s: line %zu: %s", e->file.path, e->from, why.text);
        int rc = 0;
        for (size_t i = 0; i < e->count && rc == 0; i++)
                if (is_meant(&e->requests[i], text))
                        rc = change_entry(e, &entry, &e->requests[i]);
        if (rc == 0)
                rc = put_entry(e, &entry);
        buf_clear(&e->line);
        arena_clear(&e->arena);
        return rc;
}

static struct str without_end(struct str line)
{
        while (line.len && strchr("\r\n", line.ptr[line.len - 1]))
                line.len--;
        return line;
}

static int edit_argument_line(struct edit *e, struct str line)
{
        if (postconf_line_is_nothing(line))
                return put(e, line);
        if (!postconf_line_goes_on(line)) {
                int rc = end_line(e);
                if (rc)
                        return rc;
                e->from = e->line_number;
                if (!find_requests(e, line))
                        return put(e, line);
        } else if (e->line.len == 0) {
                return put(e, line);
        }
        return buf_printf(&e->line, "%.*s ", STR_ARG(without_end(line))) < 0
                       ? name_fatal(1, "line %zu is too long", e->from)
                       : 0;
}

/* ---- the file ---- */

/* What is not there yet is added; of settings nobody would know where. */
static int end_text(struct edit *e)
{
        int rc = e->table == 'M' ? 0 : end_line(e);
        for (size_t i = 0; i < e->count && rc == 0; i++) {
                const struct request *r = &e->requests[i];
                if (r->matches)
                        continue;
                if (e->table != 'M') {
                        name_warning("unmatched service_name/type: \"%s\"", r->word);
                } else if (e->change == 'e') {
                        struct str text = buf_str(&e->file.out);
                        if (text.len && !str_ends(text, STR("\n")))
                                rc = put(e, STR("\n"));
                        if (rc == 0)
                                rc = put_new(e, r);
                }
        }
        return rc;
}

int postconf_edit_master(const struct postconf *p, char *const *words, size_t count)
{
        static struct edit e;
        e.table = p->table;
        e.change = p->mode;
        arena_init(&e.arena, 0);
        int rc = read_requests(&e, words, count);
        if (rc == 0)
                rc = postconf_file_begin(&e.file, p->directory, "master.cf");
        if (rc == 0) {
                struct str text = buf_str(&e.file.text), line;
                buf_init(&e.line, POSTCONF_FILE_BYTES_MAX + 1);
                while (rc == 0 && postconf_line(&text, &line)) {
                        e.line_number++;
                        rc = e.table == 'M' ? edit_entry_line(&e, line)
                                            : edit_argument_line(&e, line);
                }
                if (rc == 0)
                        rc = end_text(&e);
                rc = postconf_file_end(&e.file, rc == 0);
                buf_done(&e.line);
        }
        arena_done(&e.arena);
        return rc;
}
