/*
 * header.c - a header field on its way through: checks, then what the message's own header needs
 *
 * Checks come first, in all headers. Of the message's own header then: fields that must not pass
 * are taken out (message_drop_headers, forged results), addresses are rewritten for clients whose headers are
 * (local_header_rewrite_clients, remote_header_rewrite_domain), hops are counted. At its end, what is
 * missing is put in, for the same clients or with always_add_missing_headers.
 */
#include "base/log.h"
#include "cleanup/cleanup_private.h"
#include "cleanup/field.h"

#include <errno.h>

/* The Received line that we put in front counts too, and the limit is the number that is refused (Postfix). */
enum { OUR_HOPS = 1 };

/* ---- what a field says ---- */

static bool is_dropped(const struct cleanup *c, struct str name)
{
        struct str rest = c->params->message_drop_headers;
        struct str word;
        while (config_list_next(&rest, &word))
                if (str_eq_nocase(word, name))
                        return true;
        return false;
}

/* "message-id=..." for the log: unfolded, and no longer than anybody wants to read */
static void log_message_id(struct cleanup *c, const char *what, struct str value)
{
        const struct policy_facts *facts = c->work.facts;
        struct str id =
                str_part(str_trim(header_unfold(str_part(value, 0, 2000), c->arena)), 0, 1000);
        const char *queue_id =
                facts->queue_id.len ? arena_str(c->arena, facts->queue_id).ptr : "NOQUEUE";
        log_mail(LOG_LEVEL_INFO, "cleanup", queue_id, "%s=%.*s", what, STR_ARG(id));
}

/*
 * detect_8bit_encoding_header: a message one header of which says it has eight bits is sent on as if BODY=8BITMIME had said
 * so, and is converted for a server that takes only seven. What the client declared is not taken back.
 */
static void note_encoding(struct cleanup *c, const struct header_field *field)
{
        if (!c->params->detect_8bit_encoding_header ||
            !str_eq_nocase(field->name, STR("Content-Transfer-Encoding")))
                return;
        struct str encoding = str_trim(header_unfold(str_part(field->value, 0, 200), c->arena));
        if (str_eq_nocase(encoding, STR("8bit")) || str_eq_nocase(encoding, STR("binary")))
                c->work.envelope->body = SMTP_BODY_8BITMIME;
}

static void note_field(struct cleanup *c, enum field_note note, const struct header_field *field)
{
        c->is_resent |= str_starts_nocase(field->name, STR("Resent-"));
        switch (note) {
        case NOTE_NONE:
        case NOTE_RESENT:
                break;
        case NOTE_MESSAGE_ID:
                if (!c->has_message_id)
                        log_message_id(c, "message-id", field->value);
                c->has_message_id = true;
                break;
        case NOTE_RESENT_MESSAGE_ID:
                log_message_id(c, "resent-message-id", field->value);
                c->has_resent_message_id = true;
                break;
        case NOTE_DATE:
                c->has_date = true;
                break;
        case NOTE_RESENT_DATE:
                c->has_resent_date = true;
                break;
        case NOTE_FROM:
                c->has_from = true;
                break;
        case NOTE_RESENT_FROM:
                c->has_resent_from = true;
                break;
        case NOTE_VISIBLE_RECIPIENT:
                c->has_visible_recipient = true;
                break;
        case NOTE_RECEIVED:
                if (++c->hops + OUR_HOPS < (size_t)c->params->hopcount_limit)
                        break;
                cleanup_announce(c, cleanup_rule_name(c, "hopcount_limit"));
                cleanup_refuse(c, 554, "5.4.0", STR("Error: too many hops"));
                break;
        }
}

/* ---- addresses ---- */

/* What an address of a header is completed with, and what the field uses it for. */
struct header_rewrite {
        struct cleanup *c;
        unsigned use;
        struct str origin, domain;
};

static int await_header_address(void *context, const struct smtp_address *given,
                                struct smtp_address *out, struct why *why)
{
        const struct header_rewrite *w = context;
        struct cleanup *c = w->c;
        struct smtp_address whole =
                policy_complete(c->params, w->origin, w->domain, given, c->arena);
        if (await_clean_address(c, (enum address_use)w->use, &whole, out, why))
                return why_prefix(why, -EAGAIN, "<%.*s>", STR_ARG(whole.text));
        return 0;
}

static void await_put_rewritten(struct cleanup *c, struct str raw, size_t value_at, unsigned use)
{
        const struct params *p = c->params;
        bool is_local = await_rewrite_context(c) == REWRITE_LOCAL;
        struct header_rewrite w = {
                .c = c,
                .use = use,
                .origin = is_local ? p->myorigin : p->remote_header_rewrite_domain,
                .domain = is_local ? p->mydomain : p->remote_header_rewrite_domain,
        };
        struct why why;
        int rc = await_field_rewrite(raw, value_at, await_header_address, &w, c->arena, c->out,
                                     &why);
        if (rc == -ENOBUFS) {
                cleanup_refuse_size(c);
        } else if (rc < 0) {
                log_warning("cleanup", "%s", why.text);
                cleanup_refuse(c, 451, "4.3.0", STR("Temporary lookup failure"));
        }
}

/* ---- one field ---- */

