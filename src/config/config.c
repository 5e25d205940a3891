/*
 * config.c - main.cf and master.cf, read, checked and typed
 *
 * The order: settings of both files and of the command line; what the machine adds; which names are
 * allowed; then each declared parameter is expanded and typed, once for main.cf and again for each
 * service that overrides something.
 */
#include "config/config_private.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct setting *find_set(const struct config *c, struct str name)
{
        const struct setting *s = settings_find(&c->private->commands, name);
        return s ? s : settings_find(&c->private->main, name);
}

struct place config_place(const struct config *c, const char *parameter)
{
        const struct setting *s = find_set(c, str_from(parameter));
        return s ? s->at : (struct place){0};
}

bool config_is_set(const struct config *c, const char *parameter)
{
        return find_set(c, str_from(parameter)) != NULL;
}

/* ---- what the machine adds ---- */

static struct str quick_text(struct reading *r, const char *name)
{
        struct scope scope = {.private = r->config->private};
        struct setting s;
        struct str text;
        struct place at;
        struct why why;
        if (!scope_find(&scope, str_from(name), &s) ||
            reading_expand(r, &scope, &s, &text, &at, &why))
                return str_from(NULL);
        return str_trim(text);
}

static void find_default(struct reading *r, const char *name, struct str value)
{
        struct config_private *p = r->config->private;
        settings_put(&p->found, &p->arena, str_from(name), value, (struct place){0}, NULL, 0, NULL);
}

/* Debian's Postfix: myorigin = /etc/mailname means the first line of that file. */
static void read_origin(struct reading *r)
{
        struct config_private *p = r->config->private;
        struct setting *s = settings_find(&p->commands, STR("myorigin"));
        if (!s)
                s = settings_find(&p->main, STR("myorigin"));
        if (!s || p->machine.is_fixed || !str_starts(s->raw, STR("/")))
                return;
        char line[512];
        const char *path = s->raw.ptr; /* the arena ends it with a NUL */
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t len = fd < 0 ? -1 : read(fd, line, sizeof(line));
        if (fd >= 0)
                close(fd);
        struct str rest = str_make(line, len < 0 ? 0 : (size_t)len);
        struct str name = str_trim(str_cut(&rest, '\n'));
        if (str_is_empty(name) || memchr(name.ptr, 0, name.len) || name.len > 255)
                findings_add(r->findings, SEVERITY_ERROR, "unreadable-file", s->at,
                             "write the domain itself, or into the file's first line",
                             "myorigin = %s: no domain can be read from there", path);
        else
                s->raw = arena_str(&p->arena, name);
}

static void ask_machine(struct reading *r)
{
        struct config_private *p = r->config->private;
        machine_init(&p->machine, &p->arena, !find_set(r->config, STR("myhostname")));
        find_default(r, "config_directory", r->config->dir);
        find_default(r, "myhostname", p->machine.hostname);
        struct str domain = quick_text(r, "myhostname");
        str_cut(&domain, '.');
        find_default(r, "mydomain", str_is_empty(domain) ? STR("localdomain") : domain);
        read_origin(r);
        if (!find_set(r->config, STR("mynetworks")))
                find_default(r, "mynetworks",
                             machine_networks(&p->machine, &p->arena,
                                              quick_text(r, "mynetworks_style"),
                                              quick_text(r, "inet_interfaces"),
                                              quick_text(r, "inet_protocols")));
}

/* ---- the whole ---- */

static void read_overrides(struct reading *r, const struct config_override *overrides)
{
        struct config_private *p = r->config->private;
        struct place at = {STR("-o"), 0};
        for (; overrides; overrides = overrides->next) {
                struct str name, value;
                size_t value_at;
                struct why why;
                const char *cure;
                if (setting_split(str_from(overrides->name_value), &name, &value, &value_at, &why,
                                  &cure))
                        findings_add(r->findings, SEVERITY_ERROR, "syntax", at,
                                     "write -o name=value", "%s", why.text);
                else
                        settings_put(&p->commands, &p->arena, name, value, at, NULL, 0,
                                     r->findings);
        }
}

