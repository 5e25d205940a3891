/*
 * import.c - messages from another host's spool (stream.h, move.h)
 *
 *   1. Each message that comes is committed as staged (RECORD_FLAG_STAGED): it is ours, and nobody delivers it.
 *   2. When the stream has come whole, the keys of all its messages are added to the file "imported", durably. From this
 *      instant the import is done: a start releases what is staged and stands there.
 *   3. What is staged is released.
 * Cut short before 2, the import is done again: what is staged already is known by its key. Done again after 2, everything
 * is known, be it delivered meanwhile or not.
 *
 *      imported     lines "ID ARRIVAL BYTES CRC"; those of messages older than KEPT_US are dropped at the next import
 *
 * A message whose id belongs to another one here gets the letter z behind its id.
 */
#include "base/map.h"
#include "loop/pool.h"
#include "spool/look.h"
#include "spool/move.h"
#include "spool/spool_io.h"
#include "spool/stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define KEPT_US (60 * 86400 * INT64_C(1000000))
enum { LEDGER_BYTES_MAX = 1 << 30, COMMITS_MAX = 200, ID_TRIES = 3, POOL_THREADS = 2 };

static const char ledger_name[] = "imported";
static char known; /* what the maps hold */

/* ---- the ledger ---- */

static int ledger_read(const struct directory *d, struct map *keys)
{
        struct buf text;
        buf_init(&text, LEDGER_BYTES_MAX);
        int rc = spool_file_read(d->root, ledger_name, LEDGER_BYTES_MAX, &text);
        struct str rest = buf_str(&text);
        struct str line;
        while (rc == 0 && str_next_word(&rest, "\n", &line))
                map_put(keys, line, &known);
        buf_done(&text);
        return rc == -ENOENT ? 0 : rc;
}

static bool is_old(struct str key)
{
        struct str word;
        int64_t arrival_us;
        return str_next_word(&key, " ", &word) && str_next_word(&key, " ", &word) &&
               str_to_int64(word, INT64_MIN, INT64_MAX, &arrival_us) == 0 &&
               arrival_us < clock_wall_us() - KEPT_US;
}

