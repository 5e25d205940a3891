/*
 * outgoing.c - a message on its way to a server: addresses by smtp_generic_maps, fields and lines by smtp_header_checks and its kin
 *
 * As in Postfix's client: a field goes through the checks first, and what they leave, when it is of the message's own
 * header, through the map. Without checks that see parts, all behind the first header passes as it is.
 *
 * Of the actions of header_checks(5) the client has those that change the text (PREPEND, REPLACE, IGNORE, STRIP) or
 * write a log line (INFO, WARN). Those that would decide about the message come too late, and are passed over with a
 * warning, as in Postfix. A word that nobody knows, and text that PREPEND or REPLACE cannot use, is a mistake: the
 * message waits (Postfix: sends it).
 */
#include "cleanup/outgoing.h"

#include "base/check.h"
#include "base/log.h"
#include "cleanup/cleanup_private.h"

#include <errno.h>

enum {
        FIELD_BYTES_MAX =
                100 << 10, /* of a field that is held in memory; header_size_limit may be less */
        STEP_BYTES = 16 << 10, /* of output, then it is sent */
        LOGGED_BYTES_MAX = 60, /* of a field or line; as Postfix's client */
};

struct outgoing_rules {
        const struct params *params;
        const char *service; /* in the log */
        const char *prefix;  /* of parameters: "smtp" */
        struct address_maps generic;
        bool maps;                    /* generic has tables */
        struct table_list *checks[4]; /* by enum check_kind, up to CHECK_BODY */
        const char *check_names[4];   /* their parameters */
        bool looks_at_parts;          /* some check wants what is behind the first header */
        struct mime_limits limits;
};

/* ---- rules ---- */

static struct table_list *open_list(const struct config *c, struct table_set *tables,
                                    struct str text, struct findings *findings, bool *has_error)
{
        struct table_list *list = table_list_open(tables, text, config_place_of(c, text), findings);
        *has_error |= !list;
        return list;
}

static bool propagates_generic(const struct params *p)
{
        struct str rest = p->propagate_unmatched_extensions;
        struct str word;
        bool has = false;
        while (config_list_next(&rest, &word))
                has |= str_eq_nocase(word, STR("generic"));
        return has;
}

static bool is_any(const struct params *p) /* lmtp_* stand in smtp_* by now */
{
        return p->smtp_generic_maps.len || p->smtp_header_checks.len ||
               p->smtp_mime_header_checks.len || p->smtp_nested_header_checks.len ||
               p->smtp_body_checks.len;
}

struct outgoing_rules *outgoing_rules_new(const struct config *c, const struct params *p,
                                          bool is_lmtp, struct str service,
                                          struct table_set *tables, struct policy *policy,
                                          struct arena *arena, struct findings *findings)
{
        if (!is_any(p))
                return NULL;
        struct outgoing_rules *r = arena_new(arena, struct outgoing_rules);
        const struct str texts[4] = {p->smtp_header_checks, p->smtp_mime_header_checks,
                                     p->smtp_nested_header_checks, p->smtp_body_checks};
        static const char *const suffixes[4] = {"header_checks", "mime_header_checks",
                                                "nested_header_checks", "body_checks"};
        const char *prefix = is_lmtp ? "lmtp" : "smtp";
        bool has_error = false;
        r->params = p;
        r->service = arena_str(arena, service).ptr;
        r->generic = (struct address_maps){
                .name = is_lmtp ? "lmtp_generic_maps" : "smtp_generic_maps",
                .tables = open_list(c, tables, p->smtp_generic_maps, findings, &has_error),
                .policy = policy,
                .params = p,
                .propagates_extensions = propagates_generic(p),
        };
        for (size_t i = 0; i < 4; i++) {
                r->checks[i] = open_list(c, tables, texts[i], findings, &has_error);
                r->check_names[i] = arena_printf(arena, "%s_%s", prefix, suffixes[i]).ptr;
        }
        if (has_error)
                return NULL;
        r->maps = !table_list_is_empty(r->generic.tables);
        for (size_t i = CHECK_MIME; i <= CHECK_BODY; i++)
                r->looks_at_parts |= !table_list_is_empty(r->checks[i]);
        r->limits = (struct mime_limits){
                .field_bytes_max = FIELD_BYTES_MAX,
                .line_bytes_max = (size_t)p->line_length_limit,
                .boundary_bytes_max = (size_t)p->mime_boundary_length_limit,
                .nesting_max = (size_t)p->mime_nesting_limit,
        };
        return r;
}

/* ---- addresses ---- */

bool outgoing_maps_envelope(const struct outgoing_rules *r)
{
        return r->maps;
}

struct mapping {
        const struct outgoing_rules *rules;
        struct arena *arena;
};

static int await_mapped(void *context, const struct smtp_address *given, struct smtp_address *out,
                        struct why *why)
{
        const struct mapping *m = context;
        *out = *given;
        return await_address_map(&m->rules->generic, given, m->arena, out, why) == TABLE_ERROR
                       ? -EAGAIN
                       : 0;
}

