/* check.c - forepost check: what is wrong with the configuration */
#include "ops/check.h"
#include "bin/command.h"
#include "ops/json.h"

enum { AS_JSON = 1 };

static const char *const severities[] = {"note", "warning", "error"};

static void print_json(const struct finding *f)
{
        struct buf out;
        struct json j;
        buf_init(&out, 64 * 1024);
        json_init(&j, &out);
        json_open(&j, NULL, '{');
        json_str(&j, "severity", str_from(severities[f->severity]));
        json_str(&j, "code", str_from(f->code));
        json_str(&j, "file", f->file);
        json_int(&j, "line", f->line);
        json_str(&j, "text", f->text);
        json_str(&j, "cure", f->cure);
        json_close(&j, '}');
        json_end(&j);
        fwrite(out.ptr, 1, out.len, stdout);
        buf_done(&out);
}

static void print_text(const struct finding *f)
{
        static char line[8192];
        finding_format(f, line, sizeof(line));
        fputs(line, stdout);
}

static void print_count(size_t count, const char *what, const char *end)
{
        printf("%zu %s%s%s", count, what, count == 1 ? "" : "s", end);
}

static int run(const struct args *args)
{
        struct findings findings;
        findings_init(&findings);
        check_configuration(args->dir, args_overrides(args), &findings);
        for (const struct finding *f = findings.first; f; f = f->next) {
                if (args->flags & AS_JSON)
                        print_json(f);
                else
                        print_text(f);
        }
        if (!(args->flags & AS_JSON)) {
                print_count(findings.count[SEVERITY_ERROR], "error", ", ");
                print_count(findings.count[SEVERITY_WARNING], "warning", ", ");
                print_count(findings.count[SEVERITY_NOTE], "note", "\n");
        }
        int code = findings_has_errors(&findings) ? EXIT_FAILED : EXIT_DONE;
        findings_done(&findings);
        return code;
}

static const struct args_flag flags[] = {
        {"--json", AS_JSON, "one object a line: severity, code, file, line, text, cure", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_check = {
        .name = "check",
        .operands = "",
        .summary = "Says what is wrong with the configuration, and how to mend it",
        .help = "Run by root it looks with the eyes of mail_owner, as the server will. Exit code 1 when\n"
                "there are errors, 0 when there are only warnings and notes.\n",
        .flags = flags,
        .run = run,
};
