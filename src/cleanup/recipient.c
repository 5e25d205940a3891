/*
 * recipient.c - the envelope: sender, recipients, copies, and where rules send the message
 *
 * A recipient is cleaned (address.c) and then expanded by virtual_alias_maps. Two that become one are
 * two deliveries, as each was asked for, unless enable_original_recipient = no. Copies are recipients
 * whose sender is told nothing of them (NOTIFY=NEVER); who gets the message anyway needs none. REDIRECT takes the place of all recipients;
 * it is stronger than FILTER, and FILTER is stronger than content_filter (header_checks(5)).
 */
#include "base/log.h"
#include "cleanup/cleanup_private.h"

#include <errno.h>

enum recipient_kind { AS_ASKED_FOR, COPY };

static const char *queue_id(const struct cleanup *c)
{
        struct str id = c->work.facts->queue_id;
        return id.len ? arena_str(c->arena, id).ptr : "NOQUEUE";
}

static struct smtp_address complete(struct cleanup *c, const struct smtp_address *address)
{
        return policy_complete(c->params, c->params->myorigin, c->params->mydomain, address,
                               c->arena);
}

static bool fail(struct cleanup *c, const struct smtp_address *address, int error,
                 const struct why *why, struct smtp_reply *refusal)
{
        log_warning("cleanup", "%s: <%.*s>: %s", queue_id(c), STR_ARG(address->text), why->text);
        *refusal = error == -ELOOP ? smtp_reply_make(451, "4.6.0", STR("Alias expansion error"))
                                   : smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
        return false;
}

bool await_cleanup_sender(struct cleanup *c, const struct smtp_address *sender,
                          struct smtp_reply *refusal)
{
        struct smtp_address whole = complete(c, sender);
        struct smtp_address clean;
        struct why why;
        int rc = await_clean_address(c, USE_ENVELOPE_SENDER, &whole, &clean, &why);
        if (rc)
                return fail(c, sender, rc, &why, refusal);
        c->work.envelope->sender = arena_str(c->arena, clean.text);
        return true;
}

/* ---- copies ---- */

/* The copy that a map wants for this address is noted; await_cleanup_end() adds it. 0 or -EAGAIN. */
static int await_note_copy(struct cleanup *c, struct table_list *maps, const char *name,
                           const struct smtp_address *of, struct why *why)
{
        struct smtp_address copy;
        struct str value;
        struct table_address key;
        if (!maps)
                return why_set(why, -EAGAIN, "%s could not be opened", name);
        if (table_list_is_empty(maps) || str_is_empty(of->text))
                return 0;
        int rc = await_address_key(c->rules->policy, c->params, of, c->arena, &key, why);
        if (rc)
                return rc;
        switch (await_table_list_find_address(maps, &key, c->arena, &value, NULL, why)) {
        case TABLE_NOT_FOUND:
                return 0;
        case TABLE_ERROR:
                return why_prefix(why, -EAGAIN, "%s", name);
        case TABLE_FOUND:
                break;
        }
        if (smtp_address_parse(value, c->arena, &copy) || str_is_empty(copy.text))
                return why_set(why, -EAGAIN, "%s: \"%.*s\" is no address", name,
                               STR_ARG(str_part(value, 0, 200)));
        if (!policy_effects_add_bcc(&c->copies, &copy, c->arena))
                return why_set(why, -EAGAIN, "%s: too many different copies of one message", name);
        return 0;
}

/* ---- recipients ---- */

/* Does somebody get the message there anyway? Copies are few: they may look at all. */
static bool is_recipient(const struct envelope *e, struct str address)
{
        for (size_t i = 0; i < e->recipient_count; i++)
                if (!e->recipients[i].is_expanded &&
                    str_eq_nocase(e->recipients[i].address, address))
                        return true;
        return false;
}

/* The first duplicate_filter_limit recipients are remembered; of those behind them a duplicate is not found (Postfix: the same). */
static void remember(struct cleanup *c, size_t at)
{
        int64_t limit = c->params->duplicate_filter_limit;
        if (limit == 0 || c->known.count < (size_t)limit)
                recipient_set_add(&c->known, c->work.envelope->recipients, at,
                                  c->params->enable_original_recipient, c->arena);
}

/* Some were taken out: their places are others'. */
static void remember_all(struct cleanup *c)
{
        c->known = (struct recipient_set){0};
        for (size_t i = 0; i < c->work.envelope->recipient_count; i++)
                if (!c->work.envelope->recipients[i].is_expanded)
                        remember(c, i);
}

