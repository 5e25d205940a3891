/* common.c - what several commands need */
#include "bin/command.h"

#include <stdarg.h>

const struct args_flag command_no_flags[] = {{NULL, 0, NULL, NULL}};

void command_error(const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fputs("forepost: ", stderr);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
        va_end(args);
}

struct config *command_config_load(const struct args *args)
{
        struct findings findings;
        findings_init(&findings);
        struct config *c = config_load(args->dir, args_overrides(args), &findings);
        for (const struct finding *f = findings.first; f && !c; f = f->next) {
                static char line[4096];
                finding_format(f, line, sizeof(line));
                fputs(line, stderr);
        }
        findings_done(&findings);
        return c;
}
