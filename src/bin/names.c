/* names.c - the names that scripts call: which there are, and what they share */
#include "bin/names.h"

#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 64 * 1024 };

static const struct {
        const char *name;
        name_main *run;
} names[] = {
        {"sendmail", name_sendmail},   {"mailq", name_sendmail},      {"newaliases", name_sendmail},
        {"postmap", name_postmap},     {"postalias", name_postalias}, {"postqueue", name_postqueue},
        {"postsuper", name_postsuper}, {"postconf", name_postconf},   {"postcat", name_postcat},
        {"postlog", name_postlog},
};

const char *name_program = "forepost";

const char *name_at(size_t i)
{
        return i < sizeof(names) / sizeof(*names) ? names[i].name : NULL;
}

name_main *name_find(const char *argv0)
{
        const char *slash = argv0 ? strrchr(argv0, '/') : NULL;
        const char *base = slash ? slash + 1 : argv0;
        for (size_t i = 0; base && i < sizeof(names) / sizeof(*names); i++)
                if (strcmp(base, names[i].name) == 0) {
                        name_program = names[i].name;
                        return names[i].run;
                }
        return NULL;
}

static void say(const char *grade, const char *format, va_list args)
        __attribute__((format(printf, 2, 0)));

static void say(const char *grade, const char *format, va_list args)
{
        fflush(stdout); /* what came before it stands before it */
        fprintf(stderr, "%s: %s", name_program, grade);
        vfprintf(stderr, format, args);
        fputc('\n', stderr);
}

void name_warning(const char *format, ...)
{
        va_list args;
        va_start(args, format);
        say("warning: ", format, args);
        va_end(args);
}

int name_fatal(int code, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        say("fatal: ", format, args);
        va_end(args);
        return code;
}

const char *name_directory(const char *given)
{
        if (given)
                return given;
        const char *named = getenv("MAIL_CONFIG");
        if (named && *named)
                return named;
        if (access("/etc/forepost/main.cf", F_OK) < 0 && access("/etc/postfix/main.cf", F_OK) == 0)
                return "/etc/postfix";
        return "/etc/forepost";
}

struct config *name_config(const char *directory, const struct config_override *overrides,
                           struct findings *findings)
{
        struct findings own;
        struct findings *f = findings ? findings : &own;
        if (!findings)
                findings_init(&own);
        struct config *c = config_load(directory, overrides, f);
        for (const struct finding *one = f->first; one && !c; one = one->next)
                name_fatal(1, "%.*s: %.*s", STR_ARG(one->file), STR_ARG(one->text));
        if (!findings)
                findings_done(&own);
        return c;
}

char *name_read_line(void)
{
        static char line[LINE_BYTES_MAX];
        if (!fgets(line, sizeof(line), stdin))
                return NULL;
        size_t len = strlen(line);
        if (len && line[len - 1] == '\n') {
                line[--len] = 0;
                if (len && line[len - 1] == '\r')
                        line[--len] = 0;
        } else if (len == sizeof(line) - 1) {
                name_warning("a line of standard input is longer than %d bytes", LINE_BYTES_MAX);
                return NULL;
        }
        return line;
}
