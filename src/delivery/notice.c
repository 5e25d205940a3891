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

int await_notice_fill(struct spool_draft *draft, struct str text, struct why *why)
{
        while (text.len) {
                struct str part = str_part(text, 0, SETTLE_BYTES);
                if (buf_append_str(spool_draft_buf(draft), part) < 0)
                        return why_set(why, -EMSGSIZE, "the notification is too large");
                text = str_tail(text, part.len);
                int rc = await_spool_draft_settle(draft, why);
                if (rc < 0)
                        return rc;
        }
        return 0;
}

static int await_readers(struct routes *routes, struct str reader, struct arena *arena,
                         struct envelope *out, struct why *why)
{
        struct smtp_address address;
        struct policy_expansion expansion;
        if (smtp_address_parse(reader, arena, &address))
                address = (struct smtp_address){
                        .text = reader}; /* from an older configuration: as it is */
        int rc = await_policy_expand(routes_policy(routes), &address, arena, &expansion, why);
        if (rc < 0)
                return rc;
        out->recipients = arena_array(arena, struct recipient, expansion.count);
        out->recipient_count = expansion.count;
        for (size_t i = 0; i < expansion.count; i++)
                out->recipients[i] = (struct recipient){
                        .address = expansion.addresses[i].text,
                        .original = reader,
                };
        return 0;
}

int await_notice_commit(struct spool_draft **draft, struct routes *routes, struct str sender,
                        struct str reader, bool is_smtputf8, struct arena *arena, struct why *why)
{
        struct envelope e = {
                .sender = sender,
                .body = SMTP_BODY_8BITMIME, /* a part that is returned is as it was */
                .smtputf8 = is_smtputf8,
                .arrival_us = clock_wall_us(),
        };
        int rc = await_readers(routes, reader, arena, &e, why);
        return rc < 0 ? rc : await_spool_commit(draft, &e, 0, why);
}
