/* explanation.c - how a reply came about, as a record */
#include "ops/explanation.h"

#include "message/header.h"

enum { FIELDS_MAX = 11 };

/* ---- writing ---- */

/* This is done for each refusal, whether somebody asks later or not: no printf, no call for each byte. */
static void put_field(struct buf *out, struct str value)
{
        char *at = buf_reserve(out, value.len + 1);
        if (!at) {
                buf_append_char(out, '\t'); /* the fields behind it stay at their places */
                return;
        }
        *at++ = '\t';
        for (size_t i = 0; i < value.len; i++) {
                unsigned char c = (unsigned char)value.ptr[i];
                at[i] = c < ' ' || c == 0x7f ? ' ' : (char)c;
        }
        buf_grow(out, value.len + 1);
}

static void put_number(struct buf *out, int64_t value)
{
        char digits[24];
        char *at = digits + sizeof(digits);
        uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        do
                *--at = (char)('0' + left % 10);
        while (left /= 10);
        if (value < 0)
                *--at = '-';
        put_field(out, str_make(at, (size_t)(digits + sizeof(digits) - at)));
}

static void put_fact(struct buf *out, const char *name, struct str value)
{
        if (value.len == 0)
                return;
        buf_append_char(out, 'F');
        put_field(out, str_from(name));
        put_field(out, value);
        buf_append_char(out, '\n');
}

static void put_facts(struct buf *out, const struct policy_facts *f)
{
        put_fact(out, "client", f->client_address);
        put_fact(out, "client_name", f->client_name);
        put_fact(out, "reverse_client_name", f->reverse_client_name);
        put_fact(out, "helo", f->helo);
        if (f->has_sender)
                put_fact(out, "sender", f->sender.text.len ? f->sender.text : STR("<>"));
        put_fact(out, "recipient", f->recipient.text);
        put_fact(out, "protocol", f->protocol);
        put_fact(out, "queue_id", f->queue_id);
}

static void put_look(struct buf *out, const struct trace_look *l)
{
        buf_append_char(out, 'L');
        put_field(out, str_from(l->kind));
        put_field(out, l->table);
        put_field(out, l->asked);
        put_field(out, str_from(l->type ? l->type : ""));
        put_field(out, str_from(l->result));
        put_field(out, l->said);
        put_number(out, l->took_us);
        put_field(out, l->was_cached ? STR("1") : STR("0"));
        if (l->line) {
                put_number(out, l->line);
                put_field(out, l->pattern);
        }
        buf_append_char(out, '\n');
}

static void put_step(struct buf *out, const struct trace_step *s)
{
        buf_append_char(out, 'S');
        put_number(out, s->depth);
        put_field(out, s->list);
        put_field(out, s->source);
        put_field(out, str_from(s->outcome));
        put_number(out, s->took_us);
        buf_append_char(out, '\n');
        for (size_t i = 0; i < s->look_count; i++)
                put_look(out, &s->looks[i]);
}

void explanation_write(struct buf *out, const struct session_judged *judged, int64_t now_us)
{
        buf_append_char(out, 'R');
        put_field(out, judged->code);
        put_number(out, now_us);
        put_field(out, str_from(judged->verb));
        put_number(out, judged->reply->code);
        put_field(out, str_from(judged->reply->enhanced ? judged->reply->enhanced : ""));
        put_field(out, judged->reply->text);
        put_field(out, judged->source);
        buf_append_char(out, '\n');
        put_facts(out, judged->facts);
        for (size_t i = 0; i < judged->trace->count; i++)
                put_step(out, judged->trace->steps[i]);
        if (judged->trace->is_cut)
                buf_append_str(out, STR("X\n"));
}

/* ---- reading ---- */

struct line {
        char kind;
        struct str fields[FIELDS_MAX];
        size_t count;
};