int await_outgoing_address(const struct outgoing_rules *r, struct str address, struct arena *arena,
                           struct str *out, struct why *why)
{
        struct mapping m = {r, arena};
        struct smtp_address given;
        struct smtp_address mapped;
        *out = address;
        if (!r->maps || str_is_empty(address) || smtp_address_parse(address, arena, &given))
                return 0;
        int rc = await_mapped(&m, &given, &mapped, why);
        if (rc == 0)
                *out = mapped.text;
        return rc;
}

/* ---- checks ---- */

/* A field or line, and what its table said. */
struct outgoing_match {
        struct outgoing *o;
        enum check_kind kind;
        struct str text;    /* as asked */
        struct str word;    /* "REPLACE" */
        struct str rest;    /* what follows it */
        struct str instead; /* of CHECK_REPLACES */
        struct buf *out;
        struct why *why;
        int code; /* an error; 0 */
};

typedef enum check_result outgoing_action(struct outgoing_match *m);

/* "replace: header Subject: ...: X-New: ..." */
static void log_match(const struct outgoing_match *m, const char *what)
{
        struct str text = str_part(m->text, 0, LOGGED_BYTES_MAX);
        log_mail(LOG_LEVEL_INFO, m->o->rules->service, m->o->queue_id, "%s: %s %.*s%s%.*s", what,
                 m->kind == CHECK_BODY ? "body" : "header", STR_ARG(text), m->rest.len ? ": " : "",
                 STR_ARG(m->rest));
}

static enum check_result fail(struct outgoing_match *m, const char *cure)
{
        m->code = why_set(m->why, -EINVAL, "%s: \"%.*s%s%.*s\": %s",
                          m->o->rules->check_names[m->kind], STR_ARG(str_part(m->word, 0, 100)),
                          m->rest.len ? " " : "", STR_ARG(str_part(m->rest, 0, 200)), cure);
        return CHECK_KEEPS;
}

static enum check_result act_dunno(struct outgoing_match *m)
{
        return CHECK_KEEPS;
}

static enum check_result act_info(struct outgoing_match *m)
{
        log_match(m, "info");
        return CHECK_KEEPS;
}

static enum check_result act_warn(struct outgoing_match *m)
{
        log_match(m, "warning");
        return CHECK_KEEPS;
}

static enum check_result act_ignore(struct outgoing_match *m)
{
        return CHECK_DROPS;
}

static enum check_result act_strip(struct outgoing_match *m)
{
        log_match(m, "strip");
        return CHECK_DROPS;
}

static bool is_usable(const struct outgoing_match *m)
{
        return m->kind == CHECK_BODY ? m->rest.len > 0 : field_is_one(m->rest);
}

static enum check_result act_prepend(struct outgoing_match *m)
{
        if (!is_usable(m))
                return fail(m, "a header line must follow, as in PREPEND X-Seen: yes");
        log_match(m, "prepend");
        m->code = buf_append_str(m->out, field_from_table(m->rest, &m->o->arena));
        return CHECK_KEEPS;
}

static enum check_result act_replace(struct outgoing_match *m)
{
        if (!is_usable(m))
                return fail(m, "a header line must follow, as in REPLACE X-Seen: yes");
        log_match(m, "replace");
        m->instead = field_from_table(m->rest, &m->o->arena);
        return CHECK_REPLACES;
}

static enum check_result act_too_late(struct outgoing_match *m)
{
        log_warning(m->o->rules->service,
                    "%s: %.*s is not supported here: the text passes as it is",
                    m->o->rules->check_names[m->kind], STR_ARG(m->word));
        return CHECK_KEEPS;
}

static const struct {
        struct str word;
        outgoing_action *act;
} actions[] = {
        {STR_INIT("PREPEND"), act_prepend},   {STR_INIT("REPLACE"), act_replace},
        {STR_INIT("IGNORE"), act_ignore},     {STR_INIT("STRIP"), act_strip},
        {STR_INIT("INFO"), act_info},         {STR_INIT("WARN"), act_warn},
        {STR_INIT("DUNNO"), act_dunno},       {STR_INIT("OK"), act_dunno},
        {STR_INIT("REJECT"), act_too_late},   {STR_INIT("DISCARD"), act_too_late},
        {STR_INIT("HOLD"), act_too_late},     {STR_INIT("PASS"), act_too_late},
        {STR_INIT("REDIRECT"), act_too_late}, {STR_INIT("FILTER"), act_too_late},
        {STR_INIT("BCC"), act_too_late},
};

static enum check_result act(struct outgoing_match *m, struct str value)
{
        value = str_trim(value);
        str_next_word(&value, " \t", &m->word);
        m->rest = str_trim(value);
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (str_eq_nocase(m->word, actions[i].word))
                        return actions[i].act(m);
        return fail(m, "no such action");
}

/* Empty lines are never asked about, as in Postfix. */
static enum check_result await_look(struct outgoing_match *m)
{
        const struct outgoing_rules *r = m->o->rules;
        struct str value;
        if (m->text.len == 0 || table_list_is_empty(r->checks[m->kind]))
                return CHECK_KEEPS;
        switch (await_table_list_find(r->checks[m->kind], m->text, &m->o->arena, &value, m->why)) {
        case TABLE_NOT_FOUND:
                return CHECK_KEEPS;
        case TABLE_FOUND:
                return act(m, value);
        case TABLE_ERROR:
                break;
        }
        m->code = why_prefix(m->why, -EAGAIN, "%s", r->check_names[m->kind]);
        return CHECK_KEEPS;
}

