/*
 * pickup.c - mail that was left in maildrop/ while no server ran is taken in
 *
 * Each file is said to a session as its owner would have said it at the public socket, command by command, so that all that holds for
 * local mail holds for it. When the session has said 250 the file goes: a crash in between takes the message in twice.
 *
 * Who left it was told that it will be sent, so a refusal for good goes back to the sender by mail. What cannot be told to
 * anybody, and what no sendmail has written, is kept in corrupt/ with a line in the log. A refusal for now leaves the
 * file, and the next look is later; after maximal_queue_lifetime it is one for good, as of any other mail.
 */
#include "ops/pickup.h"

#include "base/check.h"
#include "base/clock.h"
#include "base/log.h"
#include "loop/pool.h"
#include "message/dsn.h"
#include "ops/maildrop.h"
#include "ops/maildrop_form.h"
#include "ops/permission.h"
#include "smtp/dot.h"
#include "wire/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
        LOOK_MS = 1000,
        LATER_MS = 30 * 1000,
        REPLY_MS = 600 * 1000, /* filters may take their time */
        REPLY_BYTES_MAX = 4096,
        FILES_MAX = 1000, /* at a time */
        LEFT_BYTES_MAX = 100000 * QUEUE_ID_BYTES_MAX,
        PUT_BYTES = 64 * 1024,
        HEADER_SHOWN_MAX = 64 * 1024,
};

enum outcome { TAKEN, REFUSED, LATER };

/* What the pool's threads are given. */
struct look {
        char directory[QUEUE_DIRECTORY_BYTES_MAX];
        char after[QUEUE_ID_BYTES_MAX]; /* the last that was looked at */
        char (*ids)[QUEUE_ID_BYTES_MAX];
        size_t count;
        struct buf left; /* those that have to wait, QUEUE_ID_BYTES_MAX each */
        const char *id;
        struct config *config;
        char kept[MAILDROP_KEPT_BYTES];
        struct maildrop_file file;
        bool is_permitted;
        char user[USER_NAME_BYTES];
        int rc;
        struct why why;
};

static int scan(void *arg)
{
        struct look *l = arg;
        l->count = maildrop_scan(l->directory, l->after, l->ids, FILES_MAX);
        return 0;
}

static int read_one(void *arg)
{
        struct look *l = arg;
        const struct params *p = &l->config->params;
        l->rc = maildrop_read(l->directory, l->id, maildrop_bytes_max(p), &l->file, &l->why);
        if (l->rc == 0)
                l->is_permitted = permission_look_up(l->config, p->authorized_submit_users,
                                                     l->file.uid, l->user);
        return 0;
}

static int set_aside(void *arg)
{
        struct look *l = arg;
        l->rc = maildrop_set_aside(l->directory, l->id, l->kept, &l->why);
        return 0;
}

static int remove_one(void *arg)
{
        struct look *l = arg;
        char path[QUEUE_DIRECTORY_BYTES_MAX + QUEUE_ID_BYTES_MAX + 1];
        snprintf(path, sizeof(path), "%s/%s", l->directory, l->id);
        l->rc = unlink(path) < 0 && errno != ENOENT ? -errno : 0;
        return 0;
}

/* ---- the session ---- */

struct talk {
        struct wire *wire;
        char reply[REPLY_BYTES_MAX]; /* the last, its last line */
};

static int await_reply(struct talk *t)
{
        struct wire_line line;
        do {
                int rc = await_wire_line(t->wire, REPLY_BYTES_MAX, loop_now_ms() + REPLY_MS, &line);
                if (rc < 0)
                        return rc;
                snprintf(t->reply, sizeof(t->reply), "%.*s", STR_ARG(line.text));
        } while (line.text.len > 3 && line.text.ptr[3] == '-');
        return t->reply[0] >= '2' && t->reply[0] <= '5' ? t->reply[0] - '0' : -EPROTO;
}

static int await_put(struct talk *t, struct str text)
{
        while (text.len) {
                struct str piece = str_part(text, 0, PUT_BYTES);
                int rc = wire_put(t->wire, piece);
                if (rc == 0)
                        rc = await_wire_flush(t->wire, loop_now_ms() + REPLY_MS);
                if (rc < 0)
                        return rc;
                text = str_tail(text, piece.len);
        }
        return 0;
}

/* Says it, and wants a reply of this class. 1: that was said. 0: something else. Negative: the session is over. */
static int await_say(struct talk *t, struct str text, int class)
{
        int rc = await_put(t, text);
        if (rc == 0)
                rc = await_reply(t);
        return rc < 0 ? rc : rc == class;
}

