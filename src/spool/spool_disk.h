/*
 * spool_disk.h - a disk for tests: it fails when told to, and can lose its power
 *
 * It takes the place of spool_io. Every call is counted; the plan says at which one something happens. What was
 * written, cut, made or removed and not yet synced (a file by fdatasync or fsync, a name by an fsync of its
 * directory) is remembered, so that it can be undone.
 */
#ifndef SPOOL_SPOOL_DISK_H
#define SPOOL_SPOOL_DISK_H

enum disk_fault {
        DISK_SOUND,
        DISK_FAILS_ONCE,  /* the call returns `error` and does nothing */
        DISK_FAILS,       /* that call and all that follow, until disk_mend() */
        DISK_SHORT,       /* a write writes half; another call fails with `error` */
        DISK_KILLED,      /* the process ends before the call; what was written stays */
        DISK_HALF_KILLED, /* the same, but half of a write is done */
        DISK_POWER_LOST,  /* the process ends, and nothing that was not synced is left */
        DISK_POWER_TORN,  /* the same, but some of it is, by chance */
};

struct disk_plan {
        enum disk_fault fault;
        long at; /* which call, counted from 1; 0: none */
        int error;
        unsigned seed;
};

enum { DISK_EXIT_CODE = 77 }; /* of the process whose power was lost */

/*
 * From now on. What is removed lies in `directory`, the test's own and on the same disk, until it cannot come back;
 * whatever happens it goes away with it.
 */
void disk_start(const struct disk_plan *plan, const char *directory);
/* Calls so far. */
long disk_calls(void);
void disk_break(int error);
void disk_mend(void);
void disk_stop(void);

#endif
