/*
 * cleanup.c - a message's text on its way through: taken apart, checked, put together again
 *
 * Text stands in `input` until a whole field or line of it is there, goes through the checks, and
 * then to the output. As soon as nothing is left that could want to see it (no body checks, no
 * strict rules, PASS), the rest goes to the output without a stop here.
 */
#include "base/check.h"
#include "base/log.h"
#include "cleanup/cleanup_private.h"
#include "smtp/grammar.h"

#include <stdlib.h>

enum {
        INPUT_BYTES_MAX = 256 << 10,
        CONVERTED_BYTES_MAX = 5 * INPUT_BYTES_MAX + TO_7BIT_SPARE_BYTES,
};

/* force_mime_input_conversion: what says 8bit is made quoted-printable before anybody looks at it */
static void begin_conversion(struct cleanup *c)
{
        if (!c->params->force_mime_input_conversion || c->params->disable_mime_input_processing)
                return;
        c->converter = malloc(sizeof(*c->converter));
        check(c->converter);
        to_7bit_init(c->converter);
        buf_init(&c->converted, CONVERTED_BYTES_MAX);
}

static void end_conversion(struct cleanup *c)
{
        if (!c->converter)
                return;
        to_7bit_done(c->converter);
        free(c->converter);
        buf_done(&c->converted);
}

/* What can be taken of the input is converted. */
static void convert(struct cleanup *c, bool is_all)
{
        if (c->is_converted)
                return;
        while (!c->is_refused && cleanup_input_take(c, is_all))
                ;
        struct str clean = str_part(buf_str(&c->input), 0, c->seen);
        int rc = to_7bit_feed(c->converter, clean, is_all, &c->converted);
        check(rc == 0);
        c->is_converted = is_all;
        cleanup_input_end(c, 0);
}

struct cleanup *cleanup_new(const struct cleanup_work *work)
{
        struct cleanup *c = calloc(1, sizeof(*c));
        check(c);
        c->work = *work;
        c->rules = cleanup_rules_ref(work->rules);
        c->work.rules = NULL;
        c->params = c->rules->params;
        c->arena = work->arena;
        buf_init(&c->input, INPUT_BYTES_MAX);
        buf_init(&c->scratch, CLEANUP_UNIT_BYTES_MAX * 2);
        mime_init(&c->mime, &c->rules->limits);
        begin_conversion(c);
        return c;
}

void cleanup_free(struct cleanup **cp)
{
        struct cleanup *c = *cp;
        *cp = NULL;
        if (!c)
                return;
        struct cleanup_rules *rules = (struct cleanup_rules *)(uintptr_t)c->rules;
        cleanup_rules_unref(&rules);
        end_conversion(c);
        mime_done(&c->mime);
        buf_done(&c->input);
        buf_done(&c->scratch);
        free(c);
}

bool cleanup_has_utf8_header(const struct cleanup *c)
{
        return c->has_utf8_header;
}

/* ---- what is shared ---- */

void cleanup_announce(struct cleanup *c, struct str rule)
{
        if (!c->is_refused && c->work.refuses)
                c->work.refuses(c->work.context, rule);
}

void cleanup_refuse(struct cleanup *c, int code, const char *enhanced, struct str text)
{
        if (c->is_refused)
                return;
        c->is_refused = true;
        c->refusal = smtp_reply_make(code, enhanced, text);
}

void cleanup_refuse_size(struct cleanup *c)
{
        cleanup_refuse(c, 552, "5.3.4", STR("Error: message header too big"));
}

void cleanup_put(struct cleanup *c, struct str text)
{
        if (buf_append_str(c->out, text) < 0)
                cleanup_refuse_size(c);
}

void cleanup_put_lines(struct cleanup *c, struct str text)
{
        while (text.len) {
                struct str line = str_cut(&text, '\n');
                if (str_ends(line, STR("\r")))
                        line.len--;
                cleanup_put(c, line);
                cleanup_put(c, STR("\r\n"));
        }
}

/* ---- bodies ---- */

static void await_clean_line(struct cleanup *c, const struct mime_unit *unit)
{
        int64_t limit = c->params->body_checks_size_limit;
        bool is_looked_at = !c->is_passed && (limit == 0 || unit->offset < (uint64_t)limit);
        if (!is_looked_at ||
            (c->rules->body_checks && table_list_is_empty(c->rules->body_checks))) {
                cleanup_put(c, unit->raw);
                return;
        }
        struct str instead;
        switch (await_check_text(c, CHECK_BODY, field_without_line_end(unit->raw), &instead)) {
        case CHECK_KEEPS:
                cleanup_put(c, unit->raw);
                break;
        case CHECK_DROPS:
                break;
        case CHECK_REPLACES:
                cleanup_put_lines(c, instead);
                break;
        }
}

/* ---- units ---- */

static void check_faults(struct cleanup *c, const struct mime_unit *unit)
{
        unsigned faults = unit->faults & c->rules->faults_refused;
        if (c->work.envelope->smtputf8) /* RFC 6532: headers may be UTF-8 */
                faults &= ~(unsigned)MIME_FAULT_8BIT_HEADER;
        if (faults && !c->is_passed)
                cleanup_refuse_fault(c, faults, field_without_line_end(unit->raw));
}

static void put_owed_blank(struct cleanup *c)
{
        if (c->owes_blank)
                cleanup_put(c, STR("\r\n"));
        c->owes_blank = false;
}

