/* manual.c - the manual of main.cf, from the table of parameters */
#include "bin/manual.h"

#include "config/config.h"

static const char *fate_text(enum config_fate fate)
{
        switch (fate) {
        case CONFIG_REFUSED:
                return "Setting it is an error";
        case CONFIG_LATER:
                return "Setting it has no effect yet, and is a warning";
        case CONFIG_HARMLESS:
                return "Setting it changes nothing, and is a note";
        case CONFIG_HONOURED:
                break;
        }
        return "";
}

static void print_default(const struct config_description *d)
{
        if (d->initial[0] == '(')
                printf("Default: found out at the start.");
        else if (d->initial[0] == 0)
                printf("Default: empty.");
        else
                printf("Default: `%s`.", d->initial);
}

static void print_parameter(const struct config_description *d, const char *mark)
{
        printf("%s %s\n\n", mark, d->name);
        print_default(d);
        if (d->fate == CONFIG_HONOURED) {
                bool is_said = strcmp(d->type, d->range) == 0 || d->range[0] == 0;
                printf(" Value: %s%s%s.\n\n%s\n\n", d->type, is_said ? "" : ", ",
                       is_said ? "" : d->range, d->help);
        } else {
                printf(" %s: %s.\n\n", fate_text(d->fate), d->help);
        }
}

static const char *const opening =
        "# Parameters of main.cf\n"
        "\n"
        "Names and meanings are those of Postfix. Where Forepost differs on purpose, that is said after "
        "\"Postfix:\". Times have units (s, m, h, d, w); sizes are bytes.\n"
        "\n";

static const char *const intermission =
        "## Parameters of Postfix that are not honoured\n"
        "\n"
        "Set to its default, or to nothing where that asks for nothing, each of these is accepted in "
        "silence.\n"
        "\n";

void manual_print(void)
{
        struct config_description d;
        const char *title = "";
        const char *reason = "";
        fputs(opening, stdout);
        for (size_t i = 0; config_describe_next(i, &d); i++) {
                if (d.fate == CONFIG_HONOURED) {
                        if (strcmp(d.title, title) != 0)
                                printf("## %s\n\nUsed by: %s.\n\n", d.title, d.room);
                        title = d.title;
                        print_parameter(&d, "###");
                        continue;
                }
                if (*reason == 0)
                        fputs(intermission, stdout);
                if (strcmp(d.help, reason) != 0)
                        printf("%s%s: %s.\n\n", *reason ? "\n" : "", fate_text(d.fate), d.help);
                reason = d.help;
                printf("- %s\n", d.name);
        }
}

bool manual_print_one(const char *name)
{
        struct config_description d;
        if (!config_describe(str_from(name), &d))
                return false;
        print_parameter(&d, "##");
        return true;
}
