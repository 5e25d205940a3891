/*
 * replay.c - forepost replay: recorded sessions, decided again under another configuration
 *
 * Each session of the record (session_record_file; its format is told in session/record.c) is held again with the configuration
 * named by --policy, the DNS answering what it answered then. What comes out differently is counted and listed. There was no
 * content in the record, so what is decided by header and body stays out.
 */
#include "base/buf.h"
#include "base/log.h"
#include "bin/command.h"
#include "ops/rehearsal.h"

#include <errno.h>

enum {
        AS_JSON = 1,
        VALUE_POLICY = 2,
        VALUE_SERVICE = 4,
        ASKS_FILTERS = 8,
        LINE_BYTES_MAX = 128 * 1024,
        DECISIONS_MAX = 1000, /* in a session */
        ZONE_BYTES_MAX = 1024 * 1024,
};

struct decision {
        char kind; /* C, H, M, R */
        struct str about;
        int64_t code;
};

/* A recorded session, and what is made of it now. */
struct replayed {
        struct arena arena;
        struct str address, port, helo;
        struct str sender;
        bool has_sender, has_tls;
        struct str recipients[DECISIONS_MAX];
        size_t recipient_count;
        struct decision then[DECISIONS_MAX];
        size_t then_count;
        struct decision now[DECISIONS_MAX];
        size_t now_count;
        struct buf zone;
        struct str time;
};

struct totals {
        uint64_t sessions, unreadable, same, refused_now, accepted_now, other;
};

/* ---- reading ---- */

static void note(struct replayed *s, struct str *rest, char kind, bool has_name)
{
        struct str name = has_name ? arena_str(&s->arena, str_cut(rest, '\t')) : STR("");
        int64_t code = 0;
        if (s->then_count == DECISIONS_MAX ||
            str_to_int64(str_cut(rest, '\t'), 200, 599, &code) < 0)
                return;
        s->then[s->then_count++] = (struct decision){kind, name, code};
        if (kind == 'H') {
                s->helo = name;
        } else if (kind == 'M' && !s->has_sender) {
                s->has_sender = true;
                s->sender = str_eq(name, STR("<>")) ? STR("") : name;
        } else if (kind == 'R' && s->recipient_count < DECISIONS_MAX) {
                s->recipients[s->recipient_count++] = name;
        }
}

/* True when the record is complete. */
static bool read_line(struct replayed *s, struct str line)
{
        struct str kind = str_cut(&line, '\t');
        if (kind.len != 1)
                return false;
        switch (kind.ptr[0]) {
        case 'S':
                s->time = arena_str(&s->arena, str_cut(&line, '\t'));
                s->address = arena_str(&s->arena, str_cut(&line, '\t'));
                s->port = arena_str(&s->arena, str_cut(&line, '\t'));
                return false;
        case 'T':
                s->has_tls = true;
                return false;
        case 'C':
                note(s, &line, 'C', false);
                return false;
        case 'H':
        case 'M':
        case 'R':
                note(s, &line, kind.ptr[0], true);
                return false;
        case 'N':
                buf_append_str(&s->zone, line);
                buf_append_char(&s->zone, '\n');
                return false;
        default:
                return kind.ptr[0] == '.';
        }
}

static void begin(struct replayed *s)
{
        arena_done(&s->arena);
        arena_init(&s->arena, 0);
        buf_clear(&s->zone);
        s->address = s->port = s->helo = s->sender = s->time = STR("");
        s->has_sender = s->has_tls = false;
        s->recipient_count = s->then_count = s->now_count = 0;
}

/* ---- deciding again ---- */

static void hear(void *context, struct str record)
{
        struct replayed *s = context;
        struct explanation_reply r;
        if (!explanation_reply(record, &r) || s->now_count == DECISIONS_MAX)
                return;
        char kind = str_eq(r.verb, STR("CONNECT"))                               ? 'C'
                    : str_eq(r.verb, STR("EHLO")) || str_eq(r.verb, STR("HELO")) ? 'H'
                    : str_eq(r.verb, STR("MAIL"))                                ? 'M'
                    : str_eq(r.verb, STR("RCPT"))                                ? 'R'
                                                                                 : 0;
        if (kind)
                s->now[s->now_count++] = (struct decision){kind, STR(""), r.code};
}

/* How a session came out for each recipient, or where it ended before: the worst code that concerns it. */
static int64_t outcome(const struct decision *list, size_t count, size_t recipient)
{
        size_t at = 0;
        for (size_t i = 0; i < count; i++) {
                if (list[i].kind != 'R') {
                        if (list[i].code >= 400)
                                return list[i].code;
                } else if (at++ == recipient) {
                        return list[i].code;
                }
        }
        return 0; /* nothing refused it before it came to that */
}

static void compare_one(const struct replayed *s, size_t recipient, bool wants_json,
                        struct totals *t)
{
        int64_t then = outcome(s->then, s->then_count, recipient);
        int64_t now = outcome(s->now, s->now_count, recipient);
        if (then == now) {
                t->same++;
                return;
        }
        bool was_refused = then >= 400;
        bool is_refused = now >= 400;
        t->refused_now += !was_refused && is_refused;
        t->accepted_now += was_refused && !is_refused;
        t->other += was_refused == is_refused;
        struct str to = recipient < s->recipient_count ? s->recipients[recipient] : STR("");
        if (!wants_json) {
                printf("%lld -> %lld  client=%.*s helo=<%.*s> from=<%.*s> to=<%.*s>\n",
                       (long long)then, (long long)now, STR_ARG(s->address), STR_ARG(s->helo),
                       STR_ARG(s->sender), STR_ARG(to));
                return;
        }
        struct buf out;
        struct json j;
        buf_init(&out, LINE_BYTES_MAX);
        json_init(&j, &out);
        json_open(&j, NULL, '{');
        json_int(&j, "then", then);
        json_int(&j, "now", now);
        json_str(&j, "client", s->address);
        json_str(&j, "helo", s->helo);
        json_str(&j, "sender", s->sender);
        json_str(&j, "recipient", to);
        json_close(&j, '}');
        json_end(&j);
        fwrite(out.ptr, 1, out.len, stdout);
        buf_done(&out);
}

