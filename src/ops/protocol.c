/* protocol.c - requests and answers on the control socket; pure */
#include "ops/protocol.h"

#include "message/queue_id.h"

#include <errno.h>
#include <stddef.h>

enum id_rule { ID_NONE, ID_MAY, ID_MUST };
enum { OLDER_S_MAX = 1000000000 };

static const struct {
        const char *words;
        enum request_verb verb;
        enum id_rule id;
        bool may_json;
        bool may_select;
} verbs[] = {
        {"reload", REQUEST_RELOAD, ID_NONE, false, false},
        {"stop", REQUEST_STOP, ID_NONE, false, false},
        {"status", REQUEST_STATUS, ID_NONE, true, false},
        {"dnsbl", REQUEST_DNSBL, ID_NONE, true, false},
        {"sessions", REQUEST_SESSIONS, ID_NONE, true, false},
        {"deliveries", REQUEST_DELIVERIES, ID_NONE, true, false},
        {"explain", REQUEST_EXPLAIN, ID_MUST, true, false},
        {"submit", REQUEST_SUBMIT, ID_NONE, false, false},
        {"queue list", REQUEST_QUEUE_LIST, ID_NONE, true, true},
        {"queue show", REQUEST_QUEUE_SHOW, ID_MUST, false, false},
        {"queue count", REQUEST_QUEUE_COUNT, ID_NONE, false, false},
        {"queue flush", REQUEST_QUEUE_FLUSH, ID_MAY, false, true},
        {"queue delete", REQUEST_QUEUE_DELETE, ID_MAY, false, true},
        {"queue hold", REQUEST_QUEUE_HOLD, ID_MAY, false, true},
        {"queue release", REQUEST_QUEUE_RELEASE, ID_MAY, false, true},
        {"queue requeue", REQUEST_QUEUE_REQUEUE, ID_MAY, false, true},
        {"queue expire", REQUEST_QUEUE_EXPIRE, ID_MAY, false, true},
        {"queue drain", REQUEST_QUEUE_DRAIN, ID_NONE, false, false},
        {"queue accept", REQUEST_QUEUE_ACCEPT, ID_NONE, false, false},
};

static bool id_is_valid(struct str id)
{
        if (id.len == 0 || id.len >= QUEUE_ID_BYTES_MAX)
                return false;
        for (size_t i = 0; i < id.len; i++)
                if (!char_is_alnum(id.ptr[i]))
                        return false;
        return true;
}

/* Does the line begin with these words? Then *rest is what follows. */
static bool has_words(struct str line, const char *words, struct str *rest)
{
        struct str expected = str_from(words);
        if (!str_starts(line, expected))
                return false;
        *rest = str_tail(line, expected.len);
        return rest->len == 0 || rest->ptr[0] == ' ' || rest->ptr[0] == '\t';
}

static int parse_rest(size_t verb, struct str rest, struct request *out, struct why *why)
{
        struct str word;
        while (str_next_word(&rest, " ", &word)) {
                if (str_eq(word, STR("json")) && verbs[verb].may_json)
                        out->wants_json = true;
                else if (str_eq(word, STR("plain")) && verbs[verb].verb == REQUEST_QUEUE_LIST)
                        out->wants_plain = true;
                else if (verbs[verb].id != ID_NONE && out->id.len == 0 && id_is_valid(word))
                        out->id = word;
                else
                        return why_set(why, -EINVAL, "%s: \"%.*s\" is not a queue id",
                                       verbs[verb].words, STR_ARG(word));
        }
        return 0;
}

/* Names of what selects, and where in a struct queue_select they stand. */
static const struct {
        const char *name;
        size_t at;
} fields[] = {
        {"sender=", offsetof(struct queue_select, sender)},
        {"recipient=", offsetof(struct queue_select, recipient)},
        {"destination=", offsetof(struct queue_select, destination)},
        {"reason=", offsetof(struct queue_select, reason)},
        {"queue=", offsetof(struct queue_select, queue)},
};

static int parse_field(struct str text, struct queue_select *out, struct why *why)
{
        if (str_starts(text, STR("older="))) {
                if (str_to_int64(str_tail(text, 6), 1, OLDER_S_MAX, &out->older_s) < 0)
                        return why_set(why, -EINVAL, "\"%.*s\" is no age in seconds",
                                       STR_ARG(str_part(text, 0, 40)));
                return 0;
        }
        for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
                if (!str_starts(text, str_from(fields[i].name)))
                        continue;
                memcpy((char *)out + fields[i].at,
                       &(struct str){text.ptr + strlen(fields[i].name),
                                     text.len - strlen(fields[i].name)},
                       sizeof(struct str));
                return 0;
        }
        return why_set(why, -EINVAL, "\"%.*s\" selects nothing that is known here",
                       STR_ARG(str_part(text, 0, 40)));
}