/* A file with a NUL is no text; nothing of it is used. */
static bool is_text(struct str text, struct str file, struct findings *findings)
{
        ptrdiff_t at = str_find(text, 0);
        if (at < 0)
                return true;
        int line = 1;
        for (ptrdiff_t i = 0; i < at; i++)
                line += text.ptr[i] == '\n';
        findings_add(findings, SEVERITY_ERROR, "nul-byte", (struct place){file, line},
                     "edit it as plain text", "there is a NUL byte in this line");
        return false;
}

static struct config *config_new(const struct config_source *source)
{
        struct config *c = calloc(1, sizeof(*c));
        check(c);
        struct config_private *p = c->private = calloc(1, sizeof(*p));
        check(p);
        arena_init(&p->arena, CONFIG_BYTES_MAX);
        p->references = 1;
        settings_init(&p->main);
        settings_init(&p->commands);
        settings_init(&p->found);
        p->machine.is_fixed = source->has_fixed_machine;
        struct str dir = source->dir;
        while (dir.len > 1 && dir.ptr[dir.len - 1] == '/')
                dir.len--;
        c->dir = arena_str(&p->arena, dir);
        p->main_file = arena_printf(&p->arena, "%.*s/main.cf", STR_ARG(dir));
        p->master_file = arena_printf(&p->arena, "%.*s/master.cf", STR_ARG(dir));
        return c;
}

struct config *config_read(const struct config_source *source, struct findings *findings)
{
        struct config *c = config_new(source);
        struct config_private *p = c->private;
        struct reading r = {.config = c, .findings = findings};
        buf_init(&r.text, VALUE_BYTES_MAX);

        if (is_text(source->main_text, p->main_file, findings))
                main_cf_read(&p->main, &p->arena, source->main_text, p->main_file, findings);
        read_overrides(&r, source->overrides);
        if (source->has_master && is_text(source->master_text, p->master_file, findings))
                master_cf_read(p, source->master_text, findings);
        master_cf_add_stock(p, source->has_master);
        ask_machine(&r);
        trace_settings(p, &p->main);
        trace_settings(p, &p->commands);
        for (const struct service_source *s = p->services; s; s = s->next)
                trace_settings(p, &s->overrides);

        names_check(p, findings);
        names_check_noted(p, findings);
        reading_store_main(&r);
        reading_store_services(&r);
        if (arena_is_over(&p->arena))
                findings_add(findings, SEVERITY_ERROR, "too-large", (struct place){p->main_file, 0},
                             "put long lists into table files",
                             "all values together need more than %d MiB", CONFIG_BYTES_MAX >> 20);

        trace_sort(p);
        buf_done(&r.text);
        marks_done(&r.marks);
        return c;
}

/* The whole file. -EFBIG when it is longer than FILE_BYTES_MAX. */
static int read_file(const char *path, struct buf *out, struct why *why)
{
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return why_set(why, -errno, "%s", why_errno(errno));
        struct stat st;
        int code = fstat(fd, &st) ? -errno : 0;
        if (code == 0 && !S_ISREG(st.st_mode) && !S_ISFIFO(st.st_mode))
                code = why_set(why, -EINVAL, "it is not a file");
        else if (code)
                why_set(why, code, "%s", why_errno(code));
        while (code == 0) {
                char *at = buf_reserve(out, 65536);
                ssize_t n = at ? read(fd, at, 65536) : -1;
                if (!at || out->len > FILE_BYTES_MAX)
                        code = why_set(why, -EFBIG, "it is longer than %d MiB",
                                       FILE_BYTES_MAX >> 20);
                else if (n < 0 && errno != EINTR)
                        code = why_set(why, -errno, "%s", why_errno(errno));
                else if (n > 0)
                        buf_grow(out, (size_t)n);
                else if (n == 0)
                        break;
        }
        close(fd);
        return code;
}