static int await_dialogue(struct talk *t, struct str commands, struct str content)
{
        int rc = await_reply(t);
        if (rc != 2)
                return rc < 0 ? rc : 0;
        rc = await_say(t, STR("EHLO localhost\r\n"), 2);
        while (rc == 1 && commands.len) {
                size_t len = (size_t)str_find(commands, '\n') + 1;
                rc = await_say(t, str_part(commands, 0, len), 2);
                commands = str_tail(commands, len);
        }
        if (rc == 1)
                rc = await_say(t, STR("DATA\r\n"), 3);
        return rc == 1 ? await_say(t, content, 2) : rc;
}

/* With `reply`, REPLY_BYTES_MAX, what was said in the end. */
static enum outcome await_submit(struct worker *w, uid_t uid, struct str commands,
                                 struct str content, char *reply)
{
        static size_t turn;
        int fds[2];
        struct talk *t = calloc(1, sizeof(*t));
        check(t);
        enum outcome outcome = LATER;
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0) {
                t->wire = wire_new(w->office, fds[0]);
                await_station_adopt(&w->stations[turn++ % w->station_count], fds[1], uid);
                int rc = await_dialogue(t, commands, content);
                if (rc == 1)
                        outcome = TAKEN;
                else if (rc == 0 && t->reply[0] == '5')
                        outcome = REFUSED;
                if (rc >= 0)
                        await_put(t, STR("QUIT\r\n"));
                wire_free(&t->wire);
        }
        snprintf(reply, REPLY_BYTES_MAX, "%s", t->reply);
        free(t);
        return outcome;
}

/* ---- what cannot be sent ---- */

/* The envelope that the file asks for, as far as a notice needs it. */
static void read_envelope(const struct maildrop_file *f, struct arena *arena, struct envelope *out)
{
        struct str rest = f->commands;
        *out = (struct envelope){.arrival_us = f->arrival_us};
        out->sender = maildrop_address(str_cut(&rest, '\n'));
        out->recipients = arena_array(arena, struct recipient, f->commands.len / 8 + 1);
        while (rest.len) {
                struct recipient *r = &out->recipients[out->recipient_count];
                r->address = r->original = maildrop_address(str_cut(&rest, '\n'));
                out->recipient_count += r->address.len > 0;
        }
}

static struct str header_of(struct str content)
{
        ptrdiff_t end = str_find_str(content, STR("\r\n\r\n"));
        size_t len = end < 0 ? content.len - 3 : (size_t)end + 2;
        return len <= HEADER_SHOWN_MAX ? str_part(content, 0, len) : STR("");
}

static int format_notice(struct worker *w, const struct look *l, const char *reply,
                         struct arena *arena, struct envelope *e, struct buf *out)
{
        const struct params *p = &w->site->config->params;
        struct dsn_recipient *list = arena_array(arena, struct dsn_recipient, e->recipient_count);
        struct str text = str_from(reply);
        char status[SMTP_ENHANCED_BYTES] = "5.0.0";
        struct str words = str_tail(text, 4);
        smtp_enhanced_take(&words, status);
        for (size_t i = 0; i < e->recipient_count; i++)
                list[i] = (struct dsn_recipient){.recipient = &e->recipients[i],
                                                 .action = DSN_FAILED,
                                                 .status = arena_str(arena, str_from(status)),
                                                 .diagnostic = text};
        const struct dsn d = {
                .original = e,
                .original_id = str_from(l->id),
                .reporting_mta = p->outside_name,
                .from = arena_printf(arena, "MAILER-DAEMON@%.*s", STR_ARG(p->myorigin)),
                .mail_name = p->mail_name,
                .boundary_id = str_from(l->id),
                .now_us = clock_wall_us(),
                .recipients = list,
                .recipient_count = e->recipient_count,
                .header = header_of(l->file.content),
        };
        return dsn_format(&d, out);
}

/* Tells the sender. False: there is none, or that was not taken either. */
static bool await_return(struct worker *w, const struct look *l, const char *reply)
{
        struct arena arena;
        struct buf notice, content;
        struct envelope e;
        bool is_told = false;
        bool at_line_start = true;
        char *answer = malloc(REPLY_BYTES_MAX);
        check(answer);
        arena_init(&arena, 0);
        read_envelope(&l->file, &arena, &e);
        size_t room = l->file.commands.len * 8 + 1024 * 1024;
        buf_init(&notice, room);
        buf_init(&content, room * 2);
        if (e.sender.len && e.recipient_count &&
            format_notice(w, l, reply, &arena, &e, &notice) == 0) {
                struct str commands = arena_printf(&arena, "MAIL FROM:<>\r\nRCPT TO:<%.*s>\r\n",
                                                   STR_ARG(e.sender));
                dot_encode(&at_line_start, buf_str(&notice), &content);
                buf_append_str(&content, dot_end(at_line_start));
                is_told = await_submit(w, geteuid(), commands, buf_str(&content), answer) == TAKEN;
        }
        buf_done(&notice);
        buf_done(&content);
        arena_done(&arena);
        free(answer);
        return is_told;
}