/* The next line of a record; false at its end. Fields that are not there are empty. */
static bool next_line(struct str *rest, struct line *out)
{
        *out = (struct line){0};
        if (rest->len == 0)
                return false;
        struct str text = str_cut(rest, '\n');
        struct str kind = str_cut(&text, '\t');
        out->kind = kind.len ? kind.ptr[0] : 0;
        while (text.len && out->count < FIELDS_MAX)
                out->fields[out->count++] = str_cut(&text, '\t');
        for (size_t i = out->count; i < FIELDS_MAX; i++)
                out->fields[i] = STR("");
        return true;
}

static int64_t number(struct str text)
{
        int64_t value;
        return str_to_int64(text, INT64_MIN, INT64_MAX, &value) == 0 ? value : 0;
}

struct str explanation_code(struct str record)
{
        struct line l;
        return next_line(&record, &l) && l.kind == 'R' ? l.fields[0] : STR("");
}

bool explanation_reply(struct str record, struct explanation_reply *out)
{
        struct line l;
        if (!next_line(&record, &l) || l.kind != 'R')
                return false;
        *out = (struct explanation_reply){.verb = l.fields[2],
                                          .code = number(l.fields[3]),
                                          .enhanced = l.fields[4],
                                          .text = l.fields[5],
                                          .rule = l.fields[6]};
        return true;
}

/* ---- JSON ---- */

static void json_reply(struct json *j, const struct line *l)
{
        char date[DATE_BYTES_MAX];
        date_format(number(l->fields[1]), date);
        if (l->fields[0].len)
                json_str(j, "id", l->fields[0]);
        json_str(j, "time", str_from(date));
        json_str(j, "verb", l->fields[2]);
        json_int(j, "code", number(l->fields[3]));
        json_str(j, "enhanced", l->fields[4]);
        json_str(j, "text", l->fields[5]);
        json_str(j, "rule", l->fields[6]);
}

static void json_look(struct json *j, const struct line *l)
{
        json_open(j, NULL, '{');
        json_str(j, "kind", l->fields[0]);
        if (l->fields[1].len)
                json_str(j, "table", l->fields[1]);
        json_str(j, "asked", l->fields[2]);
        if (l->fields[3].len)
                json_str(j, "type", l->fields[3]);
        json_str(j, "result", l->fields[4]);
        json_str(j, "said", l->fields[5]);
        json_int(j, "microseconds", number(l->fields[6]));
        json_bool(j, "cached", str_eq(l->fields[7], STR("1")));
        if (l->fields[8].len) {
                json_int(j, "line", number(l->fields[8]));
                json_str(j, "pattern", l->fields[9]);
        }
        json_close(j, '}');
}

static void json_step_begin(struct json *j, const struct line *l)
{
        json_open(j, NULL, '{');
        json_int(j, "depth", number(l->fields[0]));
        json_str(j, "list", l->fields[1]);
        json_str(j, "rule", l->fields[2]);
        json_str(j, "outcome", l->fields[3]);
        json_int(j, "microseconds", number(l->fields[4]));
        json_open(j, "looked_up", '[');
}

static void json_step_end(struct json *j, bool *is_open)
{
        if (*is_open) {
                json_close(j, ']');
                json_close(j, '}');
        }
        *is_open = false;
}

void explanation_put_steps(struct json *j, struct str record)
{
        struct line l;
        bool is_open = false;
        while (next_line(&record, &l)) {
                if (l.kind == 'S') {
                        json_step_end(j, &is_open);
                        json_step_begin(j, &l);
                        is_open = true;
                } else if (l.kind == 'L' && is_open) {
                        json_look(j, &l);
                }
        }
        json_step_end(j, &is_open);
}