/* 1: read; 0: not there, and need not be; -1: an error was added. */
static int read_part(const char *dir, const char *name, bool is_needed, struct buf *out,
                     struct findings *findings)
{
        struct str path = arena_printf(&findings->arena, "%s/%s", dir, name);
        struct why why;
        buf_init(out, FILE_BYTES_MAX + 131072);
        int code = read_file(path.ptr, out, &why);
        if (code == 0)
                return 1;
        buf_clear(out);
        if (code == -ENOENT && !is_needed)
                return 0;
        findings_add(findings, SEVERITY_ERROR, "unreadable-file", (struct place){path, 0},
                     code == -ENOENT ? "name the right directory with -c" : NULL,
                     "it cannot be read: %s", why.text);
        return -1;
}

struct config *config_load(const char *dir, const struct config_override *overrides,
                           struct findings *findings)
{
        struct buf main_text, master_text;
        struct config *c = NULL;
        if (read_part(dir, "main.cf", true, &main_text, findings) > 0) {
                int has_master = read_part(dir, "master.cf", false, &master_text, findings);
                struct config_source source = {
                        .dir = str_from(dir),
                        .main_text = buf_str(&main_text),
                        .master_text = buf_str(&master_text),
                        .has_master = has_master != 0,
                        .overrides = overrides,
                };
                c = config_read(&source, findings);
                buf_done(&master_text);
        }
        buf_done(&main_text);
        return c;
}

struct config *config_ref(struct config *c)
{
        __atomic_add_fetch(&c->private->references, 1, __ATOMIC_RELAXED);
        return c;
}

void config_unref(struct config **pointer)
{
        struct config *c = *pointer;
        *pointer = NULL;
        if (!c || __atomic_sub_fetch(&c->private->references, 1, __ATOMIC_ACQ_REL))
                return;
        struct config_private *p = c->private;
        settings_done(&p->main);
        settings_done(&p->commands);
        settings_done(&p->found);
        for (struct service_source *s = p->services; s; s = s->next)
                settings_done(&s->overrides);
        if (p->passed)
                settings_done(&p->passed->overrides);
        names_done(&p->service_names);
        names_done(&p->user_names);
        free(p->traced.list);
        arena_done(&p->arena);
        free(p);
        free(c);
}

/* ---- as text ---- */

/* The value that a name has when nobody sets it. */
static bool find_initial(const struct config *c, struct str name, struct setting *found)
{
        const struct declaration *d = declaration_find(name);
        const char *initial = d ? d->initial : names_service_reference(c->private, name);
        *found = (struct setting){.name = name, .raw = str_from(initial)};
        return settings_copy(&c->private->found, name, found) || initial;
}

bool config_text(const struct config *c, struct str name, enum config_value which,
                 struct arena *arena, struct str *value)
{
        struct scope scope = {.private = c->private};
        struct setting s;
        if (!(which == CONFIG_DEFAULT ? find_initial(c, name, &s) : scope_find(&scope, name, &s)))
                return false;
        const struct declaration *d = declaration_find(name);
        struct buf text;
        struct place at;
        struct why why;
        buf_init(&text, VALUE_BYTES_MAX);
        bool is_late = d && d->fate == CONFIG_HONOURED && d->kind == KIND_RAW;
        bool is_expanded = which == CONFIG_EFFECTIVE_EXPANDED && !is_late &&
                           expand(&scope, &s, &text, NULL, &at, &why) == 0;
        *value = arena_str(arena, is_expanded ? buf_str(&text) : s.raw);
        buf_done(&text);
        return true;
}

