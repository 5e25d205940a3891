/*
 * postsuper.c - postsuper(1): deletes, expires, holds, releases and queues anew
 *
 * The server does it, so it must run. The queue's own order is the journal's business: -p and -s, which
 * mend Postfix's directories, have nothing to do and succeed.
 */
#include "bin/names.h"
#include "ops/control_client.h"
#include "ops/maildrop.h"

#include <errno.h>
#include <unistd.h>

enum { ACTIONS_MAX = 1024, QUEUES_MAX = 8 };

static const struct action_kind {
        char option;
        enum request_verb verb;
        const char *one;       /* said of a message */
        const char *many;      /* "Deleted: 3 messages" */
        const char *queues[2]; /* when none is named; NULL: all */
} kinds[] = {
        {'d', REQUEST_QUEUE_DELETE, "removed", "Deleted", {NULL, NULL}},
        {'e', REQUEST_QUEUE_EXPIRE, "expired", "Force-expired", {NULL, NULL}},
        {'h', REQUEST_QUEUE_HOLD, "placed on hold", "Placed on hold", {"active", "deferred"}},
        {'H', REQUEST_QUEUE_RELEASE, "released from hold", "Released from hold", {"hold", NULL}},
        {'r', REQUEST_QUEUE_REQUEUE, "requeued", "Requeued", {NULL, NULL}},
};
enum { KINDS = sizeof(kinds) / sizeof(*kinds) };

struct action {
        const struct action_kind *kind;
        const char *id; /* "-": from standard input */
        bool releases;  /* -f: expires, and then releases what is on hold */
};

struct super {
        struct config *config;
        struct action actions[ACTIONS_MAX];
        size_t count;
        const char *queues[QUEUES_MAX]; /* those meant; none: every one */
        size_t queue_count;
        bool means_nothing; /* what has been named is empty here */
        bool is_maildrop_alone;
        bool means_maildrop; /* named, or none is named */
        size_t done[KINDS];
        int code;
};

/* The number in front of "3 messages deleted". */
static void note_count(void *context, char mark, struct str piece)
{
        size_t *count = context;
        size_t number = 0;
        if (mark != '!')
                return;
        for (size_t i = 0; i < piece.len && char_is_digit(piece.ptr[i]); i++)
                number = number * 10 + (size_t)(piece.ptr[i] - '0');
        *count += number;
}

static bool is_id(const char *text)
{
        size_t len = strlen(text);
        for (size_t i = 0; i < len; i++)
                if (!char_is_alnum(text[i]))
                        return false;
        return len > 0 && len < 32;
}

/* How many messages it was done to, or a negative error, said. */
static int ask(struct super *s, const struct action_kind *kind, const char *id, const char *queue,
               size_t *count)
{
        const struct request request = {
                .verb = kind->verb, .id = str_from(id), .select = {.queue = str_from(queue)}};
        struct why why;
        int rc = control_ask_for(s->config, &request, note_count, count, &why);
        bool is_over = rc < 0 || rc == ANSWER_NOT_PERMITTED;
        if (is_over)
                s->code = name_fatal(1, "%s", why.text);
        return is_over ? -1 : rc;
}

/* What waits for the server in maildrop/ goes without it. False: that was an error, and is said. */
static bool delete_left(struct super *s, const char *id, size_t *count)
{
        struct why why;
        int removed = maildrop_delete(s->config, id, &why);
        if (removed < 0) {
                s->code = name_fatal(1, "%s", why.text);
                return false;
        }
        *count += (size_t)removed;
        return true;
}

/* The one that was meant has been found, or nothing but maildrop is meant: the server need not be asked. */
static bool is_over(const struct super *s, const char *id, size_t count)
{
        return s->is_maildrop_alone || (count && strcmp(id, "ALL") != 0);
}

static const struct action_kind *find_kind(int option)
{
        for (size_t i = 0; i < KINDS; i++)
                if (kinds[i].option == option)
                        return &kinds[i];
        return NULL;
}