static struct recipient *append(struct cleanup *c, struct str address, struct str original,
                                const struct smtp_rcpt_command *rcpt)
{
        struct envelope *e = c->work.envelope;
        if (e->recipient_count == c->recipient_room) {
                size_t room = c->recipient_room ? c->recipient_room * 2 : 4;
                struct recipient *more = arena_array(c->arena, struct recipient, room);
                if (e->recipient_count)
                        memcpy(more, e->recipients, e->recipient_count * sizeof(*more));
                e->recipients = more;
                c->recipient_room = room;
        }
        struct recipient *r = &e->recipients[e->recipient_count++];
        *r = (struct recipient){
                .address = address,
                .original = original,
                .orcpt = arena_str(c->arena, rcpt->orcpt),
                .notify = rcpt->notify,
        };
        return r;
}

static void add(struct cleanup *c, struct str address, struct str original,
                const struct smtp_rcpt_command *rcpt)
{
        append(c, address, original, rcpt);
        remember(c, c->work.envelope->recipient_count - 1);
}

/*
 * An alias takes the wish to hear of success upon itself: "expanded" is said of it, and nothing of its members (RFC 3461 5.2.7.3). One
 * of a single address could pass it on (5.2.7.2), but does as one of several, as in Postfix: how many readers an address has is
 * then not told. An address that stands for itself alone is none. *members is what the members get.
 */
static void take_success(struct cleanup *c, struct str original, bool is_alias,
                         const struct smtp_rcpt_command *rcpt, struct smtp_rcpt_command *members)
{
        const struct envelope *e = c->work.envelope;
        *members = *rcpt;
        if (!is_alias || !(rcpt->notify & SMTP_NOTIFY_SUCCESS))
                return;
        members->notify &= ~(unsigned)SMTP_NOTIFY_SUCCESS;
        if (members->notify == 0)
                members->notify = SMTP_NOTIFY_NEVER;
        for (size_t i = 0; i < e->recipient_count; i++)
                if (e->recipients[i].is_expanded &&
                    str_eq_nocase(e->recipients[i].original, original))
                        return;
        append(c, original, original, rcpt)->is_expanded = true;
}

/* virtual_alias_maps, unless receive_override_options leaves them to who comes behind */
static int await_expand_aliases(struct cleanup *c, const struct smtp_address *clean, bool expands,
                                struct policy_expansion *out, struct why *why)
{
        if (expands)
                return await_policy_expand(c->rules->policy, clean, c->arena, out, why);
        out->addresses = arena_array(c->arena, struct smtp_address, 1);
        out->addresses[0] = *clean;
        out->count = 1;
        return 0;
}

/* All that becomes of a cleaned recipient. 0, or an error with *why. */
static int await_expand(struct cleanup *c, const struct smtp_rcpt_command *rcpt,
                        const struct smtp_address *clean, enum recipient_kind kind, struct why *why)
{
        struct policy_expansion expansion;
        bool expands = !(c->rules->overrides & RECEIVE_NO_ADDRESS_MAPPINGS);
        int rc = await_expand_aliases(c, clean, expands, &expansion, why);
        if (rc)
                return rc;
        struct str original = arena_str(c->arena, rcpt->recipient.text);
        struct smtp_rcpt_command members;
        bool is_alias = expansion.count != 1 ||
                        (clean->domain.len && !str_eq(expansion.addresses[0].text, clean->text));
        take_success(c, original, is_alias, rcpt, &members);
        for (size_t i = 0; i < expansion.count; i++) {
                struct str text = expansion.addresses[i].text;
                bool is_same = str_eq(text, original);
                if (kind == COPY
                            ? is_recipient(c->work.envelope, text)
                            : recipient_set_has(&c->known, c->work.envelope->recipients, text,
                                                original, c->params->enable_original_recipient))
                        continue;
                add(c, is_same ? original : arena_str(c->arena, text), original, &members);
        }
        return 0;
}

static int await_clean(struct cleanup *c, const struct smtp_address *recipient,
                       struct smtp_address *clean, struct why *why)
{
        struct smtp_address whole = complete(c, recipient);
        int rc = await_policy_unroute(c->rules->policy, &whole, c->arena, why);
        return rc ? rc : await_clean_address(c, USE_ENVELOPE_RECIPIENT, &whole, clean, why);
}

static bool await_recipient(struct cleanup *c, const struct smtp_rcpt_command *rcpt,
                            enum recipient_kind kind, struct smtp_reply *refusal)
{
        struct smtp_address clean;
        struct why why;
        int rc = await_clean(c, &rcpt->recipient, &clean, &why);
        if (rc == 0)
                rc = await_note_copy(c, c->rules->recipient_bcc_maps, "recipient_bcc_maps", &clean,
                                     &why);
        if (rc == 0)
                rc = await_expand(c, rcpt, &clean, kind, &why);
        return rc == 0 || fail(c, &rcpt->recipient, rc, &why, refusal);
}

