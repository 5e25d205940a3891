/* core_unit.h - configurations from text in a directory of their own, for tests of this room */
#ifndef CORE_CORE_UNIT_H
#define CORE_CORE_UNIT_H

#include "base/unit.h"
#include "config/config.h"
#include "table/table.h"

#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

struct core_unit {
        char dir[64];
        struct findings findings;
        struct config *config;
        struct table_set *tables;
};

static inline int core_unit_remove(const char *path, const struct stat *st, int kind,
                                   struct FTW *ftw)
{
        return remove(path);
}

static inline void core_unit_write(const struct core_unit *u, const char *name, const char *text)
{
        char path[128];
        snprintf(path, sizeof(path), "%s/%s", u->dir, name);
        FILE *f = fopen(path, "w");
        assert_non_null(f);
        assert_true(fputs(text, f) >= 0);
        assert_int_equal(fclose(f), 0);
}

static inline void core_unit_begin(struct core_unit *u)
{
        memset(u, 0, sizeof(*u));
        snprintf(u->dir, sizeof(u->dir), "/tmp/core-test.XXXXXX");
        assert_non_null(mkdtemp(u->dir));
        findings_init(&u->findings);
}

/* main.cf gets a few lines in front that make it quiet. */
static inline void core_unit_load(struct core_unit *u, const char *main_cf, const char *master_cf)
{
        static char text[8192];
        snprintf(text, sizeof(text),
                 "myhostname = core.test\nmynetworks = 192.0.2.0/24\nmydestination =\n%s", main_cf);
        core_unit_write(u, "main.cf", text);
        if (master_cf)
                core_unit_write(u, "master.cf", master_cf);
        u->config = config_load(u->dir, NULL, &u->findings);
        assert_non_null(u->config);
}

static inline void core_unit_end(struct core_unit *u)
{
        config_unref(&u->config);
        findings_done(&u->findings);
        assert_int_equal(nftw(u->dir, core_unit_remove, 8, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
