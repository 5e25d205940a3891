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

/* The text that is to be taken apart: the input, or what it is converted to. */
static struct buf *text_of(struct cleanup *c, bool is_all)
{
        if (!c->converter)
                return &c->input;
        if (!c->is_converted) {
                int rc = to_7bit_feed(c->converter, buf_str(&c->input), is_all, &c->converted);
                check(rc == 0);
                c->is_converted = is_all;
                c->stripped = 0;
                buf_clear(&c->input);
        }
        return &c->converted;
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
        cleanup_check_characters(c, field_without_line_end(unit->raw));
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
        bool is_done = is_past_checks(c) && !c->rules->has_stripped;
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
        c->stripped = 0;
        *refusal = c->refusal;
        return CLEANUP_REFUSED;
}

void cleanup_expect_chunks(struct cleanup *c)
{
        c->has_begun = true;
}

/*
 * A mailbox's "From " line in front of the header (any number of ">" before it) is kept as X-Mailbox-Line, as Postfix
 * does: else it would end the header. False: the first line is not all here yet.
 */
static bool begin(struct cleanup *c, bool is_all)
{
        static const struct str name = STR_INIT("X-Mailbox-Line: ");
        enum { LINE_BYTES_MAX = 4096 };
        struct str text = buf_str(&c->input);
        bool has_line =
                text.len > LINE_BYTES_MAX || memchr(text.ptr ? text.ptr : "", '\n', text.len);
        if (!has_line && !is_all)
                return false;
        c->has_begun = true;
        size_t at = 0;
        while (at < text.len && text.ptr[at] == '>')
                at++;
        if (!str_starts(str_tail(text, at), STR("From ")))
                return true;
        struct str line = arena_str(c->arena, text);
        buf_clear(&c->input);
        buf_append_str(&c->input, name);
        buf_append_str(&c->input, line);
        return true;
}

enum cleanup_progress await_cleanup_content(struct cleanup *c, struct buf *out, bool is_all,
                                            struct smtp_reply *refusal)
{
        size_t before = out->len;
        enum cleanup_progress progress = CLEANUP_DONE;
        struct mime_unit unit;
        c->out = out;
        cleanup_strip(c);
        if (!c->has_begun && !begin(c, is_all))
                return CLEANUP_DONE;
        struct buf *in = text_of(c, is_all);
        struct str text = buf_str(in);
        while (!c->is_refused) {
                if (is_past_checks(c)) {
                        struct str part = str_part(text, 0, CLEANUP_STEP_BYTES);
                        if (part.len)
                                put_owed_blank(c);
                        cleanup_put(c, part);
                        text = str_tail(text, part.len);
                        if (text.len == 0)
                                break;
                } else if (!mime_next(&c->mime, &text, is_all, &unit)) {
                        break;
                } else {
                        await_clean_unit(c, &unit);
                }
                if (header_is_too_big(c))
                        cleanup_refuse_size(c);
                if (arena_is_over(c->arena))
                        cleanup_refuse(c, 452, "4.3.1", STR("Insufficient system storage"));
                if (out->len - before >= CLEANUP_STEP_BYTES) {
                        progress = CLEANUP_MORE;
                        break;
                }
        }
        if (c->is_refused)
                return refused(c, refusal);
        buf_consume(in, in->len - text.len);
        c->stripped = c->input.len;
        return progress;
}
