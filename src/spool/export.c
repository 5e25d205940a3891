/*
 * export.c - a spool that nobody serves: checked, or written as a stream for another host (stream.h, move.h)
 *
 * The file "exported" says that the spool has gone elsewhere: it is there before the stream has its end, so there is no
 * instant at which both the old and the new spool may be served. While the old one is being emptied the file says that
 * too, since then its messages are no longer those of the receipt.
 *
 *      exported     "RECEIPT\n", or "RECEIPT finishing\n"
 */
#include "spool/look.h"
#include "spool/move.h"
#include "spool/spool_io.h"
#include "spool/stream.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

static const char marker[] = "exported";
static const char finishing[] = " finishing";

/* ---- the marker ---- */

static int marker_write(const struct directory *d, const char *receipt, const char *word)
{
        char text[96];
        int len = snprintf(text, sizeof(text), "%s%s\n", receipt, word);
        int fd = spool_io.openat(d->root, "exported.new", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
                                 0600);
        if (fd < 0)
                return -errno;
        struct iovec v = {.iov_base = text, .iov_len = (size_t)len};
        ssize_t n = spool_io.pwritev(fd, &v, 1, 0);
        int rc = n == len && spool_io.fsync(fd) == 0 ? 0 : n < 0 || n == len ? -errno : -EIO;
        close(fd);
        if (rc == 0 && (spool_io.renameat(d->root, "exported.new", d->root, marker) < 0 ||
                        spool_io.fsync(d->root) < 0))
                rc = -errno;
        return rc;
}