/* Who names no message, and selects none, may not mean all by it. */
static int parse_select(size_t verb, struct str rest, struct request *out, struct why *why)
{
        struct str text;
        while (str_next_word(&rest, "\t", &text)) {
                if (!verbs[verb].may_select)
                        return why_set(why, -EINVAL, "%s selects no messages", verbs[verb].words);
                int rc = parse_field(text, &out->select, why);
                if (rc < 0)
                        return rc;
        }
        bool selects = !queue_select_is_empty(&out->select);
        bool must = verbs[verb].id == ID_MUST ||
                    (verbs[verb].id == ID_MAY && out->verb != REQUEST_QUEUE_FLUSH);
        if (must && !out->id.len && !selects)
                return why_set(why, -EINVAL, "%s: which message?", verbs[verb].words);
        return queue_select_check(&out->select, why);
}

int request_parse(struct str line, struct request *out, struct why *why)
{
        line = str_trim(line);
        for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
                struct str rest;
                if (!has_words(line, verbs[i].words, &rest))
                        continue;
                *out = (struct request){.verb = verbs[i].verb};
                ptrdiff_t tab = str_find(rest, '\t');
                struct str words = tab < 0 ? rest : str_part(rest, 0, (size_t)tab);
                int rc = parse_rest(i, words, out, why);
                return rc < 0 ? rc : parse_select(i, str_tail(rest, words.len), out, why);
        }
        return why_set(why, -EINVAL, "unknown request \"%.*s\": is the server of another version?",
                       line.len > 60 ? 60 : (int)line.len, line.ptr);
}

void request_format(const struct request *request, struct buf *out)
{
        for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
                if (verbs[i].verb == request->verb)
                        buf_printf(out, "%s", verbs[i].words);
        if (request->wants_json)
                buf_printf(out, " json");
        if (request->wants_plain)
                buf_printf(out, " plain");
        if (request->id.len)
                buf_printf(out, " %.*s", STR_ARG(request->id));
        for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++) {
                struct str value;
                memcpy(&value, (const char *)&request->select + fields[i].at, sizeof(value));
                if (value.len)
                        buf_printf(out, "\t%s%.*s", fields[i].name, STR_ARG(value));
        }
        if (request->select.older_s)
                buf_printf(out, "\tolder=%lld", (long long)request->select.older_s);
        buf_append_char(out, '\n');
}

int answer_lines(struct buf *out, char mark, struct str text)
{
        while (text.len) {
                const char *lf = memchr(text.ptr, '\n', text.len);
                struct str line = str_part(text, 0, lf ? (size_t)(lf - text.ptr) : text.len);
                if (!buf_reserve(out, line.len + 2))
                        return -ENOBUFS;
                buf_append_char(out, mark);
                buf_append_str(out, line);
                buf_append_char(out, '\n');
                text = str_tail(text, line.len + 1);
        }
        return 0;
}

void answer_reader_init(struct answer_reader *r, void (*text)(void *, char, struct str),
                        void *context)
{
        *r = (struct answer_reader){.text = text, .context = context};
        buf_init(&r->end, REQUEST_BYTES_MAX);
}

void answer_reader_done(struct answer_reader *r)
{
        buf_done(&r->end);
}

static int read_end(struct answer_reader *r)
{
        struct str code = buf_str(&r->end);
        if (code.len == 0 || !char_is_digit(code.ptr[0]) || (code.len > 1 && code.ptr[1] != ' '))
                return -EBADMSG;
        r->code = code.ptr[0] - '0';
        r->is_done = true;
        return 0;
}

/* One line's part in `piece`; the line goes on in the next piece when it has no LF. */
static int feed_line(struct answer_reader *r, struct str part)
{
        if (r->mark != '=') {
                r->text(r->context, r->mark, part);
                return 0;
        }
        if (str_ends(part, STR("\n"))) {
                if (buf_append(&r->end, part.ptr, part.len - 1) < 0)
                        return -EBADMSG;
                return read_end(r);
        }
        return buf_append_str(&r->end, part) < 0 ? -EBADMSG : 0;
}

int answer_reader_feed(struct answer_reader *r, struct str piece)
{
        while (piece.len && !r->is_done) {
                if (r->mark == 0) {
                        r->mark = piece.ptr[0];
                        if (r->mark != '|' && r->mark != '!' && r->mark != '=')
                                return -EBADMSG;
                        piece = str_tail(piece, 1);
                }
                const char *lf = memchr(piece.ptr, '\n', piece.len);
                size_t n = lf ? (size_t)(lf - piece.ptr) + 1 : piece.len;
                if (n) {
                        int rc = feed_line(r, str_part(piece, 0, n));
                        if (rc < 0)
                                return rc;
                }
                if (lf)
                        r->mark = 0;
                piece = str_tail(piece, n);
        }
        return piece.len ? -EBADMSG : 0;
}

struct str answer_reader_text(const struct answer_reader *r)
{
        return str_tail(buf_str(&r->end), 2);
}