/* False: the server cannot be asked; the rest is pointless. */
static bool act_on(struct super *s, const struct action_kind *kind, const char *id)
{
        size_t count = 0;
        if (s->means_nothing)
                return true;
        if (kind->option == 'd' && s->means_maildrop && !delete_left(s, id, &count))
                return false;
        const char *const *queues = s->queue_count ? s->queues : kind->queues;
        size_t queue_count = s->queue_count ? s->queue_count : is_over(s, id, count) ? 0 : 2;
        for (size_t i = 0; i < queue_count && (i == 0 || queues[i]); i++)
                if (ask(s, kind, id, queues[i] ? queues[i] : "", &count) < 0)
                        return false;
        s->done[kind - kinds] += count;
        if (count && strcmp(id, "ALL") != 0)
                fprintf(stderr, "%s: %s: %s\n", name_program, id, kind->one);
        return true;
}

static bool act(struct super *s, const struct action *a, const char *id)
{
        if (is_id(id))
                return act_on(s, a->kind, id) && (!a->releases || act_on(s, find_kind('H'), id));
        name_warning("invalid mail queue id: %s", id);
        return true;
}

static bool act_for_lines(struct super *s, const struct action *a)
{
        char *line;
        while ((line = name_read_line())) {
                struct str word = str_trim(str_from(line));
                line[word.ptr - line + (ptrdiff_t)word.len] = 0;
                if (word.len && !act(s, a, word.ptr))
                        return false;
        }
        return true;
}

static bool is_asked(const struct super *s, const struct action_kind *kind)
{
        bool is_one = false;
        for (size_t i = 0; i < s->count; i++)
                is_one = is_one || s->actions[i].kind == kind ||
                         (s->actions[i].releases && kind->option == 'H');
        return is_one && s->code == 0;
}

static void act_all(struct super *s)
{
        for (size_t i = 0; i < s->count; i++) {
                const struct action *a = &s->actions[i];
                if (!(strcmp(a->id, "-") == 0 ? act_for_lines(s, a) : act(s, a, a->id)))
                        break;
        }
        for (size_t i = 0; i < KINDS; i++)
                if (is_asked(s, &kinds[i]))
                        fprintf(stderr, "%s: %s: %zu message%s\n", name_program, kinds[i].many,
                                s->done[i], s->done[i] == 1 ? "" : "s");
}

/* Postfix's words for queues: a message that has just come is active here. False: no such queue. */
static bool add_queue(struct super *s, const char *name)
{
        static const char *const known[][2] = {
                {"active", "active"}, {"incoming", "active"}, {"deferred", "deferred"},
                {"hold", "hold"},     {"maildrop", NULL},     {"bounce", NULL},
                {"defer", NULL},      {"trace", NULL},        {"flush", NULL}};
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
                if (strcmp(known[i][0], name) != 0)
                        continue;
                s->means_maildrop = s->means_maildrop || strcmp(name, "maildrop") == 0;
                bool is_new = known[i][1] != NULL;
                for (size_t q = 0; q < s->queue_count; q++)
                        is_new = is_new && strcmp(s->queues[q], known[i][1]) != 0;
                if (is_new)
                        s->queues[s->queue_count++] = known[i][1];
                return true;
        }
        return false;
}

static int usage(void)
{
        return name_fatal(
                1,
                "usage: postsuper [-psSv] [-c config_dir] [-d id] [-e id] [-f id] [-h id] [-H id] "
                "[-r id] "
                "[queue...]");
}

int name_postsuper(int argc, char **argv)
{
        static struct super s;
        const char *directory = NULL;
        int option;
        while ((option = getopt(argc, argv, "+c:d:e:f:h:H:pr:sSv")) >= 0) {
                const struct action_kind *kind = find_kind(option == 'f' ? 'e' : option);
                if (kind) {
                        if (s.count == ACTIONS_MAX)
                                return name_fatal(1, "more than %d actions: give ids by -",
                                                  ACTIONS_MAX);
                        s.actions[s.count++] = (struct action){kind, optarg, option == 'f'};
                } else if (option == 'c') {
                        directory = optarg;
                } else if (option == '?') {
                        return usage();
                }
        }
        bool is_named = optind < argc;
        for (; optind < argc; optind++)
                if (!add_queue(&s, argv[optind]))
                        return name_fatal(1, "invalid directory name: %s", argv[optind]);
        s.is_maildrop_alone = s.means_maildrop && s.queue_count == 0;
        s.means_maildrop = s.means_maildrop || !is_named;
        s.means_nothing = is_named && s.queue_count == 0 && !s.means_maildrop;
        if (s.count == 0)
                return 0;
        s.config = name_config(name_directory(directory), NULL, NULL);
        if (!s.config)
                return 1;
        act_all(&s);
        config_unref(&s.config);
        return s.code;
}
