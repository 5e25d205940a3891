/*
 * journal.c - the writer: takes what all loops ask for, appends it, syncs once, answers all
 *
 * A turn of the writer:
 *   1. wait (await_group): for a commit; then, while other drafts are under way, until they have come too or
 *      some time has passed since the last sync began: 50 us for each draft, 2 ms at most. One client alone
 *      never waits for others.
 *   2. append (append_group): heads get their checksums, everything goes out by pwritev. Notes (states, ends)
 *      are so safe from the end of this process; nobody waits for them, they are written within NOTES_US.
 *   3. sync, when there is a commit or notes have been waiting for LAZY_SYNC_MS. *From the instant that
 *      fdatasync returns 0 the messages are ours.*
 *   4. answer: one letter to each loop concerned.
 * While it is in 2 and 3, the next group gathers.
 *
 * What goes wrong:
 *   a write fails (no room, I/O error)  the file is cut back to where it was sound; commits are refused; notes
 *                                       are carried over to the next group. When it cannot even be cut: seal.
 *   fdatasync fails                     final for this segment, since the kernel forgets which pages it could
 *                                       not write: everything since the last good sync is in doubt. Commits are
 *                                       refused, notes carried over, the segment is sealed at its last good
 *                                       offset, and the next segment begins with a record that says so.
 *   no new segment can be made          commits are refused until RETRY_MS later.
 * A refused message whose record is on disk all the same may be delivered after a crash before the seal is
 * durable: twice for its sender, who tries again. Never is one lost.
 */
#include "spool/spool_io.h"
#include "spool/spool_private.h"

#include <limits.h>
#include <signal.h>
#include <unistd.h>

enum {
        GROUP_US = 2000,
        GROUP_US_A_DRAFT = 50,
        NOTES_US = 3000,
        LAZY_SYNC_MS = 1000,
        RETRY_MS = 250,
        GROUP_BYTES_MAX = 16 << 20,
        GROUP_IOV_MAX = 1000,
        CLOSING_TRIES = 3,
};

static const char padding[RECORD_ALIGN];

/* ---- the loops' end ---- */

void journal_push(struct journal *j, struct request_list *requests, size_t commits)
{
        if (!requests->first)
                return;
        pthread_mutex_lock(&j->lock);
        bool was_empty = !j->queue.first;
        bool had_commits = j->queued_commits > 0;
        if (was_empty)
                j->first_queued_us = clock_mono_us();
        request_list_append(&j->queue, requests);
        j->queued_commits += commits;
        bool wake = was_empty || (commits && !had_commits) ||
                    (commits && j->queued_commits >= atomic_load(&j->spool->drafts));
        pthread_mutex_unlock(&j->lock);
        if (wake)
                pthread_cond_signal(&j->writer_wake);
}

/* ---- 1. waiting ---- */

/* The instant (monotonic microseconds) at which the writer has something to do; called with the lock. */
static int64_t next_work_us(struct journal *j, int64_t now_us)
{
        int64_t at = CLOCK_NEVER;
        if (j->is_closing)
                return now_us;
        if (j->queued_commits) {
                size_t drafts = atomic_load(&j->spool->drafts);
                if (j->queued_commits >= drafts)
                        return now_us;
                /* the more may come, the longer it pays to wait for them */
                int64_t wait_us = (int64_t)drafts * GROUP_US_A_DRAFT;
                at = j->sync_began_us + (wait_us < GROUP_US ? wait_us : GROUP_US);
        } else if (j->queue.first) {
                at = j->first_queued_us + NOTES_US;
        }
        int64_t other = CLOCK_NEVER;
        if (j->written.first)
                other = (j->written_since_ms + LAZY_SYNC_MS) * 1000;
        if (j->carried.first && j->error_until_ms * 1000 < other)
                other = j->error_until_ms * 1000;
        int64_t clean_ms = compact_next_ms(j);
        if (clean_ms != CLOCK_NEVER && clean_ms * 1000 < other)
                other = clean_ms * 1000;
        return at < other ? at : other;
}