/* ---- units ---- */

/* The field's addresses by smtp_generic_maps, where they are the message's own. */
static int await_put_field(struct outgoing *o, const struct mime_unit *unit, struct str raw,
                           struct buf *out, struct why *why)
{
        struct header_field field;
        struct str header = raw;
        struct mapping m = {o->rules, &o->arena};
        if (!o->rules->maps || unit->kind != MIME_PRIMARY_FIELD || unit->is_cut ||
            !header_next(&header, &field))
                return buf_append_str(out, raw);
        const struct known_field *known = field_find(field.name);
        if (!known || !known->use)
                return buf_append_str(out, raw);
        return await_field_rewrite(raw, (size_t)(field.value.ptr - raw.ptr), await_mapped, &m,
                                   &o->arena, out, why);
}

static int await_field(struct outgoing *o, const struct mime_unit *unit, struct buf *out,
                       struct why *why)
{
        struct outgoing_match m = {
                .o = o,
                .kind = field_check_kind(unit),
                .text = field_text_for_checks(
                        unit->field.raw, (size_t)o->rules->params->header_size_limit, &o->scratch),
                .out = out,
                .why = why,
        };
        enum check_result result = await_look(&m);
        o->drops_rest = result != CHECK_KEEPS;
        if (m.code < 0 || result == CHECK_DROPS)
                return m.code;
        return await_put_field(o, unit, result == CHECK_REPLACES ? m.instead : unit->raw, out, why);
}

static int await_line(struct outgoing *o, const struct mime_unit *unit, struct buf *out,
                      struct why *why)
{
        int64_t limit = o->rules->params->body_checks_size_limit;
        struct outgoing_match m = {
                .o = o,
                .kind = CHECK_BODY,
                .text = field_without_line_end(unit->raw),
                .out = out,
                .why = why,
        };
        enum check_result result = CHECK_KEEPS;
        if (limit == 0 || unit->offset < (uint64_t)limit)
                result = await_look(&m);
        if (m.code < 0 || result == CHECK_DROPS)
                return m.code;
        return buf_append_str(out, result == CHECK_REPLACES ? m.instead : unit->raw);
}

static int await_unit(struct outgoing *o, const struct mime_unit *unit, struct buf *out,
                      struct why *why)
{
        switch (unit->kind) {
        case MIME_PRIMARY_FIELD:
        case MIME_PART_FIELD:
        case MIME_NESTED_FIELD:
                return await_field(o, unit, out, why);
        case MIME_FIELD_REST:
                return o->drops_rest ? 0 : buf_append_str(out, unit->raw);
        case MIME_HEADER_END:
                o->has_header = true;
                return buf_append_str(out, unit->raw);
        case MIME_BODY_LINE:
                return await_line(o, unit, out, why);
        }
        return 0;
}

/* ---- content ---- */

void outgoing_init(struct outgoing *o, const struct outgoing_rules *r, const char *queue_id)
{
        *o = (struct outgoing){.rules = r, .queue_id = queue_id};
        mime_init(&o->mime, &r->limits);
        buf_init(&o->input, FIELD_BYTES_MAX + 2 * OUTGOING_PIECE_BYTES_MAX +
                                    (size_t)r->params->line_length_limit);
        buf_init(&o->scratch, FIELD_BYTES_MAX + 1);
        arena_init(&o->arena, 0);
}

void outgoing_done(struct outgoing *o)
{
        mime_done(&o->mime);
        buf_done(&o->input);
        buf_done(&o->scratch);
        arena_done(&o->arena);
}

/* Nothing of what follows is looked at. */
static bool is_past_checks(const struct outgoing *o)
{
        return o->has_header && !o->rules->looks_at_parts;
}

enum outgoing_progress await_outgoing_content(struct outgoing *o, struct str piece, bool is_all,
                                              struct buf *out, struct why *why)
{
        size_t before = out->len;
        struct mime_unit unit;
        int rc = buf_append_str(&o->input, piece);
        check(rc == 0 && piece.len <= OUTGOING_PIECE_BYTES_MAX);
        struct str text = buf_str(&o->input);
        while (rc == 0 && out->len - before < STEP_BYTES) {
                arena_clear(&o->arena);
                if (is_past_checks(o)) {
                        rc = buf_append_str(out, text);
                        text = STR("");
                        break;
                }
                if (!mime_next(&o->mime, &text, is_all, &unit))
                        break;
                rc = await_unit(o, &unit, out, why);
        }
        if (rc == -ENOBUFS)
                why_set(why, rc, "a header line grows over %d bytes", (int)OUTGOING_ROOM_BYTES);
        if (rc < 0)
                return OUTGOING_FAILED;
        buf_consume(&o->input, o->input.len - text.len);
        return out->len - before >= STEP_BYTES ? OUTGOING_MORE : OUTGOING_DONE;
}