/* ---- one file ---- */

static void await_keep(struct look *l, const char *reason)
{
        await_pool_run("setting aside", str_from(l->id), set_aside, l);
        if (l->rc == 0)
                log_warning("pickup", "%s: %s; it is kept in %s", l->id, reason, l->kept);
        else
                log_warning("pickup", "%s: %s; %s", l->id, reason, l->why.text);
}

/* Has it been refused for now for as long as any mail is tried (maximal_queue_lifetime, bounce_queue_lifetime)? */
static bool is_too_old(const struct look *l, const char *reply)
{
        const struct params *p = &l->config->params;
        bool is_null = str_starts(l->file.commands, STR("MAIL FROM:<>"));
        int64_t age_us = clock_wall_us() - l->file.arrival_us;
        return reply[0] == '4' &&
               age_us / 1000 > (is_null ? p->bounce_queue_lifetime : p->maximal_queue_lifetime);
}

static enum outcome await_file(struct worker *w, struct look *l)
{
        l->file = (struct maildrop_file){0};
        if (await_pool_run("reading", str_from(l->id), read_one, l) < 0 || l->rc == -ENOENT)
                return LATER;
        if (l->rc == -EBADMSG) {
                struct why wrong = l->why;
                await_keep(l, wrong.text);
                return l->rc < 0 ? LATER : TAKEN;
        }
        if (l->rc < 0) {
                log_warning("pickup", "%s: %s", l->id, l->why.text);
                return LATER;
        }
        char *reply = malloc(REPLY_BYTES_MAX);
        check(reply);
        enum outcome outcome = REFUSED;
        if (l->is_permitted)
                outcome = await_submit(w, l->file.uid, l->file.commands, l->file.content, reply);
        if (outcome == LATER && is_too_old(l, reply))
                outcome = REFUSED;
        if (!l->is_permitted) {
                snprintf(reply, REPLY_BYTES_MAX, "User %s(%ld) is not allowed to submit mail",
                         l->user, (long)l->file.uid);
                await_keep(l, reply);
        } else if (outcome == REFUSED && await_return(w, l, reply)) {
                log_info("pickup", "%s: refused: %s; the sender is told", l->id, reply);
                await_pool_run("removing", str_from(l->id), remove_one, l);
        } else if (outcome == REFUSED && !w->is_stopping) {
                await_keep(l, reply);
        } else if (outcome == TAKEN) {
                await_pool_run("removing", str_from(l->id), remove_one, l);
        } else {
                log_info("pickup", "%s: has to wait: %s", l->id, reply);
        }
        free(reply);
        maildrop_file_done(&l->file);
        return outcome;
}

/* Listings, which run on this loop too, show what waits here: of the last look that has ended. */
static void show_left(struct worker *w, struct look *l)
{
        buf_done(&w->left_ids);
        w->left_ids = l->left;
        buf_init(&l->left, LEFT_BYTES_MAX);
}

static void note_left(struct look *l)
{
        char id[QUEUE_ID_BYTES_MAX] = "";
        snprintf(id, sizeof(id), "%s", l->id);
        buf_append(&l->left, id, sizeof(id)); /* those that find no room are not shown */
}

/* All of them, those behind many that have to wait too. False: some have to. */
static bool await_look(struct worker *w, struct look *l)
{
        bool is_done = true;
        l->after[0] = '\0';
        buf_clear(&l->left);
        do {
                if (await_pool_run("looking into", STR("maildrop"), scan, l) < 0)
                        return true;
                for (size_t i = 0; i < l->count && !w->is_stopping; i++) {
                        l->id = l->ids[i];
                        if (await_file(w, l) != LATER)
                                continue;
                        note_left(l);
                        is_done = false;
                }
                if (l->count)
                        snprintf(l->after, sizeof(l->after), "%s", l->ids[l->count - 1]);
        } while (l->count == FILES_MAX && !w->is_stopping);
        show_left(w, l);
        return is_done;
}

void await_pick_up(void *arg)
{
        struct worker *w = arg;
        bool is_done = true;
        struct look *l = calloc(1, sizeof(*l));
        check(l);
        l->ids = calloc((size_t)2 * FILES_MAX, sizeof(*l->ids)); /* as maildrop_scan() wants it */
        check(l->ids);
        buf_init(&l->left, LEFT_BYTES_MAX);
        w->picker = task_self();
        do {
                l->config = config_ref(w->site->config);
                maildrop_find(l->config, l->directory);
                is_done = await_look(w, l);
                config_unref(&l->config);
        } while (!w->is_stopping && await_sleep(is_done ? LOOK_MS : LATER_MS) == 0);
        w->picker = NULL;
        show_left(w, l); /* nothing */
        buf_done(&w->left_ids);
        free(l->ids);
        free(l);
}