/* Waits, then moves all that is queued to *group. False when the journal is to close and nothing is left. */
static bool await_group(struct journal *j, struct request_list *group)
{
        pthread_mutex_lock(&j->lock);
        for (;;) {
                int64_t now_us = clock_mono_us();
                int64_t at_us = next_work_us(j, now_us);
                if (at_us <= now_us)
                        break;
                if (at_us == CLOCK_NEVER) {
                        pthread_cond_wait(&j->writer_wake, &j->lock);
                        continue;
                }
                struct timespec until = {.tv_sec = at_us / 1000000,
                                         .tv_nsec = at_us % 1000000 * 1000};
                pthread_cond_timedwait(&j->writer_wake, &j->lock, &until);
        }
        *group = j->queue;
        j->queue = (struct request_list){0};
        j->queued_commits = 0;
        bool goes_on = !j->is_closing || group->first;
        pthread_mutex_unlock(&j->lock);
        return goes_on;
}

/* ---- answering ---- */

/* Sends all of them home. */
static void answer(struct journal *j, struct request_list *group)
{
        struct spool *s = j->spool;
        for (const struct request *r = group->first; r; r = r->next)
                if (r->kind == REQUEST_COMMIT)
                        atomic_fetch_sub(&s->drafts, 1);
                else
                        compact_answered(j);
        for (size_t i = 0; i < s->side_count; i++) {
                struct request_list mine = {0};
                struct request_list others = {0};
                struct request *r;
                while ((r = request_list_take(group)))
                        request_list_add(r->side == &s->sides[i] ? &mine : &others, r);
                if (mine.first)
                        side_answer(&s->sides[i], &mine);
                *group = others;
        }
}

static void refuse(struct journal *j, struct request_list *group, int code)
{
        struct request_list answered = {0};
        struct request_list notes = {0};
        struct request *r;
        while ((r = request_list_take(group))) {
                if (r->kind != REQUEST_NOTES) {
                        r->result = code;
                        request_list_add(&answered, r);
                } else if (r->is_seals) {
                        request_free(&r);
                } else {
                        request_list_add(&notes, r);
                }
        }
        /* older than what is carried already only when that is empty: groups fail in order */
        request_list_append(&j->carried, &notes);
        answer(j, &answered);
}

static void free_notes(struct journal *j, struct request_list *notes)
{
        struct request *r;
        while ((r = request_list_take(notes))) {
                struct removal *removals = r->removals;
                r->removals = NULL;
                request_free(&r);
                if (removals) {
                        pthread_mutex_lock(&j->lock);
                        keeper_remove(j, removals);
                        pthread_mutex_unlock(&j->lock);
                }
        }
}

/* ---- the active segment ---- */

static void set_error(struct journal *j, int code)
{
        if (j->error != code && code < 0)
                log_error("spool", "cannot write to %s/journal: %s; mail is refused until it works",
                          j->spool->directory.path, why_errno(code));
        if (j->error < 0 && code == 0)
                log_info("spool", "writing to %s/journal works again", j->spool->directory.path);
        j->error = code;
        j->error_until_ms = code < 0 ? clock_mono_ms() + RETRY_MS : 0;
        atomic_store(&j->failing, code);
        atomic_store(&j->failing_until_ms, j->error_until_ms);
}

/* The active segment gets no more records. */
static void retire(struct journal *j)
{
        struct segment *s = j->active;
        j->active = NULL;
        if (spool_io.ftruncate(s->fd, (off_t)s->bytes) == 0 && s->ready_room > s->bytes)
                atomic_fetch_sub(&j->disk_bytes, (int64_t)(s->ready_room - s->bytes));
        close(s->fd);
        s->fd = -1;
        s->retired_ms = clock_mono_ms();
        j->sealed_bytes += (int64_t)s->bytes;
}

/* What stands behind s->synced does not count, whatever is on the disk. */
static void seal(struct journal *j)
{
        struct segment *s = j->active;
        j->seals = realloc(j->seals, (j->seal_count + 1) * sizeof(*j->seals));
        check(j->seals);
        j->seals[j->seal_count++] = (struct record_seal){.number = s->number, .bytes = s->synced};
        s->bytes = s->synced;
        request_list_prepend(&j->carried, &j->written);
        retire(j);
}

static struct request *make_seals(struct journal *j)
{
        struct request *r = request_new(REQUEST_NOTES, NULL);
        r->is_seals = true;
        for (size_t i = 0; i < j->seal_count; i++) {
                struct buf meta;
                buf_init(&meta, 64);
                record_seal_encode(&j->seals[i], &meta);
                record_append(&r->record, RECORD_SEAL, 0, buf_str(&meta));
                buf_done(&meta);
        }
        return r;
}

