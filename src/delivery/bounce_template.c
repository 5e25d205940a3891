/* bounce_template.c - reads bounce_template_file */
#include "delivery/bounce_template.h"

#include <errno.h>
#include <stdio.h>

/* ---- $names in the text ---- */

static bool is_of_name(char c)
{
        return char_is_alnum(c) || c == '_';
}

/* "delay_warning_time_hours": a time in a unit of the reader's */
static bool time_text(const struct params *p, struct str name, struct arena *arena, struct str *out)
{
        static const struct {
                struct str suffix;
                int64_t ms;
        } units[] = {{STR_INIT("_seconds"), 1000},
                     {STR_INIT("_minutes"), 60 * 1000},
                     {STR_INIT("_hours"), 3600 * 1000},
                     {STR_INIT("_days"), 86400 * 1000},
                     {STR_INIT("_weeks"), 7 * 86400 * 1000LL}};
        for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
                if (!str_ends(name, units[i].suffix))
                        continue;
                struct str base = str_part(name, 0, name.len - units[i].suffix.len);
                bool is_delay = str_eq(base, STR("delay_warning_time"));
                if (!is_delay && !str_eq(base, STR("maximal_queue_lifetime")))
                        return false;
                int64_t ms = is_delay ? p->delay_warning_time : p->maximal_queue_lifetime;
                *out = arena_printf(arena, "%lld", (long long)(ms / units[i].ms));
                return true;
        }
        return false;
}

static void expand_one(const struct config *c, struct str *rest, struct buf *out,
                       struct arena *arena, struct place at, struct findings *findings)
{
        char open = rest->len ? rest->ptr[0] : 0;
        bool is_braced = open == '{' || open == '(';
        if (open == '$') {
                buf_append_char(out, '$');
                *rest = str_tail(*rest, 1);
                return;
        }
        if (is_braced)
                *rest = str_tail(*rest, 1);
        size_t len = 0;
        while (len < rest->len && is_of_name(rest->ptr[len]))
                len++;
        struct str name = str_part(*rest, 0, len);
        *rest = str_tail(*rest, len);
        if (is_braced && rest->len && rest->ptr[0] == (open == '{' ? '}' : ')'))
                *rest = str_tail(*rest, 1);
        struct str value;
        if (time_text(&c->params, name, arena, &value) ||
            config_text(c, name, CONFIG_EFFECTIVE_EXPANDED, arena, &value))
                buf_append_str(out, value);
        else
                findings_add(findings, SEVERITY_ERROR, "bounce-template", at,
                             "write $$ for a dollar sign", "no parameter is called \"%.*s\"",
                             STR_ARG(name));
}

void bounce_template_expand(const struct config *c, struct str text, struct buf *out,
                            struct arena *arena, struct place at, struct findings *findings)
{
        while (text.len) {
                ptrdiff_t dollar = str_find(text, '$');
                buf_append_str(out, dollar < 0 ? text : str_part(text, 0, (size_t)dollar));
                text = dollar < 0 ? STR("") : str_tail(text, (size_t)dollar + 1);
                if (dollar >= 0)
                        expand_one(c, &text, out, arena, at, findings);
        }
}

/* ---- a template ---- */

struct reader {
        const struct config *config;
        struct arena *arena;
        struct findings *findings;
        struct str rest;
        struct place at;
};

static bool next_line(struct reader *r, struct str *line)
{
        if (r->rest.len == 0)
                return false;
        r->at.line++;
        *line = str_cut(&r->rest, '\n');
        if (str_ends(*line, STR("\r")))
                line->len--;
        return true;
}

static void wrong(struct reader *r, const char *what)
{
        findings_add(r->findings, SEVERITY_ERROR, "bounce-template", r->at,
                     "see bounce(5) of Postfix", "%s", what);
}

static void take_header(struct reader *r, struct dsn_template *t, struct str line)
{
        struct str value = line;
        struct str name = str_trim(str_cut(&value, ':'));
        value = arena_str(r->arena, str_trim(value));
        if (!smtp_text_is_ascii(line) || str_find(line, '\0') >= 0)
                wrong(r, "a header of a template is ASCII");
        else if (str_eq_nocase(name, STR("Charset")))
                t->charset = value;
        else if (str_eq_nocase(name, STR("From")))
                t->from = value;
        else if (str_eq_nocase(name, STR("Subject")))
                t->subject = value;
        else if (str_eq_nocase(name, STR("Postmaster-Subject")))
                t->postmaster_subject = value;
        else
                wrong(r, "a template's headers are Charset, From, Subject and Postmaster-Subject");
}

