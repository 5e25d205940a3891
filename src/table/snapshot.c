/* snapshot.c - see snapshot.h */
#include "table/snapshot.h"

#include "base/check.h"

/* One lane's part of a snapshot. */
struct table_snapshot {
        _Alignas(SNAPSHOT_CACHE_LINE) atomic_uint users; /* the lane itself is one */
        struct version *version;
};

/* What was read at one time. */
struct version {
        atomic_uint shares; /* that are in use */
        const struct table_type *type;
        void *contents;
        struct table_snapshot share[SNAPSHOT_LANES];
};

void snapshots_init(struct snapshots *s, const struct table_type *type)
{
        *s = (struct snapshots){.type = type};
        for (unsigned i = 0; i < SNAPSHOT_LANES; i++)
                pthread_mutex_init(&s->lanes[i].lock, NULL);
}

void snapshots_done(struct snapshots *s)
{
        for (unsigned i = 0; i < SNAPSHOT_LANES; i++) {
                if (s->lanes[i].now)
                        table_snapshot_release(s->lanes[i].now);
                pthread_mutex_destroy(&s->lanes[i].lock);
        }
}

/* The lane of this thread, in every table. */
static unsigned lane_of_thread(void)
{
        static atomic_uint threads;
        static __thread unsigned own; /* counted from 1 */
        if (own == 0)
                own = 1 +
                      atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) % SNAPSHOT_LANES;
        return own - 1;
}

void snapshots_put(struct snapshots *s, void *contents)
{
        struct version *v = aligned_alloc(SNAPSHOT_CACHE_LINE, sizeof(*v));
        check(v);
        v->type = s->type;
        v->contents = contents;
        atomic_init(&v->shares, SNAPSHOT_LANES);
        for (unsigned i = 0; i < SNAPSHOT_LANES; i++) {
                struct table_snapshot *share = &v->share[i];
                share->version = v;
                atomic_init(&share->users, 1);
                pthread_mutex_lock(&s->lanes[i].lock);
                struct table_snapshot *old = s->lanes[i].now;
                s->lanes[i].now = share;
                pthread_mutex_unlock(&s->lanes[i].lock);
                if (old)
                        table_snapshot_release(old);
        }
}

struct table_snapshot *snapshots_hold(struct snapshots *s)
{
        struct snapshot_lane *lane = &s->lanes[lane_of_thread()];
        pthread_mutex_lock(&lane->lock);
        struct table_snapshot *now = lane->now;
        atomic_fetch_add_explicit(&now->users, 1, memory_order_relaxed);
        pthread_mutex_unlock(&lane->lock);
        return now;
}

void table_snapshot_release(struct table_snapshot *s)
{
        if (atomic_fetch_sub_explicit(&s->users, 1, memory_order_acq_rel) != 1)
                return;
        struct version *v = s->version;
        if (atomic_fetch_sub_explicit(&v->shares, 1, memory_order_acq_rel) != 1)
                return;
        v->type->free(v->contents);
        free(v);
}

const void *table_snapshot_contents(const struct table_snapshot *s)
{
        return s->version->contents;
}

void snapshots_count(struct snapshots *s, bool has_failed)
{
        struct snapshot_lane *lane = &s->lanes[lane_of_thread()];
        atomic_fetch_add_explicit(&lane->looks, 1, memory_order_relaxed);
        if (has_failed)
                atomic_fetch_add_explicit(&lane->errors, 1, memory_order_relaxed);
}

void snapshots_figures(struct snapshots *s, struct table_figures *f)
{
        for (size_t i = 0; i < SNAPSHOT_LANES; i++) {
                f->looks += atomic_load_explicit(&s->lanes[i].looks, memory_order_relaxed);
                f->errors += atomic_load_explicit(&s->lanes[i].errors, memory_order_relaxed);
        }
}
