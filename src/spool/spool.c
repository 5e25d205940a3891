/* spool.c - opening and closing the spool, the room on its disk, a look from outside */
#include "spool/spool_private.h"

enum {
        ACTIVE_MAX = 20000,
        LARGE_BYTES_MIN = 4 << 10,
        LARGE_BYTES_MAX = 16 << 20,
        STRAGGLER_MS = 10000,
        LOOK_MS = 1000,
        ROOM_LOOK_MS = 1000,
};

static int64_t clip(int64_t value, int64_t min, int64_t max)
{
        return value < min ? min : value > max ? max : value;
}

struct spool *spool_make(const struct spool_options *options)
{
        struct spool *s = calloc(1, sizeof(*s));
        check(s);
        s->options = *options;
        s->options.segment_bytes =
                clip(options->segment_bytes, SPOOL_SEGMENT_BYTES_MIN, (int64_t)1 << 29);
        s->options.large_bytes = clip(options->large_bytes, LARGE_BYTES_MIN, LARGE_BYTES_MAX);
        if (!s->options.active_max)
                s->options.active_max = ACTIVE_MAX;
        s->side_count = options->loop_count ? options->loop_count : 1;
        if (s->options.active_max < s->side_count)
                s->options.active_max = s->side_count;
        s->sides = calloc(s->side_count, sizeof(*s->sides));
        check(s->sides);
        for (size_t i = 0; i < s->side_count; i++)
                side_init(&s->sides[i], s, options->loop_count ? options->loops[i] : NULL, i);
        journal_init(&s->journal, s);
        s->journal.straggler_ms = STRAGGLER_MS;
        s->journal.look_ms = LOOK_MS;
        return s;
}

void spool_drop(struct spool **sp)
{
        struct spool *s = *sp;
        for (size_t i = 0; i < s->side_count; i++)
                side_done(&s->sides[i]);
        journal_done(&s->journal);
        directory_close(&s->directory);
        free(s->sides);
        free(s);
        *sp = NULL;
}

static int start(struct spool *s, struct why *why)
{
        int rc = directory_open(&s->directory, s->options.directory, why);
        if (rc < 0)
                return rc;
        rc = export_refuses(&s->directory, why);
        if (rc < 0)
                return rc;
        int64_t began_ms = clock_mono_ms();
        struct recovery r = {.spool = s};
        rc = recovery_run(&r, why);
        s->damaged = r.damaged;
        atomic_store(&s->next_serial, r.last_serial + 1);
        s->journal.next_number = r.last_number + 1;
        if (rc < 0)
                recovery_drop(&r);
        else if (r.count)
                log_info("spool", "%zu messages are queued, read in %lld ms", r.count,
                         (long long)(clock_mono_ms() - began_ms));
        recovery_done(&r);
        return rc < 0 ? rc : journal_start(&s->journal, why);
}

int spool_open(const struct spool_options *options, struct spool **out, struct why *why)
{
        check(options->loop_count > 0);
        struct spool *s = spool_make(options);
        int rc = start(s, why);
        if (rc < 0)
                spool_drop(&s);
        *out = s;
        return rc;
}

void spool_close(struct spool **sp)
{
        struct spool *s = *sp;
        if (!s)
                return;
        atomic_store(&s->is_closing, true);
        for (size_t i = 0; i < s->side_count; i++)
                side_stop(&s->sides[i]);
        journal_stop(&s->journal);
        spool_drop(sp);
}

/* Looks at the disk once a second, by whoever comes first. */
static int64_t free_bytes(struct spool *s)
{
        int64_t now_ms = clock_mono_ms();
        long long looked_ms = atomic_load(&s->looked_ms);
        if ((!looked_ms || now_ms - looked_ms >= ROOM_LOOK_MS) &&
            atomic_compare_exchange_strong(&s->looked_ms, &looked_ms, now_ms))
                atomic_store(&s->free_bytes, directory_free_bytes(&s->directory));
        return atomic_load(&s->free_bytes);
}

int spool_check_room(struct spool *s, int64_t bytes)
{
        int failing = atomic_load(&s->journal.failing);
        if (failing < 0 && clock_mono_ms() < atomic_load(&s->journal.failing_until_ms))
                return failing == -ENOSPC || failing == -EDQUOT ? -ENOSPC : -EIO;
        int64_t left = free_bytes(s);
        if (left < 0)
                return -EIO;
        /* as Postfix: room for half as much again as the message */
        return left < s->options.free_bytes_min || left / 3 * 2 < bytes ? -ENOSPC : 0;
}

int spool_peek(struct str directory, void (*each)(void *context, const struct spool_info *info),
               void *context, struct why *why)
{
        struct spool_options options = {.directory = directory};
        struct spool *s = spool_make(&options);
        struct recovery r = {.spool = s, .is_quiet = true};
        int rc = directory_open_quietly(&s->directory, directory, why);
        if (rc == 0) {
                rc = recovery_run(&r, why);
                if (rc < 0)
                        recovery_drop(&r);
        }
        struct arena arena;
        arena_init(&arena, 0);
        for (size_t i = 0; rc == 0 && i < r.room; i++) {
                if (!r.table[i])
                        continue;
                struct spool_info info;
                spool_message_info(r.table[i], &arena, &info);
                each(context, &info);
                arena_clear(&arena);
        }
        arena_done(&arena);
        recovery_done(&r);
        spool_drop(&s);
        return rc;
}
