/*
 * recovery.c - what the journal says about the messages that are ours
 *
 * Segments are read in order, and in each the records: a message appears, its state changes, it is gone. A
 * message that was copied forward appears again; the later record holds all that is known of it and counts
 * alone. Every sound record counts; what does not check out is
 *   - a torn tail, when nothing sound follows in the last segment that was written: it is cut;
 *   - damage, anywhere else: a copy goes to corrupt/, and the rest is used.
 * A segment never gets more records after recovery: the first commit begins a new one.
 */
#include "base/map.h"
#include "spool/spool_io.h"
#include "spool/spool_private.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
        FILE_BYTES_MAX = 1 << 30,
        PEEK_BYTES = 64 << 10,
        ENVELOPE_ARENA_BYTES = 64 << 20,
};

/* What a first look at all segments tells. */
struct first_look {
        uint64_t number;
        struct segment_header header;
        bool is_readable;   /* its header */
        bool is_blank;      /* it never got a header */
        bool is_used;       /* something stands behind the header */
        uint64_t sealed_at; /* UINT64_MAX: it is not sealed */
};

/* ---- messages by serial ---- */

static size_t slot_of(const struct recovery *r, uint64_t serial)
{
        size_t i = (size_t)(serial * 0x9e3779b97f4a7c15 >> 20) & (r->room - 1);
        while (r->table[i] && r->table[i]->serial != serial)
                i = (i + 1) & (r->room - 1);
        return i;
}

static struct spool_message *table_find(const struct recovery *r, uint64_t serial)
{
        return r->room ? r->table[slot_of(r, serial)] : NULL;
}

static void table_add(struct recovery *r, struct spool_message *m)
{
        if ((r->count + 1) * 3 > r->room * 2) {
                struct spool_message **old = r->table;
                size_t old_room = r->room;
                r->room = old_room ? old_room * 2 : 1024;
                r->table = calloc(r->room, sizeof(struct spool_message *));
                check(r->table);
                for (size_t i = 0; i < old_room; i++)
                        if (old[i])
                                r->table[slot_of(r, old[i]->serial)] = old[i];
                free(old);
        }
        r->table[slot_of(r, m->serial)] = m;
        r->count++;
}

/* Frees the message; those behind it in the table move up. */
static void table_drop(struct recovery *r, uint64_t serial)
{
        if (!r->room)
                return;
        size_t hole = slot_of(r, serial);
        if (!r->table[hole])
                return;
        message_free(&r->table[hole]);
        r->count--;
        for (size_t i = (hole + 1) & (r->room - 1); r->table[i]; i = (i + 1) & (r->room - 1)) {
                struct spool_message *m = r->table[i];
                r->table[i] = NULL;
                r->table[slot_of(r, m->serial)] = m;
        }
}

/* ---- damage ---- */

static void set_aside(struct recovery *r, uint64_t number, size_t at, struct str bytes,
                      const char *what)
{
        r->damaged++;
        const struct directory *d = &r->spool->directory;
        char name[64];
        struct stat st;
        snprintf(name, sizeof(name), "%016llx-%zu", (unsigned long long)number, at);
        /* a segment that lasts is read at each start; an alarm is for what is new */
        if (!r->is_quiet && fstatat(d->corrupt, name, &st, 0) == 0 &&
            st.st_size == (off_t)bytes.len) {
                r->damaged_before++;
                return;
        }
        log_error("spool", "%s/journal/%016llx: %zu bytes at %zu are damaged (%s)%s", d->path,
                  (unsigned long long)number, bytes.len, at, what,
                  r->is_quiet ? "" : "; a copy is in corrupt/");
        if (!r->is_quiet)
                directory_set_aside(d, name, bytes);
}

/* ---- records ---- */

