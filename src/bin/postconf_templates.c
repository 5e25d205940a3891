/*
 * postconf_templates.c - postconf -b and -t: the templates of notices
 *
 * -t prints them as bounce_template_file may hold them, so that its output is where to begin with one; -b prints the texts with
 * their $names replaced. The words are ours, not Postfix's.
 */
#include "bin/postconf.h"
#include "delivery/bounce_template.h"
#include "message/dsn.h"

static const struct {
        const char *name;
        enum dsn_action action;
        bool is_report;
} kinds[BOUNCE_KINDS] = {
        [BOUNCE_FAILURE] = {"failure", DSN_FAILED, false},
        [BOUNCE_DELAY] = {"delay", DSN_DELAYED, false},
        [BOUNCE_SUCCESS] = {"success", DSN_DELIVERED, false},
        [BOUNCE_VERIFY] = {"verify", DSN_DELIVERABLE, true},
};

static void print_lines(struct str text)
{
        while (text.len) {
                struct str line = str_cut(&text, '\n');
                if (str_ends(line, STR("\r")))
                        line.len--;
                printf("%.*s\n", STR_ARG(line));
        }
}

static void print_header(const char *name, struct str value)
{
        if (value.len)
                printf("%s: %.*s\n", name, STR_ARG(value));
}

static struct str chosen(struct str given, struct str own)
{
        return given.len ? given : own;
}

static void print_template(const char *kind, const struct dsn_template *t,
                           const struct dsn_template *own, struct str text)
{
        printf("%s_template = <<EOF\n", kind);
        print_header("Charset", chosen(t->charset, own->charset));
        print_header("From", chosen(t->from, own->from));
        print_header("Subject", chosen(t->subject, own->subject));
        print_header("Postmaster-Subject", chosen(t->postmaster_subject, own->postmaster_subject));
        putchar('\n');
        print_lines(text);
        puts("EOF");
}

static void print_all(const struct postconf *p, const struct bounce_templates *t,
                      struct arena *arena, struct findings *findings)
{
        for (size_t i = 0; i < BOUNCE_KINDS; i++) {
                struct dsn_template own;
                struct buf expanded;
                dsn_own_words(kinds[i].action, kinds[i].is_report, &own);
                struct str opening = arena_printf(arena, DSN_OPENING "$outside_name.\r\n\r\n%.*s",
                                                  STR_ARG(own.text));
                struct str text = chosen(t->of[i].text, opening);
                if (i)
                        putchar('\n');
                if (p->mode == 't') {
                        print_template(kinds[i].name, &t->of[i], &own, text);
                        continue;
                }
                buf_init(&expanded, 2 * BOUNCE_TEMPLATE_BYTES_MAX);
                if (t->of[i].text.len == 0) {
                        bounce_template_expand(p->config, opening, &expanded, arena,
                                               (struct place){0}, findings);
                        text = buf_str(&expanded);
                }
                printf("expanded_%s_text = <<EOF\n", kinds[i].name);
                print_lines(text);
                puts("EOF");
                buf_done(&expanded);
        }
}

int postconf_templates(const struct postconf *p, const char *file)
{
        struct bounce_templates t;
        struct arena arena;
        struct findings findings;
        struct str name = file ? str_from(file) : p->config->params.bounce_template_file;
        int code = EXIT_DONE;
        arena_init(&arena, 0);
        findings_init(&findings);
        bounce_templates_read(&t, p->config, name, p->mode == 'b', (struct place){.line = 0},
                              &arena, &findings);
        for (const struct finding *f = findings.first; f; f = f->next) {
                code = EXIT_FAILED;
                if (f->line)
                        name_fatal(1, "%.*s, line %d: %.*s", STR_ARG(f->file), f->line,
                                   STR_ARG(f->text));
                else
                        name_fatal(1, "%.*s", STR_ARG(f->text));
        }
        if (code == EXIT_DONE)
                print_all(p, &t, &arena, &findings);
        findings_done(&findings);
        arena_done(&arena);
        return code;
}
