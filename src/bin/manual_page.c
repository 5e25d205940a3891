/* manual_page.c - forepost(1), forepost.cf(5) and the completion, from the tables */
#include "bin/manual_page.h"

#include "bin/names.h"

#include <ctype.h>

/* ---- roff ---- */

void roff_put(const char *text)
{
        bool is_at_start = true;
        for (const char *p = text; *p; p++) {
                if (is_at_start && (*p == '.' || *p == '\''))
                        fputs("\\&", stdout);
                if (*p == '\\')
                        fputs("\\e", stdout);
                else if (*p == '-')
                        fputs("\\-", stdout);
                else
                        putchar(*p);
                is_at_start = *p == '\n';
        }
}

void roff_begin(const char *title, int section, const char *name, const char *summary)
{
        printf(".\\\" made by: forepost manual %s.%d\n.TH ", name, section);
        for (const char *p = title; *p; p++)
                putchar(toupper((unsigned char)*p));
        printf(" %d \"\" \"Forepost %s\" \"Forepost\"\n.SH NAME\n", section, FOREPOST_VERSION);
        roff_put(name);
        fputs(" \\- ", stdout);
        roff_put(summary);
        putchar('\n');
}

void roff_section(const char *title)
{
        printf(".SH \"%s\"\n", title);
}

void roff_text(const char *text)
{
        bool is_kept = false; /* lines as they are */
        while (*text) {
                size_t len = strcspn(text, "\n");
                char line[1024];
                snprintf(line, sizeof(line), "%.*s", (int)len, text);
                bool is_indented = line[0] == ' ';
                if (is_indented != is_kept)
                        puts(is_indented ? ".nf" : ".fi");
                is_kept = is_indented;
                if (len == 0) {
                        puts(".PP");
                } else {
                        roff_put(line);
                        putchar('\n');
                }
                text += len + (text[len] == '\n');
        }
        if (is_kept)
                puts(".fi");
}

void roff_item(const char *term, const char *text)
{
        fputs(".TP\n.B \"", stdout);
        for (const char *p = term; *p; p++) {
                char one[2] = {*p, 0};
                if (*p == '"')
                        fputs("\\(dq", stdout);
                else
                        roff_put(one);
        }
        fputs("\"\n", stdout);
        roff_text(text);
}

/* ---- forepost(1) ---- */

static void print_command(const struct command *c)
{
        char term[200];
        snprintf(term, sizeof(term), "%s%s%s%s%s", c->group ? c->group : "", c->group ? " " : "",
                 c->name, *c->operands ? " " : "", c->operands);
        puts(".SS");
        roff_put(term);
        putchar('\n');
        roff_put(c->summary);
        puts(".");
        roff_text(c->help);
        for (const struct args_flag *f = c->flags; f->name; f++) {
                snprintf(term, sizeof(term), "%s%s%s", f->name, f->value ? " " : "",
                         f->value ? f->value : "");
                roff_item(term, f->help);
        }
}

static void print_program(void)
{
        roff_begin("forepost", 1, "forepost", "the front line of a mail network");
        roff_section("SYNOPSIS");
        roff_text("forepost COMMAND [-c DIRECTORY] [-o NAME=VALUE] [OPTION...] [WORD...]");
        roff_section("DESCRIPTION");
        roff_text(
                "Forepost is a mail relay, or a core behind relays, by its configuration: Postfix's main.cf and "
                "master.cf, the same map files, the same words. forepost.cf(5) tells what each parameter is.");
        roff_section("OPTIONS OF EVERY COMMAND");
        roff_item("-c DIRECTORY", "the configuration directory (default /etc/forepost)");
        roff_item("-o NAME=VALUE", "overrides main.cf; may be given several times");
        roff_item("--help, -h", "tells about the program, or about one command");
        roff_item("--version", "prints the version");
        roff_section("COMMANDS");
        for (size_t i = 0; command_at(i); i++)
                print_command(command_at(i));
        roff_section("EXIT STATUS");
        roff_item("0", "done");
        roff_item("1", "it did not work, or the answer is no");
        roff_item("2", "not understood");
        roff_item("3", "the server does not run");
        roff_section("SEE ALSO");
        roff_text(
                "forepost.cf(5), sendmail(1), mailq(1), postqueue(1), postsuper(1), postmap(1), postconf(1)");
}

/* ---- forepost.cf(5) ---- */

static void print_parameter(const struct config_description *d)
{
        char term[600];
        bool is_found = d->initial[0] == '(';
        snprintf(term, sizeof(term), "%s (default: %s)", d->name,
                 is_found             ? "found out at the start"
                 : d->initial[0] == 0 ? "empty"
                                      : d->initial);
        roff_item(term, d->help);
        if (d->range[0] && strcmp(d->range, d->type) != 0) {
                puts(".br");
                char text[400];
                snprintf(text, sizeof(text), "Value: %s, %s.", d->type, d->range);
                roff_text(text);
        }
}

static const char *fate_title(enum config_fate fate)
{
        return fate == CONFIG_REFUSED ? "REFUSED: MAIL WOULD PASS THAT MUST NOT"
               : fate == CONFIG_LATER ? "WITHOUT EFFECT, WITH A WARNING"
                                      : "WITHOUT EFFECT, AS NOTHING DEPENDS ON IT";
}

