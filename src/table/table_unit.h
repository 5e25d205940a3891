/*
 * table_unit.h - what the tests of this room share: a directory of files, and look-ups in one line
 */
#ifndef TABLE_TABLE_UNIT_H
#define TABLE_TABLE_UNIT_H

#include "base/unit.h"
#include "table/table.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

struct bench {
        char dir[64];
        struct table_set *set;
        struct findings findings;
        struct arena arena;
        struct why why;
        struct str value;
};

static const struct place bench_at = {STR_INIT("main.cf"), 12};

static inline void bench_init(struct bench *b)
{
        *b = (struct bench){.dir = "/tmp/forepost-table-XXXXXX"};
        assert_non_null(mkdtemp(b->dir));
        b->set = table_set_new(b->dir);
        findings_init(&b->findings);
        arena_init(&b->arena, 0);
}

static inline void bench_done(struct bench *b)
{
        table_set_free(&b->set);
        assert_null(b->set);
        findings_done(&b->findings);
        arena_done(&b->arena);
        char command[100];
        snprintf(command, sizeof(command), "rm -r %s", b->dir);
        assert_int_equal(system(command), 0);
}

static inline const char *bench_path(const struct bench *b, const char *name)
{
        static __thread char path[200];
        snprintf(path, sizeof(path), "%s/%s", b->dir, name);
        return path;
}

static inline void bench_set_age(const struct bench *b, const char *name, int seconds)
{
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        now.tv_sec -= seconds;
        struct timespec times[2] = {now, now};
        assert_int_equal(utimensat(AT_FDCWD, bench_path(b, name), times, 0), 0);
}

static inline void bench_write_bytes(const struct bench *b, const char *name, const void *bytes,
                                     size_t len)
{
        FILE *f = fopen(bench_path(b, name), "w");
        assert_non_null(f);
        assert_int_equal(fwrite(bytes, 1, len, f), len);
        assert_int_equal(fclose(f), 0);
        bench_set_age(b, name, 100);
}

/* Writes the file in place, as if a while ago. */
static inline void bench_write(const struct bench *b, const char *name, const char *text)
{
        bench_write_bytes(b, name, text, strlen(text));
}

static inline struct table *bench_open(struct bench *b, const char *spec)
{
        b->why.text[0] = '\0';
        struct table *t = table_open(b->set, str_from(spec), bench_at, &b->findings, &b->why);
        if (!t && !b->why.text[0])
                fail_msg("no reason for the failure of %s", spec);
        return t;
}

static inline struct table *bench_must_open(struct bench *b, const char *spec)
{
        struct table *t = bench_open(b, spec);
        if (!t)
                fail_msg("%s: %s", spec, b->why.text);
        return t;
}

/* What the table says, or "-" for nothing, or "!" for an error. */
static inline const char *bench_find(struct bench *b, struct table *t, const char *key)
{
        switch (await_table_find(t, str_from(key), &b->arena, &b->value, &b->why)) {
        case TABLE_FOUND:
                assert_int_equal(b->value.ptr[b->value.len], '\0');
                return b->value.ptr;
        case TABLE_NOT_FOUND:
                return "-";
        default:
                return "!";
        }
}

static inline const struct finding *bench_finding(const struct bench *b, const char *code)
{
        for (const struct finding *f = b->findings.first; f; f = f->next)
                if (strcmp(f->code, code) == 0)
                        return f;
        return NULL;
}

static inline size_t bench_count(const struct bench *b, const char *code)
{
        size_t count = 0;
        for (const struct finding *f = b->findings.first; f; f = f->next)
                count += strcmp(f->code, code) == 0;
        return count;
}

/* The finding is there, at this line, and its text has `part`. */
static inline void bench_expect(const struct bench *b, const char *code, int line, const char *part)
{
        const struct finding *found = NULL;
        for (const struct finding *f = b->findings.first; f; f = f->next)
                if (strcmp(f->code, code) == 0 && f->line == line &&
                    str_find_str(f->text, str_from(part)) >= 0)
                        found = f;
        if (!found)
                fail_msg("no finding %s at line %d with \"%s\"", code, line, part);
}

static inline void bench_why_has(const struct bench *b, const char *part)
{
        if (!strstr(b->why.text, part))
                fail_msg("\"%s\" is not in: %s", part, b->why.text);
}

#endif