static void want_prepared(struct journal *j)
{
        pthread_mutex_lock(&j->lock);
        if (!j->prepared && !j->wants_prepared) {
                j->wants_prepared = true;
                pthread_cond_signal(&j->keeper_wake);
        }
        pthread_mutex_unlock(&j->lock);
}

/* Syncs the active segment. After an error it is no longer active, and `written` is carried over. */
static int sync_active(struct journal *j)
{
        struct segment *s = j->active;
        j->sync_began_us = clock_mono_us();
        atomic_fetch_add(&j->syncs, 1);
        if (spool_io.fdatasync(s->fd) < 0) {
                int code = -errno;
                log_error("spool", "cannot sync %s/journal/%016llx: %s; it is closed at %llu bytes",
                          j->spool->directory.path, (unsigned long long)s->number, why_errno(code),
                          (unsigned long long)s->synced);
                seal(j);
                return code;
        }
        s->synced = s->bytes;
        free(j->seals);
        j->seals = NULL;
        j->seal_count = 0;
        free_notes(j, &j->written);
        return 0;
}

/* An active segment with room for a record of `bytes`; 0 or a negative errno value. */
static int make_room(struct journal *j, size_t bytes)
{
        struct segment *s = j->active;
        if (s && s->bytes + bytes > s->room && s->bytes > SEGMENT_HEADER_BYTES) {
                if (s->bytes > s->synced) {
                        int rc = sync_active(j);
                        if (rc < 0)
                                return rc;
                }
                /* with no other segment to be had this one may as well grow, while there is room */
                int error = 0;
                struct segment *next = keeper_take_segment(j, &error);
                if (!next)
                        return error == -ENOSPC || error == -EMFILE || error == -ENFILE ? 0 : error;
                retire(j);
                list_add_last(&j->segments, &next->link);
                j->active = next;
        }
        if (!j->active) {
                int error = 0;
                j->active = keeper_take_segment(j, &error);
                if (!j->active)
                        return error;
                list_add_last(&j->segments, &j->active->link);
        }
        if (j->active->bytes > j->active->room / 2)
                want_prepared(j);
        return 0;
}

/* ---- 2. appending ---- */

struct gather {
        struct iovec iov[GROUP_IOV_MAX + 8];
        int count;
        size_t bytes;
};

static void gather_add(struct gather *g, const void *bytes, size_t len)
{
        if (len == 0)
                return;
        g->iov[g->count++] = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = len};
        g->bytes += len;
}