static int decide(struct rehearsal *r, struct dns *dns, struct replayed *s, struct why *why)
{
        int64_t port = 0;
        str_to_int64(s->port, 1, 65535, &port);
        const struct rehearsal_client client = {
                .address = s->address,
                .port = (uint16_t)port,
                .helo = s->helo,
                .sender = s->sender,
                .has_sender = s->has_sender,
                .recipients = s->recipients,
                .recipient_count = s->recipient_count,
                .wants_tls = s->has_tls,
        };
        int rc = dns_give(dns, buf_str(&s->zone), why);
        return rc < 0 ? rc : rehearsal_hold(r, &client, hear, s, why);
}

static void replay_one(struct rehearsal *r, struct dns *dns, struct replayed *s, bool wants_json,
                       struct totals *t)
{
        struct why why;
        unsigned char bits[16];
        if (!network_address_parse(s->address, bits) || decide(r, dns, s, &why) < 0) {
                t->unreadable++;
                return;
        }
        t->sessions++;
        size_t count = s->recipient_count ? s->recipient_count : 1;
        for (size_t i = 0; i < count; i++)
                compare_one(s, i, wants_json, t);
}

/* ---- the command ---- */

static int replay_all(FILE *log, struct rehearsal *r, struct dns *dns, bool wants_json)
{
        static char line[LINE_BYTES_MAX];
        struct totals t = {0};
        struct replayed *s = calloc(1, sizeof(*s));
        if (!s)
                return EXIT_FAILED;
        arena_init(&s->arena, 0);
        buf_init(&s->zone, ZONE_BYTES_MAX);
        while (fgets(line, sizeof(line), log)) {
                struct str text = str_from(line);
                if (str_ends(text, STR("\n")))
                        text.len--;
                if (!read_line(s, text))
                        continue;
                replay_one(r, dns, s, wants_json, &t);
                begin(s);
        }
        buf_done(&s->zone);
        arena_done(&s->arena);
        free(s);
        fflush(stdout);
        fprintf(wants_json ? stderr : stdout,
                "%llu sessions decided again: %llu outcomes the same, %llu would be refused now, %llu accepted now, "
                "%llu with another code",
                (unsigned long long)t.sessions, (unsigned long long)t.same,
                (unsigned long long)t.refused_now, (unsigned long long)t.accepted_now,
                (unsigned long long)t.other);
        fprintf(wants_json ? stderr : stdout, t.unreadable ? ", %llu could not be held\n" : "\n",
                (unsigned long long)t.unreadable);
        return EXIT_DONE;
}

static int run(const struct args *args)
{
        FILE *log = fopen(args->words[0], "r");
        if (!log) {
                command_error("%s: %s", args->words[0], why_errno(errno));
                return EXIT_FAILED;
        }
        const char *dir =
                args_value(args, VALUE_POLICY) ? args_value(args, VALUE_POLICY) : args->dir;
        struct findings findings;
        struct why why;
        int code = EXIT_FAILED;
        struct dns *dns = dns_new_given(STR(""), &why);
        findings_init(&findings);
        const struct rehearsal_options options = {
                .dir = dir,
                .overrides = args_overrides(args),
                .service = str_from(args_value(args, VALUE_SERVICE)),
                .dns = dns,
                .is_offline = !(args->flags & ASKS_FILTERS),
        };
        log_only_trouble();
        struct rehearsal *r = dns ? rehearsal_new(&options, &findings, &why) : NULL;
        if (r)
                code = replay_all(log, r, dns, (args->flags & AS_JSON) != 0);
        else
                command_error("%s", why.text);
        rehearsal_free(&r);
        findings_done(&findings);
        dns_unref(&dns);
        fclose(log);
        return code;
}

static const struct args_flag flags[] = {
        {"--policy", VALUE_POLICY, "the configuration to decide by; without: that of -c", "DIR"},
        {"--service", VALUE_SERVICE, "the service of master.cf; without: the first", "NAME"},
        {"--ask-filters", ASKS_FILTERS,
         "ask the policy services and milters that the configuration names", NULL},
        {"--json", AS_JSON,
         "one JSON object for each outcome that differs; the sum on standard error", NULL},
        {NULL, 0, NULL, NULL},
};

const struct command command_replay = {
        .name = "replay",
        .operands = "LOG",
        .summary = "Decides recorded sessions again under another configuration",
        .help = "LOG is what a server wrote with session_record_file set: who came, what they said, what the DNS answered.\n"
                "Each session is held again with the configuration in DIR; what would come out differently is listed and\n"
                "counted. Header and body checks see nothing, as no content is recorded; counts over time (rates) are off.\n"
                "Policy services and milters are asked with --ask-filters alone: they would take old mail for new.\n",
        .flags = flags,
        .words_min = 1,
        .words_max = 1,
        .run = run,
};
