/* fault.c - errors and doubts about a table: a place, what is wrong, how to mend it */
#include "table/table_private.h"

#include <stdarg.h>

static void fault_write(struct table_fault *fault, int error, const char *code, const char *cure,
                        const char *format, va_list args) __attribute__((format(printf, 5, 0)));
static void fault_write(struct table_fault *fault, int error, const char *code, const char *cure,
                        const char *format, va_list args)
{
        *fault = (struct table_fault){.error = error, .code = code};
        vsnprintf(fault->text, sizeof(fault->text), format, args);
        snprintf(fault->cure, sizeof(fault->cure), "%s", cure ? cure : "");
}

int fault_set(struct table_fault *fault, int error, const char *code, const char *cure,
              const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fault_write(fault, error, code, cure, format, args);
        va_end(args);
        return error;
}

int fault_to_why(const struct table_fault *fault, struct why *why)
{
        const char *open = fault->cure[0] ? " (" : "";
        const char *close = fault->cure[0] ? ")" : "";
        if (fault->file[0] && fault->line > 0)
                return why_set(why, fault->error, "%s:%d: %s%s%s%s", fault->file, fault->line,
                               fault->text, open, fault->cure, close);
        return why_set(why, fault->error, "%s%s%s%s", fault->text, open, fault->cure, close);
}

void fault_to_findings(const struct table_fault *fault, struct place at, struct findings *findings)
{
        if (!findings)
                return;
        if (fault->file[0])
                at = (struct place){str_from(fault->file), fault->line};
        findings_add(findings, SEVERITY_ERROR, fault->code, at, fault->cure[0] ? fault->cure : NULL,
                     "%s", fault->text);
}

int text_fault(const struct table_text *text, int line, int error, const char *code,
               const char *cure, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        fault_write(text->fault, error, code, cure, format, args);
        va_end(args);
        if (text->is_file) {
                snprintf(text->fault->file, sizeof(text->fault->file), "%.*s",
                         STR_ARG(text->at.file));
                text->fault->line = line;
        }
        return error;
}

void text_doubt(const struct table_text *text, int line, int *count, const char *code,
                const char *cure, const char *format, ...)
{
        if (!text->findings || *count > TABLE_DOUBTS_MAX)
                return;
        struct place at = text->at;
        if (text->is_file)
                at.line = line;
        if (++*count > TABLE_DOUBTS_MAX) {
                findings_add(text->findings, SEVERITY_WARNING, code, at, NULL,
                             "and more of this kind from here on");
                return;
        }
        char words[400];
        va_list args;
        va_start(args, format);
        vsnprintf(words, sizeof(words), format, args);
        va_end(args);
        findings_add(text->findings, SEVERITY_WARNING, code, at, cure, "%s", words);
}