/* The receipt; -ENOENT. */
static int marker_read(const struct directory *d, char out[96], bool *is_finishing)
{
        int fd = openat(d->root, marker, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        ssize_t n = read(fd, out, 95);
        close(fd);
        out[n > 0 ? n : 0] = 0;
        out[strcspn(out, "\n")] = 0;
        char *word = strstr(out, finishing);
        *is_finishing = word;
        if (word)
                *word = 0;
        return 0;
}

static int marker_remove(const struct directory *d)
{
        if (spool_io.unlinkat(d->root, marker, 0) < 0 || spool_io.fsync(d->root) < 0)
                return -errno;
        return 0;
}

int export_refuses(const struct directory *d, struct why *why)
{
        if (faccessat(d->root, marker, F_OK, 0) < 0)
                return 0;
        return why_set(
                why, -EPERM,
                "%s was exported, its messages may be on another host by now; empty it by \"forepost queue "
                "export --finish RECEIPT\" (queue import printed the receipt there), or, when the import came "
                "to nothing, take it back by \"forepost queue export --undo\"",
                d->path);
}

/* ---- counting ---- */

static void count(struct spool_moved *out, uint64_t *digest, const struct spool_message *m)
{
        char key[STREAM_KEY_BYTES];
        stream_key(str_make(message_id(m), m->id_bytes), m->arrival_us, m->bytes, m->content_crc,
                   key);
        *digest += stream_message_digest(key);
        out->messages++;
        out->bytes += m->bytes;
}

static void set_receipt(struct spool_moved *out, uint64_t digest)
{
        snprintf(out->receipt, sizeof(out->receipt), "%zu-%016" PRIx64, out->messages, digest);
}

static void say_damaged(const struct look *k, const struct spool_message *m, int code)
{
        log_mail(LOG_LEVEL_ERROR, "spool", message_id(m),
                 "its content under %s is not what was accepted (%s)", k->spool->directory.path,
                 code == -EBADMSG ? "checksum" : why_errno(code));
}

int spool_verify(struct str directory, struct spool_moved *out, struct why *why)
{
        struct look k;
        uint64_t digest = 0;
        *out = (struct spool_moved){0};
        int rc = look_open(&k, directory, false, why);
        if (rc < 0)
                return rc;
        struct spool_message **all = look_messages(&k);
        for (size_t i = 0; all[i]; i++) {
                int error = look_content(&k, all[i], NULL, NULL);
                if (error < 0) {
                        say_damaged(&k, all[i], error);
                        out->damaged++;
                        continue;
                }
                out->staged += (all[i]->flags & MESSAGE_STAGED) != 0;
                count(out, &digest, all[i]);
        }
        free(all);
        list_each (link, &k.spool->journal.segments)
                out->segments++;
        out->damaged += k.recovery.damaged;
        set_receipt(out, digest);
        look_close(&k);
        return 0;
}

/* ---- the stream ---- */

struct sink {
        int fd;
        uint32_t chain;
};

static int write_all(int fd, const void *bytes, size_t len)
{
        while (len) {
                ssize_t n = write(fd, bytes, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EIO;
                bytes = (const char *)bytes + n;
                len -= (size_t)n;
        }
        return 0;
}

static int put_frame(struct sink *s, enum stream_type type, struct str payload)
{
        unsigned char head[STREAM_FRAME_BYTES];
        stream_frame_make(head, type, payload, &s->chain);
        int rc = write_all(s->fd, head, sizeof(head));
        return rc < 0 ? rc : write_all(s->fd, payload.ptr, payload.len);
}

static int put_piece(void *context, struct str bytes)
{
        return put_frame(context, STREAM_CONTENT, bytes);
}

static int put_message(struct look *k, struct sink *s, const struct spool_message *m)
{
        struct buf meta;
        buf_init(&meta, RECORD_META_BYTES_MAX);
        int rc = message_encode(m, &meta);
        if (rc == 0)
                rc = put_frame(s, STREAM_MESSAGE, buf_str(&meta));
        buf_done(&meta);
        return rc < 0 ? rc : look_content(k, m, put_piece, s);
}

static int put_all(struct look *k, struct sink *s, struct spool_moved *out, struct why *why)
{
        struct spool_message **all = look_messages(k);
        uint64_t digest = 0;
        int rc = write_all(s->fd, STREAM_MAGIC, STREAM_MAGIC_BYTES);
        for (size_t i = 0; all[i] && rc == 0; i++) {
                /* read twice, so that nothing that is damaged gets into the stream */
                int error = look_content(k, all[i], NULL, NULL);
                if (error < 0 || all[i]->flags & MESSAGE_STAGED) {
                        if (error < 0)
                                say_damaged(k, all[i], error);
                        out->damaged += error < 0;
                        continue;
                }
                rc = put_message(k, s, all[i]);
                count(out, &digest, all[i]);
        }
        free(all);
        set_receipt(out, digest);
        if (rc == 0 && (rc = marker_write(&k->spool->directory, out->receipt, "")) < 0)
                return why_set(why, rc, "cannot write %s/%s: %s", k->spool->directory.path, marker,
                               why_errno(rc));
        unsigned char end[STREAM_END_BYTES];
        stream_end_make(&(struct stream_end){.messages = out->messages, .digest = digest}, end);
        if (rc == 0 &&
            (rc = put_frame(s, STREAM_END, str_make((const char *)end, sizeof(end)))) < 0)
                marker_remove(&k->spool->directory);
        return rc < 0 ? why_set(why, rc, "cannot write the stream: %s", why_errno(rc)) : 0;
}

int spool_export(struct str directory, int fd, struct spool_moved *out, struct why *why)
{
        struct look k;
        char receipt[96];
        bool is_finishing = false;
        *out = (struct spool_moved){0};
        int rc = look_open(&k, directory, true, why);
        if (rc < 0)
                return rc;
        if (marker_read(&k.spool->directory, receipt, &is_finishing) == 0 && is_finishing)
                rc = why_set(why, -EPERM,
                             "%s is being emptied after an export; go on with --finish %s",
                             k.spool->directory.path, receipt);
        struct sink s = {.fd = fd};
        if (rc == 0)
                rc = put_all(&k, &s, out, why);
        out->damaged += k.recovery.damaged;
        look_close(&k);
        return rc;
}

int spool_export_undo(struct str directory, struct why *why)
{
        struct look k;
        char receipt[96];
        bool is_finishing = false;
        int rc = look_open(&k, directory, true, why);
        if (rc < 0)
                return rc;
        const struct directory *d = &k.spool->directory;
        rc = marker_read(d, receipt, &is_finishing);
        if (rc == -ENOENT)
                why_set(why, rc, "%s was not exported", d->path);
        else if (is_finishing)
                rc = why_set(why, -EPERM, "%s is being emptied, and cannot be taken back", d->path);
        else if (rc == 0 && (rc = marker_remove(d)) < 0)
                why_set(why, rc, "cannot remove %s/%s: %s", d->path, marker, why_errno(rc));
        look_close(&k);
        return rc;
}

/* ---- the end ---- */

/* Oldest first, each durably: what a later start would find is never more than there was. */
static int empty(const struct directory *d, int dir, bool keeps, struct why *why)
{
        struct names names;
        int rc = spool_names_read(dir, &names);
        for (size_t i = 0; i < names.count && rc == 0; i++) {
                if (keeps ? spool_io.renameat(dir, names.names[i], d->corrupt, names.names[i]) < 0
                          : spool_io.unlinkat(dir, names.names[i], 0) < 0)
                        rc = -errno;
                else if (spool_io.fsync(dir) < 0)
                        rc = -errno;
        }
        spool_names_done(&names);
        return rc < 0 ? why_set(why, rc, "cannot empty %s: %s", d->path, why_errno(rc)) : 0;
}

int spool_export_finish(struct str directory, struct str receipt, struct why *why)
{
        struct look k;
        char given[96];
        bool is_finishing = false;
        struct spool_moved all = {0};
        uint64_t digest = 0;
        int rc = look_open(&k, directory, true, why);
        if (rc < 0)
                return rc;
        const struct directory *d = &k.spool->directory;
        rc = marker_read(d, given, &is_finishing);
        if (rc < 0)
                why_set(why, rc, "%s was not exported", d->path);
        struct spool_message **messages = look_messages(&k);
        for (size_t i = 0; messages[i] && !is_finishing; i++) {
                if (messages[i]->flags & MESSAGE_STAGED ||
                    look_content(&k, messages[i], NULL, NULL) < 0)
                        all.damaged++;
                else
                        count(&all, &digest, messages[i]);
        }
        free(messages);
        set_receipt(&all, digest);
        if (rc == 0 && !str_eq(receipt, str_from(is_finishing ? given : all.receipt)))
                rc = why_set(why, -EINVAL, "the receipt \"%.*s\" is not of what is in %s (%s)",
                             STR_ARG(str_part(receipt, 0, 60)), d->path,
                             is_finishing ? given : all.receipt);
        if (rc == 0 && !is_finishing && (rc = marker_write(d, all.receipt, finishing)) < 0)
                why_set(why, rc, "cannot write %s/%s: %s", d->path, marker, why_errno(rc));
        bool keeps = all.damaged || k.recovery.damaged;
        if (rc == 0)
                rc = empty(d, d->journal, keeps, why);
        if (rc == 0)
                rc = empty(d, d->large, keeps, why);
        if (rc == 0 && (rc = marker_remove(d)) < 0)
                why_set(why, rc, "cannot remove %s/%s: %s", d->path, marker, why_errno(rc));
        look_close(&k);
        return rc;
}