static void print_parameters(void)
{
        struct config_description d;
        const char *title = "";
        const char *reason = "";
        enum config_fate fate = CONFIG_HONOURED;
        roff_begin("forepost.cf", 5, "forepost.cf",
                   "parameters of main.cf and master.cf as Forepost has them");
        roff_section("DESCRIPTION");
        roff_text(
                "The files main.cf and master.cf are Postfix's, see postconf(5) and master(5) there: names, meanings "
                "and syntax are the same. Where Forepost differs on purpose, that is said after \"Postfix:\". Times "
                "have units (s, m, h, d, w); sizes are bytes.\n"
                "\n"
                "A parameter that is not known is an error, with the name that is probably meant. What Forepost does "
                "not honour stands at the end, with the reason; set to its default it is accepted in silence.");
        for (size_t i = 0; config_describe_next(i, &d); i++) {
                if (d.fate == CONFIG_HONOURED) {
                        if (strcmp(d.title, title) != 0) {
                                puts(".SH");
                                for (const char *p = d.title; *p; p++)
                                        putchar(toupper((unsigned char)*p));
                                putchar('\n');
                        }
                        title = d.title;
                        print_parameter(&d);
                        continue;
                }
                if (d.fate != fate)
                        roff_section(fate_title(d.fate));
                fate = d.fate;
                if (strcmp(d.help, reason) != 0) {
                        puts(".PP");
                        roff_put(d.help);
                        puts(":");
                }
                reason = d.help;
                puts(".br");
                fputs(".B ", stdout);
                roff_put(d.name);
                putchar('\n');
        }
        roff_section("EXAMPLES");
        roff_text(
                "Whole configurations to copy, with the reasons as comments, are in doc/forepost/examples below the "
                "directory of shared data (/usr/share, or /usr/local/share): backup-mx, exchange-edge, google-edge, "
                "hosting-sql, smarthost.");
        roff_section("SEE ALSO");
        roff_text("forepost(1), postconf(1)");
}

/* ---- all of them ---- */

const char *manual_page_name(size_t i)
{
        static char name[64];
        if (i == 0)
                return "forepost.1";
        if (i == 1)
                return "forepost.cf.5";
        if (!name_at(i - 2))
                return NULL;
        snprintf(name, sizeof(name), "%s.1", name_at(i - 2));
        return name;
}

int manual_page_print(const char *name)
{
        char base[64];
        size_t len = strlen(name);
        if (strcmp(name, "forepost.1") == 0) {
                print_program();
                return 0;
        }
        if (strcmp(name, "forepost.cf.5") == 0) {
                print_parameters();
                return 0;
        }
        if (len < 3 || len >= sizeof(base) || strcmp(name + len - 2, ".1") != 0)
                return -1;
        snprintf(base, sizeof(base), "%.*s", (int)len - 2, name);
        return manual_print_name(base);
}

/* ---- completion ---- */

static void print_words(const char *group)
{
        const char *last = "";
        for (size_t i = 0; command_at(i); i++) {
                const struct command *c = command_at(i);
                const char *word = group ? c->name : c->group ? c->group : c->name;
                if ((group && (!c->group || strcmp(c->group, group) != 0)) ||
                    strcmp(word, last) == 0)
                        continue;
                printf("%s ", word);
                last = word;
        }
}

void manual_completion_print(void)
{
        printf("# completion of forepost for bash; made by: forepost manual completion\n"
               "_forepost()\n{\n"
               "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
               "    local command=${COMP_WORDS[1]} second=${COMP_WORDS[2]}\n"
               "    case $before in\n"
               "    -c) COMPREPLY=($(compgen -d -- \"$word\")); return ;;\n"
               "    esac\n"
               "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
               "        COMPREPLY=($(compgen -W '");
        print_words(NULL);
        printf("--help --version' -- \"$word\"))\n        return\n    fi\n"
               "    local words='-c -o --help'\n"
               "    case $command in\n");
        const char *last = "";
        for (size_t i = 0; command_at(i); i++) {
                const char *group = command_at(i)->group;
                if (!group || strcmp(group, last) == 0)
                        continue;
                printf("    %s)\n        if [ \"$COMP_CWORD\" = 2 ]; then words=\"$words ", group);
                print_words(group);
                printf("\"; fi ;;\n");
                last = group;
        }
        printf("    esac\n    case \"$command $second\" in\n");
        for (size_t i = 0; command_at(i); i++) {
                const struct command *c = command_at(i);
                if (!c->flags[0].name)
                        continue;
                printf("    \"%s%s%s\"%s) words=\"$words", c->group ? c->group : "",
                       c->group ? " " : "", c->name, c->group ? "" : "*");
                for (const struct args_flag *f = c->flags; f->name; f++)
                        printf(" %s", f->name);
                printf("\" ;;\n");
        }
        printf("    esac\n"
               "    if [ \"$command\" = config ]; then\n"
               "        words=\"$words $(forepost config 2>/dev/null | cut -d' ' -f1)\"\n"
               "    fi\n"
               "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
               "}\n"
               "complete -F _forepost forepost\n");
}

/* ---- the command ---- */

static int run(const struct args *args)
{
        if (args->word_count == 0) {
                for (size_t i = 0; manual_page_name(i); i++)
                        puts(manual_page_name(i));
                puts("completion");
                return EXIT_DONE;
        }
        if (strcmp(args->words[0], "completion") == 0) {
                manual_completion_print();
                return EXIT_DONE;
        }
        if (manual_page_print(args->words[0]) == 0)
                return EXIT_DONE;
        command_error("there is no page %s; forepost manual lists them", args->words[0]);
        return EXIT_FAILED;
}

const struct command command_manual = {
        .name = "manual",
        .operands = "[PAGE]",
        .summary =
                "Prints a manual page for man(1), or the completion for bash; without PAGE, what there is",
        .help = "Read one: forepost manual forepost.cf.5 | man -l -\n",
        .flags = command_no_flags,
        .words_max = 1,
        .run = run,
};
