/*
 * change.c - what a filter wants changed, kept until its turn is over
 *
 * Changes come one by one, and a filter may fail behind any of them. So they are read and looked at as they come, and made
 * when the filter has said that it is done: all of them, or, when it fails, none. A new body waits likewise, in a draft
 * (milter_doors).
 *
 * What cannot be made then is not the filter's fault (a table cannot be asked): the message is refused for now, whatever
 * the default action is.
 */
#include "milter/milter_private.h"

#include "base/log.h"

#include <errno.h>

struct milter_change {
        struct milter_change *next;
        char command;
        uint32_t index;
        struct str name, text; /* field and value; address and parameters; a reason */
};

/* ---- as they come ---- */

/* An address as filters write it: with <> or without. */
static bool is_address(const struct milter_changes *c, struct str text)
{
        struct smtp_address address;
        return smtp_address_parse(text, c->arena, &address) == 0;
}

static const char *fault_of(const struct milter_changes *c, const struct milter_reply *r)
{
        switch (r->command) {
        case 'h':
        case 'i':
        case 'm':
                return milter_field_name_is_valid(r->name)
                               ? NULL
                               : "a header field with a name that is none";
        case '+':
        case '2':
        case '-':
        case 'e':
                return is_address(c, r->name) ? NULL : "an address that is none";
        default:
                return NULL;
        }
}

void milter_changes_init(struct milter_changes *c, struct arena *arena)
{
        *c = (struct milter_changes){.arena = arena, .last = &c->first};
}

const char *milter_changes_add(struct milter_changes *c, const struct milter_reply *r)
{
        size_t bytes = r->name.len + r->text.len;
        if (c->count == MILTER_EDITS_MAX || bytes > MILTER_HEADER_BYTES_MAX - c->bytes)
                return "too many changes";
        const char *fault = fault_of(c, r);
        if (fault)
                return fault;
        struct milter_change *change = arena_new(c->arena, struct milter_change);
        *change = (struct milter_change){.command = r->command,
                                         .index = r->index,
                                         .name = arena_str(c->arena, r->name),
                                         .text = arena_str(c->arena, r->text)};
        *c->last = change;
        c->last = &change->next;
        c->count++;
        c->bytes += bytes;
        return NULL;
}

/* ---- made: the header, in a copy ---- */

/* The field as it goes in, by milter_header_checks. False: it does not, or *result says that the message does not. */
static bool await_field(const struct milter_apply *a, const struct milter_change *change,
                        struct milter_made *made, enum filter_result *result)
{
        bool is_deletion = change->command == 'm' && change->text.len == 0;
        *made = (struct milter_made){.before = STR(""), .field = STR("")};
        if (is_deletion)
                return true;
        made->field =
                milter_field_make(a->changes->arena, change->name, change->text, a->has_space);
        if (!a->doors->await_field(a->doors->context, made, a->refusal)) {
                *result = FILTER_REFUSES;
                return false;
        }
        return made->field.len > 0;
}

static bool put_field(struct milter_header *h, const struct milter_change *change,
                      const struct milter_made *made)
{
        switch (change->command) {
        case 'h':
                return milter_header_add(h, made);
        case 'i':
                return milter_header_insert(h, change->index, made);
        default:
                return milter_header_change(h, change->index, change->name, made);
        }
}

/* 0; or -E2BIG: too many fields. */
static int await_header(const struct milter_apply *a, struct milter_header *h,
                        enum filter_result *result)
{
        for (const struct milter_change *c = a->changes->first; c && *result != FILTER_REFUSES;
             c = c->next) {
                struct milter_made made;
                if (c->command != 'h' && c->command != 'i' && c->command != 'm')
                        continue;
                if (await_field(a, c, &made, result) && !put_field(h, c, &made))
                        return -E2BIG;
        }
        return 0;
}

/* ---- made: the envelope ---- */

static int await_envelope_change(const struct milter_apply *a, const struct milter_change *c,
                                 struct why *why)
{
        const struct milter_doors *doors = a->doors;
        switch (c->command) {
        case '+':
        case '2':
                return doors->await_recipient_add(doors->context, c->name, c->text, why);
        case '-':
                return doors->recipient_remove(doors->context, c->name, why);
        case 'e':
                return doors->await_sender(doors->context, c->name, c->text, why);
        default:
                return 0;
        }
}

static bool await_envelope(const struct milter_apply *a)
{
        for (const struct milter_change *c = a->changes->first; c; c = c->next) {
                struct why why;
                if (await_envelope_change(a, c, &why) == 0)
                        continue;
                log_warning("cleanup", "milter %.*s: %s", STR_ARG(a->filter), why.text);
                *a->refusal = smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
                return false;
        }
        return true;
}

static void log_quarantine(const struct milter_apply *a, struct str reason)
{
        char text[400];
        size_t len = 0;
        reason = str_part(reason, 0, sizeof(text) - 1);
        for (size_t i = 0; i < reason.len; i++) {
                unsigned char c = (unsigned char)reason.ptr[i];
                text[len++] = c < ' ' || c == 0x7f ? '?' : reason.ptr[i];
        }
        struct smtp_reply reply = {.text = str_make(text, len)};
        policy_log_refusal("milter-hold", POLICY_AT_END_OF_DATA, a->facts, &reply);
}

static void hold(const struct milter_apply *a)
{
        for (const struct milter_change *c = a->changes->first; c; c = c->next) {
                if (c->command != 'q')
                        continue;
                log_quarantine(a, c->name);
                a->effects->is_held = true;
        }
}

int await_milter_changes(const struct milter_apply *a, enum filter_result *result, struct why *why)
{
        struct milter_header changed;
        int rc = milter_header_copy(a->header, &changed);
        if (rc == 0)
                rc = await_header(a, &changed, result);
        if (rc < 0)
                return why_set(why, rc, "%.*s: too many header fields", STR_ARG(a->filter));
        if (*result == FILTER_REFUSES)
                return 0;
        if (a->effects->is_discarded) { /* by milter_header_checks */
                *result = FILTER_DISCARDS;
                return 0;
        }
        rc = a->has_body ? a->doors->await_body_end(a->doors->context, why) : 0;
        if (rc < 0)
                return rc;
        *a->header = changed;
        hold(a);
        if (!await_envelope(a))
                *result = FILTER_REFUSES;
        return 0;
}