bool await_cleanup_recipient(struct cleanup *c, const struct smtp_rcpt_command *rcpt,
                             struct smtp_reply *refusal)
{
        return await_recipient(c, rcpt, AS_ASKED_FOR, refusal);
}

size_t cleanup_remove_recipient(struct cleanup *c, struct str address)
{
        struct envelope *e = c->work.envelope;
        size_t kept = 0;
        for (size_t i = 0; i < e->recipient_count; i++) {
                const struct recipient *r = &e->recipients[i];
                if (!str_eq_nocase(r->original, address) && !str_eq_nocase(r->address, address))
                        e->recipients[kept++] = *r;
        }
        size_t removed = e->recipient_count - kept;
        e->recipient_count = kept;
        if (removed)
                remember_all(c);
        return removed;
}

/* ---- the end ---- */

static bool await_add_copy(struct cleanup *c, const struct smtp_address *address,
                           struct smtp_reply *refusal)
{
        struct smtp_rcpt_command copy = {
                .recipient = complete(c, address),
                .notify = SMTP_NOTIFY_NEVER,
        };
        struct smtp_address clean;
        struct why why;
        int rc = await_clean(c, address, &clean, &why);
        if (rc == 0) /* a copy has no copies */
                rc = await_expand(c, &copy, &clean, COPY, &why);
        return rc == 0 || fail(c, address, rc, &why, refusal);
}

static bool await_add_copies(struct cleanup *c, struct smtp_reply *refusal)
{
        const struct policy_effects *effects = c->work.effects;
        struct str always = str_trim(c->params->always_bcc);
        if (c->rules->is_own || (c->rules->overrides & RECEIVE_NO_ADDRESS_MAPPINGS))
                always = STR("");
        struct smtp_address address = {0};
        struct why why = {"always_bcc is no address"};
        if (always.len) {
                if (smtp_address_parse(always, c->arena, &address))
                        return fail(c, &address, -EAGAIN, &why, refusal);
                if (!await_add_copy(c, &address, refusal))
                        return false;
        }
        int rc = smtp_address_parse(c->work.envelope->sender, c->arena, &address);
        if (rc == 0)
                rc = await_note_copy(c, c->rules->sender_bcc_maps, "sender_bcc_maps", &address,
                                     &why);
        if (rc)
                return fail(c, &address, rc, &why, refusal);
        /* What an access table adds is a recipient like others, who may have copies himself. */
        for (size_t i = 0; i < effects->bcc_count; i++) {
                struct smtp_rcpt_command rcpt = {
                        .recipient = effects->bcc[i],
                        .notify = SMTP_NOTIFY_NEVER,
                };
                if (!await_recipient(c, &rcpt, COPY, refusal))
                        return false;
        }
        for (size_t i = 0; i < c->copies.bcc_count; i++)
                if (!await_add_copy(c, &c->copies.bcc[i], refusal))
                        return false;
        return true;
}

/* ---- where it goes ---- */

static bool await_redirect(struct cleanup *c, struct smtp_reply *refusal)
{
        struct envelope *e = c->work.envelope;
        struct recipient first = e->recipient_count ? e->recipients[0] : (struct recipient){0};
        struct smtp_rcpt_command rcpt = {.recipient = c->work.effects->redirect};
        e->recipient_count = 0;
        remember_all(c);
        if (!await_cleanup_recipient(c, &rcpt, refusal))
                return false;
        /* one copy, whoever it was for: who reads the log finds the first of them */
        e->recipient_count = 1;
        e->recipients[0].original = first.original.len ? first.original : e->recipients[0].address;
        e->recipients[0].orcpt = first.orcpt;
        e->recipients[0].notify = first.notify;
        return true;
}

bool await_cleanup_end(struct cleanup *c, struct smtp_reply *refusal)
{
        struct policy_effects *effects = c->work.effects;
        struct envelope *e = c->work.envelope;
        e->is_local = await_rewrite_context(c) == REWRITE_LOCAL;
        if (effects->redirect.text.len)
                return await_redirect(c, refusal);
        if (!await_add_copies(c, refusal))
                return false;
        struct str filter = c->rules->is_own ? STR("") : str_trim(c->params->content_filter);
        e->filter = effects->filter.len ? effects->filter : filter;
        return true;
}
