/* verp.c - a sender for each recipient */
#include "message/verp.h"

#include "base/check.h"

/* What is no address is taken apart at its last "@", as it stands. */
static struct smtp_address take_apart(struct str text, struct arena *arena)
{
        struct smtp_address a;
        if (smtp_address_parse(text, arena, &a) == 0)
                return a;
        ptrdiff_t at = str_find_last(text, '@');
        return at < 0 ? (struct smtp_address){.local = text}
                      : (struct smtp_address){.local = str_part(text, 0, (size_t)at),
                                              .domain = str_tail(text, (size_t)at + 1)};
}

struct str verp_sender(struct str sender, const struct recipient *recipient, struct str delimiters,
                       struct arena *arena)
{
        check(delimiters.len == SMTP_VERP_BYTES);
        struct str to = recipient->original.len ? recipient->original : recipient->address;
        struct smtp_address s = take_apart(sender, arena);
        struct smtp_address r = take_apart(to, arena);
        struct str local = arena_printf(arena, "%.*s%c%.*s%.*s%.*s", STR_ARG(s.local),
                                        delimiters.ptr[0], STR_ARG(r.local), r.domain.len ? 1 : 0,
                                        delimiters.ptr + 1, STR_ARG(r.domain));
        return smtp_address_make(local, s.domain, arena).text;
}