static void await_put_field(struct cleanup *c, const struct mime_unit *unit, struct str raw)
{
        struct header_field field;
        struct str header = raw;
        bool is_field = header_next(&header, &field);
        if (is_field)
                note_encoding(c, &field);
        if (unit->kind != MIME_PRIMARY_FIELD || !is_field) {
                cleanup_put(c, raw);
                return;
        }
        const struct known_field *known = field_find(field.name);
        if (known)
                note_field(c, known->note, &field);
        if (is_dropped(c, field.name) ||
            policy_is_forged_result(c->rules->policy, c->work.facts, field.name, field.value)) {
                c->drops_rest = true;
                return;
        }
        if (known && known->use && !unit->is_cut && await_rewrite_context(c) != REWRITE_NONE)
                await_put_rewritten(c, raw, (size_t)(field.value.ptr - raw.ptr), known->use);
        else
                cleanup_put(c, raw);
}

/* "Name : value" as "Name: value" (RFC 5322 4.5: blanks there are obsolete); all else as it is. */
static struct str without_blanks(struct cleanup *c, struct str raw, struct str name)
{
        size_t colon = name.len;
        while (colon < raw.len && (raw.ptr[colon] == ' ' || raw.ptr[colon] == '\t'))
                colon++;
        if (colon == name.len || colon == raw.len || raw.ptr[colon] != ':')
                return raw;
        return arena_printf(c->arena, "%.*s%.*s", STR_ARG(name), STR_ARG(str_tail(raw, colon)));
}

/* header_checks and its kin, of one field. False: it is taken out. *raw is what it is then, with line ends. */
static bool await_checks_keep(struct cleanup *c, const struct mime_unit *unit, struct str *raw)
{
        enum check_kind kind = field_check_kind(unit);
        struct str instead = {"", 0};
        enum check_result result = CHECK_KEEPS;
        *raw = unit->raw;
        if (!c->is_passed)
                result = await_check_text(
                        c, kind,
                        field_text_for_checks(unit->field.raw, (size_t)c->params->header_size_limit,
                                              &c->scratch),
                        &instead);
        if (result == CHECK_KEEPS && !c->is_passed && !c->is_refused)
                result = await_check_decoded(c, kind, &unit->field, &instead);
        if (result == CHECK_REPLACES)
                *raw = field_from_table(instead, c->arena);
        c->drops_rest = result != CHECK_KEEPS;
        return result != CHECK_DROPS;
}

void await_clean_field(struct cleanup *c, const struct mime_unit *unit)
{
        struct mime_unit given = *unit;
        struct str raw;
        given.raw = without_blanks(c, unit->raw, unit->field.name);
        given.field.raw = without_blanks(c, unit->field.raw, unit->field.name);
        if (await_checks_keep(c, &given, &raw))
                await_put_field(c, &given, raw);
}

void await_cleanup_front(struct cleanup *c, struct str lines, struct buf *out)
{
        struct mime_unit unit = {.kind = MIME_PRIMARY_FIELD};
        c->out = out;
        while (!c->is_refused && header_next(&lines, &unit.field)) {
                struct str raw;
                unit.raw = str_make(unit.field.raw.ptr, unit.field.raw.len + strlen("\r\n"));
                if (await_checks_keep(c, &unit, &raw))
                        cleanup_put(c, raw);
        }
        c->drops_rest = false;
        /* what is no field, if a rule made such a thing, is the table's own */
        cleanup_put(c, lines);
}

/* ---- what is missing ---- */

static void put_date(struct cleanup *c, const char *name)
{
        char date[DATE_BYTES_MAX];
        date_format(c->work.envelope->arrival_us, date);
        cleanup_put(c, arena_printf(c->arena, "%s: %s\r\n", name, date));
}

/* Postfix's form: the queue id, which makes it the only one. */
static void put_message_id(struct cleanup *c, const char *name)
{
        struct str id = arena_printf(c->arena, "<%.*s@%.*s>", STR_ARG(c->work.facts->queue_id),
                                     STR_ARG(c->params->outside_name));
        cleanup_put(c, arena_printf(c->arena, "%s: %.*s\r\n", name, STR_ARG(id)));
        log_message_id(c, c->is_resent ? "resent-message-id" : "message-id", id);
}

static void put_from(struct cleanup *c, const char *name)
{
        struct str sender = c->work.envelope->sender;
        if (str_is_empty(sender))
                sender = arena_printf(c->arena, "MAILER-DAEMON@%.*s", STR_ARG(c->params->myorigin));
        cleanup_put(c, arena_printf(c->arena, "%s: %.*s\r\n", name, STR_ARG(sender)));
}

/* undisclosed_recipients_header, when it is one */
static void put_undisclosed(struct cleanup *c)
{
        struct str text = str_trim(c->params->undisclosed_recipients_header);
        struct str rest = text;
        struct header_field field;
        if (header_next(&rest, &field) && str_find(text, '\n') < 0)
                cleanup_put(c, arena_printf(c->arena, "%.*s\r\n", STR_ARG(text)));
}

static void put_missing(struct cleanup *c)
{
        bool has_id = c->is_resent ? c->has_resent_message_id : c->has_message_id;
        bool has_date = c->is_resent ? c->has_resent_date : c->has_date;
        bool has_from = c->is_resent ? c->has_resent_from : c->has_from;
        if (!has_id)
                put_message_id(c, c->is_resent ? "Resent-Message-Id" : "Message-Id");
        if (!has_date)
                put_date(c, c->is_resent ? "Resent-Date" : "Date");
        if (!has_from)
                put_from(c, c->is_resent ? "Resent-From" : "From");
        if (!c->has_visible_recipient)
                put_undisclosed(c);
}

void await_clean_header_end(struct cleanup *c)
{
        bool adds = c->params->always_add_missing_headers ||
                    await_rewrite_context(c) == REWRITE_LOCAL || c->context == REWRITE_REMOTE;
        if (adds && !c->is_refused) {
                put_missing(c);
        } else if (!c->has_message_id && !c->is_refused) {
                log_message_id(c, "message-id", (struct str){"", 0});
        }
}
