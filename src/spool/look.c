/* look.c - a spool that nobody serves, read message by message: for a peek, a check, an export */
#include "spool/look.h"

#include "base/crc32c.h"

#include <fcntl.h>
#include <unistd.h>

int look_open(struct look *k, struct str directory, bool is_ours, struct why *why)
{
        struct spool_options options = {.directory = directory};
        *k = (struct look){.spool = spool_make(&options), .fd = -1};
        k->recovery = (struct recovery){.spool = k->spool, .is_quiet = true};
        int rc = is_ours ? directory_open_ours(&k->spool->directory, directory, why)
                         : directory_open_quietly(&k->spool->directory, directory, why);
        if (rc == 0) {
                rc = recovery_run(&k->recovery, why);
                if (rc < 0)
                        recovery_drop(&k->recovery);
        }
        if (rc < 0)
                look_close(k);
        return rc;
}

void look_close(struct look *k)
{
        if (k->fd >= 0)
                close(k->fd);
        recovery_done(&k->recovery);
        if (k->spool)
                spool_drop(&k->spool);
        *k = (struct look){.fd = -1};
}

static int compare(const void *a, const void *b)
{
        const struct spool_message *x = *(struct spool_message *const *)a;
        const struct spool_message *y = *(struct spool_message *const *)b;
        return (x->serial > y->serial) - (x->serial < y->serial);
}

struct spool_message **look_messages(struct look *k)
{
        const struct recovery *r = &k->recovery;
        struct spool_message **all = calloc(r->count + 1, sizeof(struct spool_message *));
        check(all);
        size_t count = 0;
        for (size_t i = 0; i < r->room; i++)
                if (r->table[i])
                        all[count++] = r->table[i];
        qsort(all, count, sizeof(*all), compare);
        return all;
}

/* The file that the content stands in; segments stay open from one message to the next. */
static int open_file(struct look *k, const struct spool_message *m, uint64_t *at)
{
        bool is_large = m->flags & MESSAGE_LARGE;
        char name[QUEUE_ID_BYTES_MAX];
        *at = is_large ? 0 : m->content_at;
        if (!is_large && k->fd >= 0 && k->segment == m->segment)
                return 0;
        if (k->fd >= 0)
                close(k->fd);
        k->segment = is_large ? NULL : m->segment;
        if (is_large)
                snprintf(name, sizeof(name), "%s", message_id(m));
        else
                segment_name(m->segment->number, name);
        const struct directory *d = &k->spool->directory;
        k->fd = openat(is_large ? d->large : d->journal, name, O_RDONLY | O_CLOEXEC);
        return k->fd < 0 ? -errno : 0;
}

int look_content(struct look *k, const struct spool_message *m, int (*piece)(void *, struct str),
                 void *context)
{
        static char bytes[SPOOL_READ_BYTES];
        uint64_t at;
        uint32_t crc = 0;
        int64_t left = m->bytes;
        int rc = left ? open_file(k, m, &at) : 0;
        while (rc == 0 && left) {
                size_t len = left < (int64_t)sizeof(bytes) ? (size_t)left : sizeof(bytes);
                ssize_t n = pread(k->fd, bytes, len, (off_t)at);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : -EBADMSG;
                crc = crc32c(crc, bytes, (size_t)n);
                at += (uint64_t)n;
                left -= n;
                if (piece)
                        rc = piece(context, str_make(bytes, (size_t)n));
        }
        return rc < 0 ? rc : crc == m->content_crc ? 0 : -EBADMSG;
}
