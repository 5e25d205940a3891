/* spool_kit.c - a spool in a directory of its own */
#include "spool/spool_kit.h"

#include "base/check.h"
#include "loop/pool.h"

#include <errno.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>

struct run {
        struct kit *kit;
        void (*script)(struct kit *k);
};

void kit_init(struct kit *k, const char *path)
{
        memset(k, 0, sizeof(*k));
        const char *tmp = getenv("TMPDIR");
        if (!tmp && access("/dev/shm", W_OK) == 0)
                tmp = "/dev/shm"; /* tests sync a thousand times */
        if (path)
                snprintf(k->path, sizeof(k->path), "%s", path);
        else
                snprintf(k->path, sizeof(k->path), "%s/spool-XXXXXX", tmp ? tmp : "/tmp");
        check(path || mkdtemp(k->path));
        k->options = (struct spool_options){
                .directory = str_from(k->path),
                .loop_count = 1,
                .segment_bytes = 1 << 20,
                .large_bytes = 64 << 10,
                .hot_bytes_max = 1 << 20,
        };
}

int kit_open(struct kit *k, struct why *why)
{
        k->loop = loop_new(why);
        check(k->loop && pool_start(2, why) == 0);
        k->options.loops = &k->loop;
        k->due_count = 0;
        k->waiter = NULL;
        int rc = spool_open(&k->options, &k->spool, why);
        if (rc < 0) {
                pool_stop();
                loop_free(&k->loop);
        }
        return rc;
}

static void take_due(void *context, struct spool_message *m)
{
        struct kit *k = context;
        check(k->due_count < KIT_DUE_MAX);
        k->due[k->due_count++] = m;
        if (k->waiter)
                task_wake(k->waiter);
}

static void run_script(void *arg)
{
        struct run *r = arg;
        r->script(r->kit);
        r->kit->waiter = NULL;
        loop_stop(r->kit->loop);
}

void kit_run(struct kit *k, void (*script)(struct kit *k))
{
        struct run r = {.kit = k, .script = script};
        task_start(k->loop, run_script, &r);
        loop_run(k->loop);
}

void kit_close(struct kit *k)
{
        spool_close(&k->spool);
        pool_stop(); /* before the loop that its threads write to */
        loop_free(&k->loop);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
        return remove(path);
}

void kit_done(struct kit *k)
{
        nftw(k->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

int await_kit_commit(struct kit *k, struct str content, size_t recipients, unsigned flags, char *id,
                     struct why *why)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct envelope e = {.sender = STR("a@example"),
                             .recipient_count = recipients,
                             .recipients = arena_array(&arena, struct recipient, recipients),
                             .client_address = STR("192.0.2.1"),
                             .protocol = STR("ESMTP")};
        for (size_t i = 0; i < recipients; i++)
                e.recipients[i].address = arena_printf(&arena, "b%zu@example", i);
        struct spool_draft *d = spool_draft_new(k->spool);
        if (id)
                snprintf(id, QUEUE_ID_BYTES_MAX, "%s", spool_draft_id(d));
        int rc = 0;
        while (rc == 0 && content.len) {
                struct str piece = str_part(content, 0, SPOOL_PIECE_BYTES_MAX);
                check(buf_append_str(spool_draft_buf(d), piece) == 0);
                content = str_tail(content, piece.len);
                rc = await_spool_draft_settle(d, why);
        }
        if (rc == 0)
                rc = await_spool_commit(&d, &e, flags, why);
        check(rc < 0 || !d);
        spool_draft_free(&d);
        arena_done(&arena);
        return rc;
}

struct spool_message *await_kit_due(struct kit *k, int64_t ms)
{
        if (!k->waiter)
                spool_serve(k->spool, k->loop, take_due, k);
        k->waiter = task_self();
        int64_t until = loop_now_ms() + ms;
        while (!k->due_count && await_wake("waiting for", STR("a due message"), until) == 0)
                ;
        if (!k->due_count)
                return NULL;
        struct spool_message *m = k->due[0];
        memmove(k->due, k->due + 1, --k->due_count * sizeof(k->due[0]));
        return m;
}

int await_kit_read(struct spool_message *m, struct buf *out)
{
        struct spool_reader r;
        struct str piece;
        struct why why;
        int rc;
        spool_reader_init(&r, m);
        buf_clear(out);
        while ((rc = await_spool_reader_next(&r, &piece, &why)) == 0 && piece.len)
                check(buf_append_str(out, piece) == 0);
        spool_reader_done(&r);
        return rc;
}

void kit_settle(struct spool_message *m, enum spool_state state, const char *reason,
                int64_t next_us)
{
        struct arena arena;
        arena_init(&arena, 0);
        struct envelope e;
        spool_message_envelope(m, &arena, &e);
        for (size_t i = 0; i < e.recipient_count; i++) {
                struct spool_result r = {
                        .recipient = i, .state = state, .reason = str_from(reason)};
                spool_message_record(m, &r, 1);
        }
        spool_message_settle(&m, next_us);
        check(!m);
        arena_done(&arena);
}

struct str kit_content(struct buf *b, size_t len, unsigned seed)
{
        buf_clear(b);
        unsigned line = 0;
        while (b->len < len)
                check(buf_printf(b, "%08x %08x the quick brown fox\r\n", seed, line++) == 0);
        b->len = len;
        return buf_str(b);
}