bool recovery_has_sound_envelope(const struct record_message *m, struct why *why)
{
        struct arena arena;
        struct envelope e;
        arena_init(&arena, ENVELOPE_ARENA_BYTES);
        int rc = envelope_decode(m->envelope, &arena, &e, why);
        if (rc == 0 && e.recipient_count != m->recipient_count)
                rc = why_set(why, -EBADMSG, "the envelope has %zu recipients instead of %u",
                             e.recipient_count, m->recipient_count);
        arena_done(&arena);
        return rc == 0;
}

/* The due time, from wall clocks of then to the monotonic clock of now. */
static void set_due(struct spool_message *m, int64_t next_us, int64_t written_us)
{
        int64_t now_us = clock_wall_us();
        int64_t wait_us = next_us - now_us;
        if (now_us < written_us) /* the clock went back: what was meant is a span */
                wait_us = next_us - written_us;
        m->item.key = clock_mono_us() + (next_us && wait_us > 0 ? wait_us : 0);
}

static int apply_message(struct recovery *r, struct segment *s, const struct record *record,
                         uint64_t at, struct why *why)
{
        struct record_message from;
        int rc = record_message_decode(record->meta, &from, why);
        if (rc < 0)
                return rc;
        bool is_large = from.flags & RECORD_FLAG_LARGE;
        if (!recovery_has_sound_envelope(&from, why) || from.id.len >= QUEUE_ID_BYTES_MAX)
                return -EBADMSG;
        if (!is_large && (from.content_bytes != (int64_t)record->content.len ||
                          from.content_crc != (record->content.len ? record->content_crc : 0)))
                return why_set(why, -EBADMSG, "the content's length is not the record's");
        table_drop(r, record->serial);
        if (from.flags & RECORD_FLAG_DELETED)
                return 0;
        struct spool *sp = r->spool;
        size_t owner = hash_bytes(from.id.ptr, from.id.len) % sp->side_count;
        struct spool_message *m = message_new(&sp->sides[owner], record->serial, &from);
        segment_hold(&sp->journal, s, (int64_t)record->bytes);
        message_set_segment(m, s, at + RECORD_HEAD_BYTES + record->meta.len, record->bytes);
        set_due(m, from.next_us, from.written_us);
        table_add(r, m);
        return 0;
}

static int apply_state(struct recovery *r, const struct record *record, struct why *why)
{
        struct record_state state;
        int rc = record_state_decode(record->meta, &state, why);
        struct spool_message *m = table_find(r, record->serial);
        if (rc < 0 || !m)
                return rc;
        if (state.flags & RECORD_FLAG_DELETED) {
                table_drop(r, record->serial);
                return 0;
        }
        const uint32_t kept = MESSAGE_LARGE;
        m->attempts = state.attempts;
        m->flags = (m->flags & kept) | (state.flags & MESSAGE_RECORDED & ~kept);
        message_take_results(m, state.results);
        set_due(m, state.next_us, state.written_us);
        return 0;
}

static int apply(struct recovery *r, struct segment *s, const struct record *record, uint64_t at,
                 struct why *why)
{
        if (record->type != RECORD_SEAL && record->serial > r->last_serial)
                r->last_serial = record->serial;
        switch (record->type) {
        case RECORD_MESSAGE:
                return apply_message(r, s, record, at, why);
        case RECORD_STATE:
                return apply_state(r, record, why);
        case RECORD_DONE:
                table_drop(r, record->serial);
                return 0;
        case RECORD_SEAL:
                return 0; /* seen in the first look */
        }
        return why_set(why, -EBADMSG, "a record of unknown type %d", record->type);
}

/* ---- one segment ---- */

static size_t without_zeros(struct str bytes)
{
        while (bytes.len && bytes.ptr[bytes.len - 1] == 0)
                bytes.len--;
        return bytes.len;
}