/* The first header is over: may a part, or a message inside, say that it has eight bits? */
static void note_type(struct cleanup *c)
{
        if (!c->has_header)
                c->is_composite = c->params->detect_8bit_encoding_header &&
                                  !c->params->disable_mime_input_processing &&
                                  (c->mime.depth || c->mime.place == MIME_NESTED_FIELD);
}

static void await_clean_unit(struct cleanup *c, const struct mime_unit *unit)
{
        check_faults(c, unit);
        if (unit->kind != MIME_HEADER_END)
                put_owed_blank(c);
        if (!c->has_header && !smtp_text_is_ascii(unit->raw))
                c->has_utf8_header = true;
        if (unit->kind != MIME_FIELD_REST)
                c->header_bytes += c->has_header ? 0 : unit->raw.len;
        switch (unit->kind) {
        case MIME_PRIMARY_FIELD:
        case MIME_PART_FIELD:
        case MIME_NESTED_FIELD:
                c->drops_rest = false;
                await_clean_field(c, unit);
                break;
        case MIME_FIELD_REST:
                if (!c->drops_rest)
                        cleanup_put(c, unit->raw);
                break;
        case MIME_HEADER_END:
                if (!c->has_header)
                        await_clean_header_end(c);
                /* "text at once": without a blank line it would become a part of our header */
                c->owes_blank = !c->has_header && unit->raw.len == 0;
                note_type(c);
                c->has_header = true;
                cleanup_put(c, unit->raw);
                break;
        case MIME_BODY_LINE:
                await_clean_line(c, unit);
                break;
        }
}

/* ---- content ---- */

/* Nothing of what follows is looked at. */
static bool is_past_checks(const struct cleanup *c)
{
        if (c->converter || !c->has_header ||
            (c->is_composite && c->work.envelope->body != SMTP_BODY_8BITMIME))
                return false;
        return c->is_passed || !c->rules->looks_at_parts;
}

struct buf *cleanup_input(struct cleanup *c)
{
        bool has_sets = c->rules->has_stripped || c->rules->has_rejected;
        bool is_done = is_past_checks(c) && (c->is_passed || !has_sets);
        return is_done && !c->owes_blank && c->input.len == 0 ? NULL : &c->input;
}

size_t cleanup_waiting_bytes(const struct cleanup *c)
{
        return c->input.len + (c->converter ? c->converted.len : 0);
}

static bool header_is_too_big(const struct cleanup *c)
{
        return !c->has_header && c->header_bytes > (size_t)c->params->large_message_threshold;
}

static enum cleanup_progress refused(struct cleanup *c, struct smtp_reply *refusal)
{
        buf_clear(&c->input);
        if (c->converter)
                buf_clear(&c->converted);
        c->seen = c->raw = 0;
        *refusal = c->refusal;
        return CLEANUP_REFUSED;
}

void cleanup_expect_chunks(struct cleanup *c)
{
        c->mailbox.is_past = true;
}

/*
 * More of the input, behind *text. In a header all lines of a fold come at once: they make nothing whole, and a field of many
 * lines is not looked at again for each. False: there is no more.
 */
static bool take(struct cleanup *c, bool is_all, struct str *text)
{
        size_t from = c->seen - text->len;
        size_t line;
        bool has_any = false;
        bool is_fold = true;
        while (!c->converter && !c->is_refused && is_fold) {
                line = c->seen;
                if (!cleanup_input_take(c, is_all))
                        break;
                has_any = true;
                is_fold = c->mime.place != MIME_BODY_LINE &&
                          (c->seen == line || char_is_blank(c->input.ptr[line]));
        }
        if (has_any)
                *text = str_make(c->input.ptr + from, c->seen - from);
        return has_any;
}

/* All that is there is taken apart, or as much as is put out at once. */
static enum cleanup_progress await_clean_units(struct cleanup *c, struct str *text, bool is_all)
{
        size_t before = c->out->len;
        struct mime_unit unit;
        while (!c->is_refused) {
                bool is_last = is_all && (c->converter || c->raw == c->input.len);
                if (is_past_checks(c)) {
                        if (text->len == 0 && !take(c, is_all, text))
                                break;
                        struct str part = str_part(*text, 0, CLEANUP_STEP_BYTES);
                        if (part.len)
                                put_owed_blank(c);
                        cleanup_put(c, part);
                        *text = str_tail(*text, part.len);
                } else if (mime_next(&c->mime, text, is_last, &unit)) {
                        await_clean_unit(c, &unit);
                } else if (!take(c, is_all, text)) {
                        break;
                }
                if (header_is_too_big(c))
                        cleanup_refuse_size(c);
                if (arena_is_over(c->arena))
                        cleanup_refuse(c, 452, "4.3.1", STR("Insufficient system storage"));
                if (c->out->len - before >= CLEANUP_STEP_BYTES)
                        return CLEANUP_MORE;
        }
        return CLEANUP_DONE;
}

enum cleanup_progress await_cleanup_content(struct cleanup *c, struct buf *out, bool is_all,
                                            struct smtp_reply *refusal)
{
        c->out = out;
        if (!mailbox_lines_keep(&c->mailbox, &c->input, is_all))
                return CLEANUP_DONE;
        cleanup_input_begin(c);
        if (c->converter)
                convert(c, is_all);
        struct str text =
                c->converter ? buf_str(&c->converted) : str_part(buf_str(&c->input), 0, c->seen);
        enum cleanup_progress progress = await_clean_units(c, &text, is_all);
        if (c->is_refused)
                return refused(c, refusal);
        if (c->converter)
                buf_consume(&c->converted, c->converted.len - text.len);
        else
                cleanup_input_end(c, text.len);
        return progress;
}