static size_t request_bytes(const struct request *r)
{
        size_t content = r->kind == REQUEST_COPY ? r->from.content_bytes : r->content.len;
        size_t all = r->record.len + content;
        return (all + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

/* Gives the request its place at `at`: heads are sealed. */
static void place(struct gather *g, struct request *r, struct segment *s)
{
        uint64_t at = s->bytes + g->bytes;
        unsigned char *bytes = (unsigned char *)r->record.ptr;
        r->segment = s;
        r->at = at;
        if (r->kind == REQUEST_NOTES) {
                for (size_t i = 0; i < r->record.len; i += record_head_total(bytes + i))
                        record_head_seal(bytes + i, s->seed, at + i);
                gather_add(g, bytes, r->record.len);
                return;
        }
        record_head_seal(bytes, s->seed, at);
        size_t before = g->bytes;
        gather_add(g, bytes, r->record.len);
        gather_add(g, r->content.ptr, r->content.len);
        gather_add(g, padding, request_bytes(r) - (g->bytes - before));
}

/* All of it, or a negative errno value with the file cut back. */
static int write_gathered(struct segment *s, struct gather *g)
{
        struct iovec *v = g->iov;
        int count = g->count;
        uint64_t at = s->bytes;
        while (count) {
                ssize_t n =
                        spool_io.pwritev(s->fd, v, count < IOV_MAX ? count : IOV_MAX, (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                at += (uint64_t)n;
                while (count && (size_t)n >= v->iov_len) {
                        n -= (ssize_t)v->iov_len;
                        v++;
                        count--;
                }
                if (n) {
                        v->iov_base = (char *)v->iov_base + n;
                        v->iov_len -= (size_t)n;
                }
        }
        return 0;
}

/* Takes from *group what goes into one write. Copies whose content cannot be read are answered at once. */
static void gather_some(struct journal *j, struct request_list *group, struct gather *g,
                        struct request_list *taken)
{
        struct segment *s = j->active;
        *g = (struct gather){.count = 0};
        struct request *r;
        while ((r = group->first)) {
                if (r->kind == REQUEST_COPY && r->from.content_bytes && !r->content.ptr) {
                        r->result = compact_read(j, r);
                        if (r->result < 0) {
                                struct request_list one = {0};
                                request_list_add(&one, request_list_take(group));
                                answer(j, &one);
                                continue;
                        }
                }
                size_t bytes = request_bytes(r);
                bool fits = s->bytes + g->bytes + bytes <= s->room;
                if (taken->first &&
                    (!fits || g->count >= GROUP_IOV_MAX || g->bytes + bytes > GROUP_BYTES_MAX))
                        break;
                place(g, r, s);
                request_list_add(taken, request_list_take(group));
        }
}

static void cut_back(struct journal *j, int code)
{
        struct segment *s = j->active;
        if (spool_io.ftruncate(s->fd, (off_t)s->bytes) == 0) {
                if (s->ready_room > s->bytes)
                        atomic_fetch_sub(&j->disk_bytes, (int64_t)(s->ready_room - s->bytes));
                s->ready_room = s->bytes;
                /* an I/O error here may be one there again */
                if (code == -ENOSPC || code == -EDQUOT || code == -EFBIG)
                        return;
        }
        if (s->bytes > s->synced && sync_active(j) < 0)
                return;
        seal(j);
}

/* ---- a group ---- */

static bool has_waiting(const struct request_list *l)
{
        for (const struct request *r = l->first; r; r = r->next)
                if (r->kind != REQUEST_NOTES)
                        return true;
        return false;
}

/* After the sync: holds are given, notes freed (they are in `written` no more). */
static void accept_requests(struct journal *j, struct request_list *durable)
{
        for (struct request *r = durable->first; r; r = r->next) {
                r->result = 0;
                segment_hold(j, r->segment, r->live_bytes);
        }
        answer(j, durable);
}

/* Writes what fits into one write; 0 when the rest of *group may go on. */
static int write_some(struct journal *j, struct request_list *group)
{
        static __thread struct gather g;
        struct request_list taken = {0};
        int rc = make_room(j, request_bytes(group->first));
        if (rc < 0)
                return rc;
        if (j->seal_count && j->active->bytes == SEGMENT_HEADER_BYTES) {
                struct request_list seals = {0};
                request_list_add(&seals, make_seals(j));
                request_list_prepend(group, &seals);
        }
        gather_some(j, group, &g, &taken);
        if (!taken.first)
                return 0;
        bool waits = has_waiting(&taken);
        rc = write_gathered(j->active, &g);
        if (rc < 0) {
                refuse(j, &taken, rc);
                cut_back(j, rc);
                return rc;
        }
        struct segment *s = j->active;
        s->bytes += g.bytes;
        if (s->bytes > s->ready_room) {
                atomic_fetch_add(&j->disk_bytes, (int64_t)(s->bytes - s->ready_room));
                s->ready_room = s->bytes;
        }
        struct request_list durable = {0};
        struct request *r;
        if (!j->written.first)
                j->written_since_ms = clock_mono_ms();
        while ((r = request_list_take(&taken)))
                request_list_add(r->kind == REQUEST_NOTES ? &j->written : &durable, r);
        if (!waits)
                return 0;
        rc = sync_active(j);
        if (rc < 0)
                refuse(j, &durable, rc);
        else
                accept_requests(j, &durable);
        return rc;
}

static void write_group(struct journal *j, struct request_list *group)
{
        request_list_prepend(group, &j->carried);
        if (j->error && clock_mono_ms() < j->error_until_ms && has_waiting(group)) {
                refuse(j, group, j->error);
                return;
        }
        if (j->error && clock_mono_ms() < j->error_until_ms) {
                request_list_append(&j->carried, group);
                return;
        }
        bool had_some = group->first;
        while (group->first) {
                int rc = write_some(j, group);
                if (rc < 0) {
                        refuse(j, group, rc);
                        set_error(j, rc);
                        return;
                }
        }
        if (had_some && j->error)
                set_error(j, 0);
        if (j->written.first && clock_mono_ms() >= j->written_since_ms + LAZY_SYNC_MS) {
                int rc = sync_active(j);
                if (rc < 0)
                        set_error(j, rc);
        }
}

/* ---- old segments ---- */

/* In order, and the oldest first: no end of a message goes before the message itself. */
static void remove_dead_segments(struct journal *j)
{
        while (!list_is_empty(&j->segments)) {
                struct segment *s = list_of(j->segments.next, struct segment, link);
                if (s == j->active || atomic_load(&s->live))
                        return;
                if (s == j->victim) {
                        j->victim = NULL;
                        if (j->victim_fd >= 0)
                                close(j->victim_fd);
                        j->victim_fd = -1;
                }
                list_remove(&s->link);
                j->sealed_bytes -= (int64_t)s->bytes;
                struct removal *r = calloc(1, sizeof(*r));
                check(r);
                *r = (struct removal){.dir = j->spool->directory.journal,
                                      .segment = s,
                                      .bytes = (int64_t)s->bytes};
                segment_name(s->number, r->name);
                pthread_mutex_lock(&j->lock);
                keeper_remove(j, r);
                pthread_mutex_unlock(&j->lock);
        }
}

static bool is_all_durable(const struct journal *j)
{
        return !j->carried.first && !j->seal_count &&
               (!j->active || j->active->bytes == j->active->synced);
}

static void *writer_main(void *arg)
{
        struct journal *j = arg;
        struct request_list group;
        while (await_group(j, &group)) {
                write_group(j, &group);
                remove_dead_segments(j);
                compact_look(j);
        }
        for (int tries = 0; tries < CLOSING_TRIES && !is_all_durable(j); tries++) {
                group = (struct request_list){0};
                j->error_until_ms = 0;
                write_group(j, &group);
                if (j->active && j->active->bytes > j->active->synced)
                        sync_active(j);
        }
        remove_dead_segments(j);
        return NULL;
}

/* ---- life ---- */

void journal_init(struct journal *j, struct spool *s)
{
        *j = (struct journal){.spool = s, .victim_fd = -1};
        pthread_condattr_t attr;
        pthread_condattr_init(&attr);
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        pthread_mutex_init(&j->lock, NULL);
        pthread_cond_init(&j->writer_wake, &attr);
        pthread_cond_init(&j->keeper_wake, NULL);
        pthread_condattr_destroy(&attr);
        list_init(&j->segments);
}

int journal_start(struct journal *j, struct why *why)
{
        sigset_t all;
        sigset_t before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the main thread */
        j->wants_prepared = true;
        int rc = pthread_create(&j->keeper, NULL, keeper_main, j);
        if (rc == 0) {
                rc = pthread_create(&j->writer, NULL, writer_main, j);
                if (rc) {
                        pthread_mutex_lock(&j->lock);
                        j->is_keeper_closing = true;
                        pthread_cond_signal(&j->keeper_wake);
                        pthread_mutex_unlock(&j->lock);
                        pthread_join(j->keeper, NULL);
                }
        }
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        if (rc)
                return why_set(why, -rc, "cannot start the journal's threads: %s", why_errno(rc));
        j->is_running = true;
        return 0;
}

void journal_stop(struct journal *j)
{
        if (!j->is_running)
                return;
        pthread_mutex_lock(&j->lock);
        j->is_closing = true;
        pthread_cond_signal(&j->writer_wake);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->writer, NULL);
        if (j->active) {
                j->active->bytes = j->active->synced;
                retire(j);
        }
        pthread_mutex_lock(&j->lock);
        j->is_keeper_closing = true;
        pthread_cond_signal(&j->keeper_wake);
        pthread_mutex_unlock(&j->lock);
        pthread_join(j->keeper, NULL);
        j->is_running = false;
}

static void drop_requests(struct request_list *l)
{
        struct request *r;
        while ((r = request_list_take(l)))
                request_free(&r);
}

/* All messages are gone by now. */
void journal_done(struct journal *j)
{
        if (j->prepared) {
                char name[SEGMENT_NAME_BYTES];
                segment_name(j->prepared->number, name);
                close(j->prepared->fd);
                spool_io.unlinkat(j->spool->directory.journal, name, 0);
                segment_free(&j->prepared);
        }
        while (!list_is_empty(&j->segments)) {
                struct segment *s = list_of(j->segments.next, struct segment, link);
                list_remove(&s->link);
                if (s->fd >= 0)
                        close(s->fd);
                segment_free(&s);
        }
        if (j->victim_fd >= 0)
                close(j->victim_fd);
        drop_requests(&j->queue);
        drop_requests(&j->carried);
        drop_requests(&j->written);
        free(j->seals);
        pthread_cond_destroy(&j->writer_wake);
        pthread_cond_destroy(&j->keeper_wake);
        pthread_mutex_destroy(&j->lock);
}