/* Behind the last sound record: nothing, a torn tail, or damage. */
static void judge_tail(struct recovery *r, const struct segment_scan *scan, uint64_t number,
                       bool is_last)
{
        struct str tail = str_tail(scan->bytes, scan->at);
        tail.len = without_zeros(tail);
        if (tail.len == 0)
                return;
        if (is_last)
                log_info("spool",
                         "%s/journal/%016llx: cut %zu bytes of a write that was not finished",
                         r->spool->directory.path, (unsigned long long)number, tail.len);
        else
                set_aside(r, number, scan->at, tail, "nothing sound follows");
}

/* The end of what counts. */
static uint64_t scan_segment(struct recovery *r, struct segment *s, struct str bytes, bool is_last)
{
        struct segment_scan scan;
        struct record record;
        struct why why;
        segment_scan_init(&scan, bytes, s->seed);
        for (;;) {
                size_t at = scan.at;
                switch (segment_scan_next(&scan, &record)) {
                case SEGMENT_END:
                        judge_tail(r, &scan, s->number, is_last);
                        return scan.at;
                case SEGMENT_DAMAGE:
                        set_aside(r, s->number, scan.damage_at,
                                  str_part(bytes, scan.damage_at, scan.damage_bytes),
                                  record.bytes ? "content" : "record");
                        break;
                case SEGMENT_RECORD:
                        if (apply(r, s, &record, at, &why) < 0)
                                set_aside(r, s->number, at, str_part(bytes, at, record.bytes),
                                          why.text);
                        break;
                }
        }
}

/* What does not count is cut off, durably, before anything new is accepted. */
static int cut(struct recovery *r, const char *name, uint64_t bytes, struct why *why)
{
        const struct directory *d = &r->spool->directory;
        int fd = spool_io.openat(d->journal, name, O_RDWR | O_CLOEXEC, 0);
        int rc = 0;
        if (fd < 0 || spool_io.ftruncate(fd, (off_t)bytes) < 0 || spool_io.fsync(fd) < 0)
                rc = why_set(why, -errno, "cannot cut %s/journal/%s to %llu bytes: %s", d->path,
                             name, (unsigned long long)bytes, why_errno(errno));
        if (fd >= 0)
                close(fd);
        return rc;
}

static int read_segment(struct recovery *r, const struct first_look *look, bool is_last,
                        struct buf *buf, struct why *why)
{
        struct spool *sp = r->spool;
        char name[SEGMENT_NAME_BYTES];
        segment_name(look->number, name);
        int rc = spool_file_read(sp->directory.journal, name, FILE_BYTES_MAX, buf);
        if (rc < 0)
                return why_set(why, rc, "cannot read %s/journal/%s: %s", sp->directory.path, name,
                               why_errno(rc));
        struct str bytes = buf_str(buf);
        if (bytes.len > look->sealed_at)
                bytes.len = (size_t)look->sealed_at;
        struct segment *s = segment_new(look->number, sp->side_count);
        s->seed = segment_seed(&look->header);
        list_add_last(&sp->journal.segments, &s->link);
        s->bytes = s->synced = s->ready_room = scan_segment(r, s, bytes, is_last);
        s->retired_ms = clock_mono_ms();
        sp->journal.sealed_bytes += (int64_t)s->bytes;
        atomic_fetch_add(&sp->journal.disk_bytes, (int64_t)s->bytes);
        if (r->is_quiet || buf->len <= s->bytes)
                return 0;
        return cut(r, name, s->bytes, why);
}

/* ---- the first look ---- */

