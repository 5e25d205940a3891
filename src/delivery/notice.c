/* notice.c - messages of our own: as whom we write them, and who reads them */
#include "delivery/notice.h"

#include "base/clock.h"

#include <errno.h>

enum { SETTLE_BYTES = 32 * 1024 };

bool notice_is_double_bounce(const struct params *p, struct str address)
{
        ptrdiff_t at = str_find_last(address, '@');
        struct str local = at < 0 ? address : str_part(address, 0, (size_t)at);
        return local.len && str_eq_nocase(local, p->double_bounce_sender);
}

struct str notice_address(const struct params *p, struct str address, struct arena *arena)
{
        if (str_find(address, '@') >= 0)
                return address;
        return arena_printf(arena, "%.*s@%.*s", STR_ARG(address), STR_ARG(p->myorigin));
}

struct str notice_copy_sender(const struct params *p, struct arena *arena)
{
        if (str_find(p->double_bounce_sender, '@') >= 0)
                return p->double_bounce_sender;
        return arena_printf(arena, "%.*s@%.*s", STR_ARG(p->double_bounce_sender),
                            STR_ARG(p->outside_name));
}

struct str notice_from(const struct params *p, struct arena *arena)
{
        bool is_core = !str_is_empty(p->core_relays); /* whose myorigin may be its own name */
        return arena_printf(arena, "MAILER-DAEMON@%.*s",
                            STR_ARG(is_core ? p->outside_name : p->myorigin));
}

/* What the text is cleaned to, in the draft; or *why, when a rule or a table refuses it. */
static int await_clean_text(struct cleanup *c, struct spool_draft *draft, struct str text,
                            struct why *why)
{
        struct smtp_reply refusal;
        bool is_all = false;
        while (!is_all) {
                struct str part = str_part(text, 0, SETTLE_BYTES);
                struct buf *in = cleanup_input(c);
                text = str_tail(text, part.len);
                is_all = text.len == 0;
                if (buf_append_str(in ? in : spool_draft_buf(draft), part) < 0)
                        return why_set(why, -EMSGSIZE, "the notification is too large");
                enum cleanup_progress progress = CLEANUP_MORE;
                while (progress == CLEANUP_MORE) {
                        progress = !in ? CLEANUP_DONE
                                       : await_cleanup_content(c, spool_draft_buf(draft), is_all,
                                                               &refusal);
                        if (progress == CLEANUP_REFUSED)
                                return why_set(why, -EACCES,
                                               "the notification itself is refused: %.*s",
                                               STR_ARG(refusal.text));
                        int rc = await_spool_draft_settle(draft, why);
                        if (rc < 0)
                                return rc;
                }
        }
        return 0;
}

/*
 * double_bounce_sender is mapped as other senders are (Postfix); who is told nothing is then no longer known by his name, and the
 * envelope says so: else two such notices could answer each other for ever, as Postfix's can.
 */
static int await_writer(struct cleanup *c, const struct cleanup_work *work, const struct notice *n,
                        struct why *why)
{
        struct smtp_address sender;
        struct smtp_reply refusal;
        if (n->sender.len == 0 || smtp_address_parse(n->sender, work->arena, &sender))
                return 0;
        if (!await_cleanup_sender(c, &sender, &refusal))
                return why_set(why, -EAGAIN, "<%.*s>: %.*s", STR_ARG(n->sender),
                               STR_ARG(refusal.text));
        work->envelope->is_unanswered = true;
        return 0;
}

/* canonical_maps and its kin, and aliases, as for mail that comes in */
static int await_reader(struct cleanup *c, struct str reader, struct arena *arena, struct why *why)
{
        struct smtp_rcpt_command rcpt = {0};
        struct smtp_reply refusal;
        if (smtp_address_parse(reader, arena, &rcpt.recipient))
                rcpt.recipient = (struct smtp_address){
                        .text = reader}; /* from an older configuration: as it is */
        if (await_cleanup_recipient(c, &rcpt, &refusal))
                return 0;
        return why_set(why, -EAGAIN, "<%.*s>: %.*s", STR_ARG(reader), STR_ARG(refusal.text));
}

static int await_send(struct cleanup *c, const struct cleanup_work *work,
                      struct spool_draft **draft, const struct notice *n, struct why *why)
{
        struct smtp_reply refusal;
        int rc = await_reader(c, n->reader, work->arena, why);
        if (rc == 0)
                rc = await_clean_text(c, *draft, n->text, why);
        if (rc < 0)
                return rc;
        if (work->effects->is_discarded) { /* by a rule, which has logged it */
                spool_draft_free(draft);
                return 0;
        }
        if (!await_cleanup_end(c, &refusal))
                return why_set(why, -EAGAIN, "%.*s", STR_ARG(refusal.text));
        return await_spool_commit(draft, work->envelope, work->effects->is_held ? SPOOL_HOLD : 0,
                                  why);
}

int await_notice_send(struct spool_draft **draft, struct routes *routes, const struct notice *n,
                      struct arena *arena, struct why *why)
{
        const struct policy_facts facts = {
                .queue_id = arena_str(arena, str_from(spool_draft_id(*draft))),
                .client_name = STR("local"),
        };
        struct policy_effects effects = {0};
        struct envelope e = {
                .sender = n->sender,
                .body = SMTP_BODY_8BITMIME, /* a part that is returned is as it was */
                .smtputf8 = n->is_smtputf8,
                .arrival_us = clock_wall_us(),
        };
        const struct cleanup_work work = {
                .rules = routes_own_mail(routes, n->class),
                .facts = &facts,
                .effects = &effects,
                .envelope = &e,
                .arena = arena,
        };
        struct cleanup *c = cleanup_new(&work);
        int rc = await_writer(c, &work, n, why);
        if (rc == 0)
                rc = await_send(c, &work, draft, n, why);
        cleanup_free(&c);
        return rc;
}
