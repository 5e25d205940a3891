/*
 * findings.h - what is wrong, doubtful or worth knowing in a configuration
 *
 * Every room that reads the configuration adds what it finds: the parser, the lint, the tables, the
 * restriction lists. `forepost check` prints them all; serve and reload stop at the errors.
 */
#ifndef CONFIG_FINDINGS_H
#define CONFIG_FINDINGS_H

#include "base/arena.h"

enum severity {
        SEVERITY_NOTE,    /* accepted; worth knowing */
        SEVERITY_WARNING, /* accepted; probably not what is meant */
        SEVERITY_ERROR,   /* not started with */
};

struct finding {
        struct finding *next;
        enum severity severity;
        const char *code; /* stable, for scripts: "unknown-parameter"; lives for ever */
        struct str file;  /* as the user named it; empty: no place */
        int line;         /* from 1; 0: the whole file */
        struct str text;  /* what is wrong */
        struct str cure;  /* how to mend it; may be empty */
};

struct findings {
        struct arena arena;
        struct finding *first; /* by file and line */
        size_t count[SEVERITY_ERROR + 1];
};

struct place {
        struct str file;
        int line;
};

void findings_init(struct findings *f);
void findings_done(struct findings *f);

/* Adds one; copies the text. `cure` may be NULL. A finding that stands there already is not added again. */
void findings_add(struct findings *f, enum severity severity, const char *code, struct place at,
                  const char *cure, const char *format, ...) __attribute__((format(printf, 6, 7)));

static inline bool findings_has_errors(const struct findings *f)
{
        return f->count[SEVERITY_ERROR] > 0;
}

/* "main.cf:12: error: text (cure) [code]\n"; at least one NUL-terminated line, cut at `room`. */
size_t finding_format(const struct finding *finding, char *out, size_t room);

#endif