static int read_head(const struct directory *d, const char *name, struct buf *out)
{
        buf_clear(out);
        int fd = openat(d->journal, name, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        ssize_t n = pread(fd, buf_reserve(out, PEEK_BYTES), PEEK_BYTES, 0);
        int rc = n < 0 ? -errno : 0;
        close(fd);
        if (n > 0)
                buf_grow(out, (size_t)n);
        return rc;
}

static void take_seals(struct first_look *looks, size_t count, const struct first_look *of,
                       struct str bytes)
{
        struct record record;
        struct record_seal seal;
        uint32_t seed = segment_seed(&of->header);
        size_t at = SEGMENT_HEADER_BYTES;
        while (record_parse(bytes, at, seed, &record) == 0 && record.type == RECORD_SEAL) {
                at += record.bytes;
                if (record_seal_decode(record.meta, &seal) < 0)
                        continue;
                for (size_t i = 0; i < count; i++)
                        if (looks[i].number == seal.number && looks + i < of)
                                looks[i].sealed_at = seal.bytes;
        }
}

static bool parse_number(const char *name, uint64_t *out)
{
        if (strlen(name) != SEGMENT_NAME_BYTES - 1 ||
            strspn(name, "0123456789abcdef") != SEGMENT_NAME_BYTES - 1)
                return false;
        *out = strtoull(name, NULL, 16);
        return true;
}

static int look_at(struct recovery *r, const char *name, struct first_look *looks, size_t *count,
                   struct buf *buf, struct why *why)
{
        const struct directory *d = &r->spool->directory;
        struct first_look *look = &looks[*count];
        *look = (struct first_look){.sealed_at = UINT64_MAX};
        if (!parse_number(name, &look->number)) {
                log_warning("spool", "%s/journal/%s is no segment of ours and is left alone",
                            d->path, name);
                return 0;
        }
        int rc = read_head(d, name, buf);
        if (rc < 0)
                return why_set(why, rc, "cannot read %s/journal/%s: %s", d->path, name,
                               why_errno(rc));
        if (look->number > r->last_number)
                r->last_number = look->number;
        ++*count;
        rc = segment_header_decode(buf_str(buf), &look->header, why);
        if (rc == -EPROTONOSUPPORT)
                return why_prefix(why, rc, "%s/journal/%s", d->path, name);
        look->is_blank = buf->len < SEGMENT_HEADER_BYTES ||
                         without_zeros(str_part(buf_str(buf), 0, SEGMENT_HEADER_BYTES)) == 0;
        look->is_readable = rc == 0 && look->header.number == look->number;
        look->is_used = without_zeros(str_tail(buf_str(buf), SEGMENT_HEADER_BYTES)) > 0;
        if (look->is_readable)
                take_seals(looks, *count, look, buf_str(buf));
        return 0;
}

/* A file without a readable header: blank when a start was cut short, else kept for a person. */
static void drop_unreadable(struct recovery *r, const struct first_look *look)
{
        const struct directory *d = &r->spool->directory;
        char name[SEGMENT_NAME_BYTES];
        segment_name(look->number, name);
        if (!look->is_blank || look->is_used) {
                r->damaged++;
                log_error("spool",
                          "%s/journal/%s has no readable header; the messages in it are lost%s",
                          d->path, name, r->is_quiet ? "" : ", the file is kept in corrupt/");
        }
        if (r->is_quiet)
                return;
        if (look->is_blank && !look->is_used)
                spool_io.unlinkat(d->journal, name, 0);
        else if (spool_io.renameat(d->journal, name, d->corrupt, name) < 0)
                log_error("spool", "cannot move %s/journal/%s to corrupt/: %s", d->path, name,
                          why_errno(errno));
        spool_io.fsync(d->corrupt);
        spool_io.fsync(d->journal);
}

static int read_journal(struct recovery *r, struct first_look *looks, size_t count, struct buf *buf,
                        struct why *why)
{
        size_t last_used = 0;
        for (size_t i = 0; i < count; i++)
                if (looks[i].is_used)
                        last_used = i;
        for (size_t i = 0; i < count; i++) {
                if (!looks[i].is_readable) {
                        drop_unreadable(r, &looks[i]);
                        continue;
                }
                int rc = read_segment(r, &looks[i], i >= last_used, buf, why);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

/* ---- large files ---- */

static int compare_name(const void *key, const void *at)
{
        return strcmp(key, *(char *const *)at);
}

/* A message without its file is lost; a file without its message was a draft. */
static int match_large(struct recovery *r, struct why *why)
{
        const struct directory *d = &r->spool->directory;
        struct names files;
        int rc = spool_names_read(d->large, &files);
        if (rc < 0)
                return why_set(why, rc, "cannot read the directory %s/large: %s", d->path,
                               why_errno(rc));
        bool *is_named = calloc(files.count + 1, sizeof(*is_named));
        uint64_t *lost = calloc(r->count + 1, sizeof(*lost));
        check(is_named && lost);
        size_t lost_count = 0;
        for (size_t i = 0; i < r->room; i++) {
                const struct spool_message *m = r->table[i];
                if (!m || !(m->flags & MESSAGE_LARGE))
                        continue;
                char **at = files.count ? bsearch(message_id(m), files.names, files.count,
                                                  sizeof(*files.names), compare_name)
                                        : NULL;
                if (at)
                        is_named[at - files.names] = true;
                else
                        lost[lost_count++] = m->serial;
                if (at)
                        atomic_fetch_add(&r->spool->journal.disk_bytes, m->bytes);
        }
        for (size_t i = 0; i < lost_count; i++) {
                r->damaged++;
                log_mail(LOG_LEVEL_ERROR, "spool", message_id(table_find(r, lost[i])),
                         "its content, %s/large/%s, is missing; the message is lost", d->path,
                         message_id(table_find(r, lost[i])));
                table_drop(r, lost[i]);
        }
        for (size_t i = 0; i < files.count && !r->is_quiet; i++) {
                if (is_named[i])
                        continue;
                /* beside damage, a file without a record may be all that is left of a message */
                if (r->damaged)
                        spool_io.renameat(d->large, files.names[i], d->corrupt, files.names[i]);
                else
                        spool_io.unlinkat(d->large, files.names[i], 0);
        }
        free(is_named);
        free(lost);
        spool_names_done(&files);
        return 0;
}

/* ---- all of it ---- */

static void queue_all(struct recovery *r)
{
        int64_t now_us = clock_mono_us();
        for (size_t i = 0; i < r->room; i++) {
                struct spool_message *m = r->table[i];
                if (!m)
                        continue;
                if (m->attempts == 0 && m->item.key <= now_us && !(m->flags & MESSAGE_KEPT))
                        m->flags |= MESSAGE_FRESH;
                side_add(m->side, m);
                side_queue(m->side, m);
        }
}

int recovery_run(struct recovery *r, struct why *why)
{
        struct names names;
        int rc = spool_names_read(r->spool->directory.journal, &names);
        if (rc < 0)
                return why_set(why, rc, "cannot read the directory %s/journal: %s",
                               r->spool->directory.path, why_errno(rc));
        struct first_look *looks = calloc(names.count + 1, sizeof(*looks));
        check(looks);
        size_t count = 0;
        struct buf buf;
        buf_init(&buf, FILE_BYTES_MAX);
        for (size_t i = 0; i < names.count && rc == 0; i++)
                rc = look_at(r, names.names[i], looks, &count, &buf, why);
        if (rc == 0)
                rc = read_journal(r, looks, count, &buf, why);
        buf_done(&buf);
        free(looks);
        spool_names_done(&names);
        if (rc == 0 && r->damaged_before)
                log_info("spool", "%zu damaged places that were told of before are in corrupt/",
                         r->damaged_before);
        if (rc == 0)
                rc = match_large(r, why);
        if (rc == 0)
                rc = import_settle(r, why);
        if (rc == 0)
                queue_all(r);
        return rc;
}

/* After an error: what was read is in no side's table yet. */
void recovery_drop(struct recovery *r)
{
        for (size_t i = 0; i < r->room; i++)
                message_free(&r->table[i]);
}

void recovery_done(struct recovery *r)
{
        free(r->table);
        r->table = NULL;
        r->room = r->count = 0;
}