void explanation_put_json(struct json *j, struct str record)
{
        struct line l;
        char name[32];
        bool has_steps = false;
        bool is_open = false;
        bool is_cut = false;
        while (next_line(&record, &l)) {
                if (l.kind == 'R') {
                        json_reply(j, &l);
                } else if (l.kind == 'F' && !has_steps) {
                        snprintf(name, sizeof(name), "%.*s", STR_ARG(l.fields[0]));
                        json_str(j, name, l.fields[1]);
                } else if (l.kind == 'S') {
                        if (!has_steps)
                                json_open(j, "steps", '[');
                        has_steps = true;
                        json_step_end(j, &is_open);
                        json_step_begin(j, &l);
                        is_open = true;
                } else if (l.kind == 'L' && is_open) {
                        json_look(j, &l);
                } else if (l.kind == 'X') {
                        is_cut = true;
                }
        }
        json_step_end(j, &is_open);
        if (!has_steps)
                json_open(j, "steps", '[');
        json_close(j, ']');
        if (is_cut)
                json_bool(j, "cut", true);
}

/* ---- text ---- */

static void text_reply(struct buf *out, const struct line *l)
{
        char date[DATE_BYTES_MAX];
        date_format(number(l->fields[1]), date);
        buf_printf(out, "%.*s: %.*s%s%.*s %.*s\n", STR_ARG(l->fields[2]), STR_ARG(l->fields[3]),
                   l->fields[4].len ? " " : "", STR_ARG(l->fields[4]), STR_ARG(l->fields[5]));
        if (l->fields[0].len)
                buf_printf(out, "  %.*s, %s\n", STR_ARG(l->fields[0]), date);
        if (l->fields[6].len)
                buf_printf(out, "  by %.*s\n", STR_ARG(l->fields[6]));
}

static void text_step(struct buf *out, const struct line *l, struct str *list)
{
        int64_t depth = number(l->fields[0]);
        if (!str_eq(*list, l->fields[1]) && depth <= 1)
                buf_printf(out, "  %.*s\n", STR_ARG(l->fields[1]));
        *list = l->fields[1];
        buf_printf(out, "  %*s%-7.*s %.*s  (%lld us)\n", (int)(2 * (depth < 1 ? 1 : depth)), "",
                   STR_ARG(l->fields[3]), STR_ARG(l->fields[2]), (long long)number(l->fields[4]));
}

static void text_look(struct buf *out, const struct line *l)
{
        buf_printf(out, "              %.*s %.*s%s%.*s%s%.*s: %.*s%s%.*s", STR_ARG(l->fields[0]),
                   STR_ARG(l->fields[1]), l->fields[1].len ? " " : "", STR_ARG(l->fields[3]),
                   l->fields[3].len ? " " : "", STR_ARG(l->fields[2]), STR_ARG(l->fields[4]),
                   l->fields[5].len ? ", " : "", STR_ARG(l->fields[5]));
        if (l->fields[8].len)
                buf_printf(out, " [line %.*s: %.*s]", STR_ARG(l->fields[8]), STR_ARG(l->fields[9]));
        if (str_eq(l->fields[7], STR("1")))
                buf_append_str(out, STR(" (cached)"));
        else if (number(l->fields[6]))
                buf_printf(out, " (%lld us)", (long long)number(l->fields[6]));
        buf_append_char(out, '\n');
}

/* Was this told with the reply before? */
static bool is_known_fact(const struct line *fact, struct str before)
{
        struct line l;
        while (next_line(&before, &l))
                if (l.kind == 'F' && str_eq(l.fields[0], fact->fields[0]) &&
                    str_eq(l.fields[1], fact->fields[1]))
                        return true;
        return false;
}

void explanation_put_text(struct buf *out, struct str record, struct str before)
{
        struct line l;
        struct str list = STR("");
        while (next_line(&record, &l)) {
                if (l.kind == 'R')
                        text_reply(out, &l);
                else if (l.kind == 'F' && !is_known_fact(&l, before))
                        buf_printf(out, "  %.*s: %.*s\n", STR_ARG(l.fields[0]),
                                   STR_ARG(l.fields[1]));
                else if (l.kind == 'S')
                        text_step(out, &l, &list);
                else if (l.kind == 'L')
                        text_look(out, &l);
                else if (l.kind == 'X')
                        buf_append_str(out, STR("  (there was more than is kept)\n"));
        }
}