/* Up to the line `end`. */
static void read_template(struct reader *r, struct dsn_template *t, struct str end)
{
        struct buf text;
        struct str line;
        bool is_header = true;
        buf_init(&text, 2 * BOUNCE_TEMPLATE_BYTES_MAX);
        for (;;) {
                if (!next_line(r, &line)) {
                        wrong(r, "the last template has no end");
                        break;
                }
                if (str_eq(line, end))
                        break;
                if (is_header && str_find(line, ':') > 0 && line.ptr[0] != ' ') {
                        take_header(r, t, line);
                        continue;
                }
                if (is_header && line.len)
                        wrong(r, "between the headers and the text stands an empty line");
                bool was_header = is_header;
                is_header = false;
                if (was_header && line.len == 0)
                        continue;
                if (r->config)
                        bounce_template_expand(r->config, line, &text, r->arena, r->at,
                                               r->findings);
                else
                        buf_append_str(&text, line);
                buf_append(&text, "\r\n", 2);
        }
        t->text = arena_str(r->arena, buf_str(&text));
        buf_done(&text);
}

void bounce_templates_parse(struct bounce_templates *t, const struct config *c, struct str text,
                            struct str file, struct arena *arena, struct findings *findings)
{
        static const struct {
                struct str name;
                int kind;
        } names[] = {{STR_INIT("failure_template"), BOUNCE_FAILURE},
                     {STR_INIT("delay_template"), BOUNCE_DELAY},
                     {STR_INIT("success_template"), BOUNCE_SUCCESS},
                     {STR_INIT("verify_template"), BOUNCE_VERIFY}};
        struct reader r = {c, arena, findings, text, {file, 0}};
        struct str line;
        *t = (struct bounce_templates){0};
        while (next_line(&r, &line)) {
                struct str value = str_trim(line);
                if (value.len == 0 || value.ptr[0] == '#')
                        continue;
                struct str name = str_trim(str_cut(&value, '='));
                value = str_trim(value);
                int kind = -1;
                for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
                        if (str_eq(name, names[i].name))
                                kind = names[i].kind;
                if (kind < 0 || !str_starts(value, STR("<<")) || value.len < 3) {
                        wrong(&r, "wanted is a line like: failure_template = <<EOF");
                        return;
                }
                read_template(&r, &t->of[kind], str_trim(str_tail(value, 2)));
        }
}

void bounce_templates_load(struct bounce_templates *t, const struct config *c, struct arena *arena,
                           struct findings *findings)
{
        bounce_templates_read(t, c, c->params.bounce_template_file, true,
                              config_place(c, "bounce_template_file"), arena, findings);
}

void bounce_templates_read(struct bounce_templates *t, const struct config *c, struct str name,
                           bool expands, struct place at, struct arena *arena,
                           struct findings *findings)
{
        *t = (struct bounce_templates){0};
        if (str_is_empty(name))
                return;
        struct str path = name.ptr[0] == '/' ? arena_str(arena, name)
                                             : arena_printf(arena, "%.*s/%.*s", STR_ARG(c->dir),
                                                            STR_ARG(name));
        FILE *file = fopen(path.ptr, "re");
        if (!file) {
                findings_add(findings, SEVERITY_ERROR, "bounce-template", at, NULL, "%s: %s",
                             path.ptr, why_errno(errno));
                return;
        }
        struct buf text;
        buf_init(&text, BOUNCE_TEMPLATE_BYTES_MAX);
        char piece[1024];
        size_t n;
        bool is_over = false;
        while (!is_over && (n = fread(piece, 1, sizeof(piece), file)) > 0)
                is_over = buf_append(&text, piece, n) < 0;
        bool is_broken = ferror(file);
        fclose(file);
        if (is_over || is_broken)
                findings_add(findings, SEVERITY_ERROR, "bounce-template", at, NULL,
                             "%s cannot be read, or is over %d bytes", path.ptr,
                             BOUNCE_TEMPLATE_BYTES_MAX);
        else
                bounce_templates_parse(t, expands ? c : NULL, arena_str(arena, buf_str(&text)),
                                       path, arena, findings);
        buf_done(&text);
}