static int ledger_write(const struct directory *d, const struct map *keys)
{
        struct buf text;
        buf_init(&text, LEDGER_BYTES_MAX);
        const struct map_slot *slot;
        int rc = 0;
        for (size_t i = 0; rc == 0 && (slot = map_next(keys, &i));) {
                struct str key = str_make(slot->key, slot->key_len);
                if (!is_old(key))
                        rc = buf_append_str(&text, key) < 0 || buf_append_char(&text, '\n') < 0
                                     ? -EFBIG
                                     : 0;
        }
        int fd = rc < 0 ? -1
                        : spool_io.openat(d->root, "imported.new",
                                          O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (rc == 0 && fd < 0)
                rc = -errno;
        size_t done = 0;
        while (rc == 0 && done < text.len) {
                struct iovec v = {.iov_base = text.ptr + done, .iov_len = text.len - done};
                ssize_t n = spool_io.pwritev(fd, &v, 1, (off_t)done);
                if (n > 0)
                        done += (size_t)n;
                else if (n == 0 || errno != EINTR)
                        rc = n < 0 ? -errno : -EIO;
        }
        if (rc == 0 && (spool_io.fsync(fd) < 0 ||
                        spool_io.renameat(d->root, "imported.new", d->root, ledger_name) < 0 ||
                        spool_io.fsync(d->root) < 0))
                rc = -errno;
        if (fd >= 0)
                close(fd);
        buf_done(&text);
        return rc;
}

static void key_of(const struct spool_message *m, char out[STREAM_KEY_BYTES])
{
        stream_key(str_make(message_id(m), m->id_bytes), m->arrival_us, m->bytes, m->content_crc,
                   out);
}

/* ---- at a start ---- */

static void unstage(struct spool_message *m)
{
        m->flags &= ~(uint32_t)MESSAGE_STAGED;
}

/* Called by recovery, before messages are queued. */
int import_settle(struct recovery *r, struct why *why)
{
        struct map keys;
        size_t staged = 0;
        map_init(&keys);
        const struct directory *d = &r->spool->directory;
        int rc = 0;
        bool is_read = false;
        for (size_t i = 0; i < r->room && rc == 0; i++) {
                struct spool_message *m = r->table[i];
                char key[STREAM_KEY_BYTES];
                if (!m || !(m->flags & MESSAGE_STAGED))
                        continue;
                if (!is_read)
                        rc = ledger_read(d, &keys);
                is_read = true;
                key_of(m, key);
                if (map_find(&keys, str_from(key)))
                        unstage(m);
                else
                        staged++;
        }
        map_done(&keys);
        if (rc < 0)
                return why_set(why, rc, "cannot read %s/%s: %s", d->path, ledger_name,
                               why_errno(rc));
        if (staged && !r->is_quiet)
                log_warning(
                        "spool",
                        "%zu messages are of an import that was not finished, and are not delivered; do "
                        "\"forepost queue import\" again, or \"forepost queue import --abort\"",
                        staged);
        return 0;
}

/* ---- the import ---- */

struct import {
        struct spool *spool;
        struct loop *loop;
        int fd;
        bool aborts;
        struct spool_moved *out;
        struct why *why;
        int rc;

        uint32_t chain;
        struct buf payload;
        enum stream_type type; /* of the frame in `payload` */

        struct map ledger; /* of imports before */
        struct map keys;   /* of this one */
        uint64_t digest;

        size_t commits; /* under way */
        struct task *task;
};

struct commit {
        struct import *import;
        struct spool_draft *draft;
};

static int read_all(int fd, void *bytes, size_t len)
{
        while (len) {
                ssize_t n = read(fd, bytes, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EPIPE;
                bytes = (char *)bytes + n;
                len -= (size_t)n;
        }
        return 0;
}

static int say_stream(struct import *im, int rc)
{
        if (rc == -EPIPE)
                return why_set(im->why, -EBADMSG, "the stream broke off after %zu messages",
                               im->out->messages);
        if (rc == -EBADMSG)
                return why_set(im->why, rc, "the stream was changed on its way, after %zu messages",
                               im->out->messages);
        return why_set(im->why, rc, "cannot read the stream: %s", why_errno(rc));
}

/* Blocks this loop, on which nothing else is to be done. */
static int next_frame(struct import *im)
{
        unsigned char head[STREAM_FRAME_BYTES];
        size_t bytes = 0;
        int rc = read_all(im->fd, head, sizeof(head));
        if (rc == 0)
                rc = stream_frame_look(head, &im->type, &bytes);
        buf_clear(&im->payload);
        if (rc == 0 && !buf_reserve(&im->payload, bytes))
                rc = -ENOMEM;
        if (rc == 0 && (rc = read_all(im->fd, im->payload.ptr, bytes)) == 0)
                buf_grow(&im->payload, bytes);
        if (rc == 0)
                rc = stream_frame_check(head, buf_str(&im->payload), &im->chain);
        return rc < 0 ? say_stream(im, rc) : 0;
}

static void commit_main(void *arg)
{
        struct commit *c = arg;
        struct import *im = c->import;
        struct why why;
        int rc = im->rc < 0 ? im->rc : await_draft_adopt_commit(&c->draft, &why);
        if (rc < 0 && im->rc == 0)
                im->rc = why_set(im->why, rc, "%s", why.text);
        spool_draft_free(&c->draft);
        free(c);
        im->commits--;
        task_wake(im->task);
}

static void await_commits(struct import *im, size_t at_most)
{
        while (im->commits > at_most)
                await_wake_always("waiting for", STR("commits"), CLOCK_NEVER);
}

/* The id that the message has, or gets, here. True when it is here. */
static bool find_place(struct import *im, const struct record_message *from,
                       char id[QUEUE_ID_BYTES_MAX])
{
        snprintf(id, QUEUE_ID_BYTES_MAX, "%.*s", STR_ARG(from->id));
        for (int i = 0; i < ID_TRIES; i++) {
                const struct spool_message *m = side_find(&im->spool->sides[0], str_from(id));
                if (!m)
                        return false;
                if (m->arrival_us == from->arrival_us && m->bytes == from->content_bytes &&
                    m->content_crc == from->content_crc)
                        return true;
                size_t len = strlen(id);
                if (len + 1 < QUEUE_ID_BYTES_MAX)
                        snprintf(id + len, QUEUE_ID_BYTES_MAX - len, "z");
        }
        return false;
}

/* Reads the content behind a message's frame, into a draft or nowhere; the frame after it is then in im->payload. */
static int await_content(struct import *im, struct spool_draft *d, int64_t bytes)
{
        int64_t got = 0;
        int rc;
        while ((rc = next_frame(im)) == 0 && im->type == STREAM_CONTENT) {
                got += (int64_t)im->payload.len;
                if (got > bytes)
                        break;
                if (!d)
                        continue;
                if (buf_append_str(spool_draft_buf(d), buf_str(&im->payload)) < 0)
                        return why_set(im->why, -ENOMEM, "no memory for a message");
                rc = await_spool_draft_settle(d, im->why);
                if (rc < 0)
                        return rc;
        }
        return rc == 0 && got != bytes ? say_stream(im, -EBADMSG) : rc;
}

static int await_message(struct import *im, struct buf *meta)
{
        struct record_message from;
        char id[QUEUE_ID_BYTES_MAX];
        char key[STREAM_KEY_BYTES];
        buf_clear(meta);
        if (buf_append_str(meta, buf_str(&im->payload)) < 0)
                return why_set(im->why, -ENOMEM, "no memory for an envelope");
        int rc = record_message_decode(buf_str(meta), &from, im->why);
        if (rc == 0 && !recovery_has_sound_envelope(&from, im->why))
                rc = -EBADMSG;
        if (rc < 0 || from.id.len >= QUEUE_ID_BYTES_MAX - ID_TRIES)
                return rc < 0 ? rc : say_stream(im, -EBADMSG);
        stream_key(from.id, from.arrival_us, from.content_bytes, from.content_crc, key);
        im->digest += stream_message_digest(key);
        im->out->messages++;
        im->out->bytes += from.content_bytes;
        bool is_here = find_place(im, &from, id);
        bool was_taken = map_find(&im->ledger, str_from(key)) || map_find(&im->keys, str_from(key));
        map_put(&im->keys, str_from(key), &known);
        if (is_here || was_taken) {
                im->out->known++;
                return await_content(im, NULL, from.content_bytes);
        }
        stream_key(str_from(id), from.arrival_us, from.content_bytes, from.content_crc, key);
        map_put(&im->keys, str_from(key), &known);
        struct spool_draft *d = draft_adopt(im->spool, &from, id);
        rc = await_content(im, d, from.content_bytes);
        if (rc < 0) {
                spool_draft_free(&d);
                return rc;
        }
        struct commit *c = malloc(sizeof(*c));
        check(c);
        *c = (struct commit){im, d};
        im->commits++;
        task_start(im->loop, commit_main, c);
        await_commits(im, COMMITS_MAX);
        return im->rc;
}

/* What has come whole counts from now on. */
static int finish(struct import *im)
{
        const struct stream_end end = stream_end_read((const unsigned char *)im->payload.ptr);
        if (end.messages != im->out->messages || end.digest != im->digest)
                return say_stream(im, -EBADMSG);
        const struct map_slot *slot;
        for (size_t i = 0; (slot = map_next(&im->keys, &i));)
                map_put(&im->ledger, str_make(slot->key, slot->key_len), &known);
        const struct directory *d = &im->spool->directory;
        int rc = ledger_write(d, &im->ledger);
        if (rc < 0)
                return why_set(im->why, rc, "cannot write %s/%s: %s", d->path, ledger_name,
                               why_errno(rc));
        snprintf(im->out->receipt, sizeof(im->out->receipt), "%" PRIu64 "-%016" PRIx64,
                 end.messages, end.digest);
        const struct side *side = &im->spool->sides[0];
        for (size_t i = 0; i < side->room; i++)
                for (struct spool_message *m = side->buckets[i]; m; m = m->next) {
                        char key[STREAM_KEY_BYTES];
                        key_of(m, key);
                        if (!(m->flags & MESSAGE_STAGED) || !map_find(&im->keys, str_from(key)))
                                continue;
                        unstage(m);
                        side_touch(m->side, m);
                }
        return 0;
}

static int await_stream(struct import *im)
{
        char magic[STREAM_MAGIC_BYTES];
        struct buf meta;
        int rc = read_all(im->fd, magic, sizeof(magic));
        if (rc == 0 && memcmp(magic, STREAM_MAGIC, sizeof(magic)) != 0)
                return why_set(im->why, -EBADMSG,
                               "this is no stream of \"forepost queue export\", or of a newer one");
        buf_init(&meta, RECORD_META_BYTES_MAX);
        rc = rc < 0 ? say_stream(im, rc) : next_frame(im);
        while (rc == 0 && im->type == STREAM_MESSAGE)
                rc = await_message(im, &meta);
        buf_done(&meta);
        if (rc == 0 && im->type != STREAM_END)
                rc = say_stream(im, -EBADMSG);
        await_commits(im, 0);
        if (rc == 0)
                rc = im->rc;
        return rc < 0 ? rc : finish(im);
}

static void delete_staged(struct import *im)
{
        const struct side *side = &im->spool->sides[0];
        for (size_t i = 0; i < side->room; i++)
                for (struct spool_message *m = side->buckets[i], *next; m; m = next) {
                        next = m->next;
                        if (!(m->flags & MESSAGE_STAGED))
                                continue;
                        im->out->messages++;
                        spool_delete(m);
                }
}

static void import_main(void *arg)
{
        struct import *im = arg;
        im->task = task_self();
        if (im->aborts)
                delete_staged(im);
        else
                im->rc = await_stream(im);
        loop_stop(im->loop);
}

static int run(const struct spool_options *given, struct import *im)
{
        im->loop = loop_new(im->why);
        if (!im->loop)
                return -ENOMEM;
        int rc = pool_start(POOL_THREADS, im->why);
        if (rc < 0) {
                loop_free(&im->loop);
                return rc;
        }
        struct spool_options options = *given;
        options.loops = &im->loop;
        options.loop_count = 1;
        rc = spool_open(&options, &im->spool, im->why);
        if (rc == 0) {
                const struct directory *d = &im->spool->directory;
                rc = ledger_read(d, &im->ledger);
                if (rc < 0)
                        why_set(im->why, rc, "cannot read %s/%s: %s", d->path, ledger_name,
                                why_errno(rc));
                if (rc == 0) {
                        task_start(im->loop, import_main, im);
                        loop_run(im->loop);
                        rc = im->rc;
                }
                spool_close(&im->spool);
        }
        pool_stop(); /* before the loop that its threads write to */
        loop_free(&im->loop);
        return rc;
}

static int import(const struct spool_options *options, int fd, bool aborts, struct spool_moved *out,
                  struct why *why)
{
        struct import im = {.fd = fd, .aborts = aborts, .out = out, .why = why};
        *out = (struct spool_moved){0};
        buf_init(&im.payload, RECORD_META_BYTES_MAX);
        map_init(&im.ledger);
        map_init(&im.keys);
        int rc = run(options, &im);
        map_done(&im.ledger);
        map_done(&im.keys);
        buf_done(&im.payload);
        return rc;
}

int spool_import(const struct spool_options *options, int fd, struct spool_moved *out,
                 struct why *why)
{
        return import(options, fd, false, out, why);
}

int spool_import_abort(const struct spool_options *options, struct spool_moved *out,
                       struct why *why)
{
        return import(options, -1, true, out, why);
}