static int compare_str(const void *a, const void *b)
{
        return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

void config_each(const struct config *c, bool is_set_only,
                 void (*each)(void *context, struct str name), void *context)
{
        const struct declaration *d;
        if (!is_set_only) {
                for (size_t i = 0; (d = declaration_at(i)); i++)
                        each(context, str_from(d->name));
                return;
        }
        struct names names = {0};
        for (const struct setting *s = c->private->main.first; s; s = s->next)
                names_add(&names, s->name);
        for (const struct setting *s = c->private->commands.first; s; s = s->next)
                if (!settings_find(&c->private->main, s->name))
                        names_add(&names, s->name);
        if (names.count)
                qsort(names.list, names.count, sizeof(*names.list), compare_str);
        for (size_t i = 0; i < names.count; i++)
                each(context, names.list[i]);
        names_done(&names);
}

/* Transports have parameters of their own: NAME_destination_concurrency_limit... */
static void add_service_names(const struct config *c, bool is_set_only, struct names *names,
                              struct arena *arena)
{
        static const char *const deliver[] = {"smtp",    "lmtp",  "virtual", "local",
                                              "discard", "error", "pipe",    "spawn"};
        for (const struct master_entry *e = config_master(c); e; e = e->next) {
                bool is_one = false;
                for (size_t i = 0; i < sizeof(deliver) / sizeof(*deliver); i++)
                        is_one |= str_eq(e->columns[MASTER_COLUMNS - 1], str_from(deliver[i])) &&
                                  !str_eq(e->columns[1], STR("inet"));
                bool is_command = str_eq(e->columns[MASTER_COLUMNS - 1], STR("pipe")) ||
                                  str_eq(e->columns[MASTER_COLUMNS - 1], STR("spawn"));
                for (size_t i = 0; is_one && service_suffix(i); i++) {
                        if (strcmp(service_suffix(i), "_time_limit") == 0 && !is_command)
                                continue;
                        struct str name = arena_printf(arena, "%.*s%s", STR_ARG(e->columns[0]),
                                                       service_suffix(i));
                        if (!declaration_find(name) && (!is_set_only || find_set(c, name)))
                                names_add(names, name);
                }
        }
}

void config_each_of(const struct config *c, unsigned classes, bool is_set_only,
                    void (*each)(void *context, struct str name), void *context)
{
        struct names names = {0};
        struct arena arena;
        const struct declaration *d;
        arena_init(&arena, 0);
        for (size_t i = 0; (classes & CONFIG_BUILTIN) && (d = declaration_at(i)); i++)
                if (!is_set_only || find_set(c, str_from(d->name)))
                        names_add(&names, str_from(d->name));
        if (classes & CONFIG_OF_SERVICE)
                add_service_names(c, is_set_only, &names, &arena);
        for (size_t i = 0; (classes & CONFIG_OF_USER) && i < c->private->user_names.count; i++)
                names_add(&names, c->private->user_names.list[i]);
        if (names.count)
                qsort(names.list, names.count, sizeof(*names.list), compare_str);
        for (size_t i = 0; i < names.count; i++)
                if (i == 0 || !str_eq(names.list[i], names.list[i - 1]))
                        each(context, names.list[i]);
        names_done(&names);
        arena_done(&arena);
}

static void describe(const struct declaration *d, struct config_description *out)
{
        static const char *const types[] = {"text",  "text",      "number", "time",
                                            "bytes", "yes or no", "word"};
        const struct declaration *section = declaration_section(d);
        *out = (struct config_description){
                .name = d->name,
                .fate = d->fate,
                .type = types[d->kind],
                .initial = d->initial,
                .help = d->help,
                .room = section ? section->name : "",
                .title = section ? section->help : "",
        };
        value_range(d, out->range, sizeof(out->range));
}

bool config_describe(struct str name, struct config_description *out)
{
        const struct declaration *d = declaration_find(name);
        if (d)
                describe(d, out);
        return d != NULL;
}

bool config_describe_next(size_t i, struct config_description *out)
{
        const struct declaration *d = declaration_row(i);
        if (d)
                describe(d, out);
        return d != NULL;
}

struct str config_cipher_list(const struct params *params, enum tls_grade grade)
{
        return grade == TLS_GRADE_HIGH   ? params->tls_high_cipherlist
               : grade == TLS_GRADE_NULL ? params->tls_null_cipherlist
                                         : params->tls_medium_cipherlist;
}

struct str config_tls_groups(const struct params *params, struct arena *arena)
{
        if (str_is_empty(params->tls_eecdh_auto_curves))
                return STR("");
        return arena_printf(arena, "%.*s %.*s", STR_ARG(params->tls_eecdh_auto_curves),
                            STR_ARG(params->tls_ffdhe_auto_groups));
}

const char *config_nearest(struct str name)
{
        return declaration_nearest(name);
}
