/*
 * verify_sender.c - the sender of probes (address_verify_sender, address_verify_sender_ttl)
 *
 * A name that never changes is soon known to those who send junk; with a _ttl the count of its periods since 1970 stands
 * behind it, in digits of which no words can be made.
 */
#include "state/verify.h"

enum { BASE = 31, DIGITS_MAX = 16 };
static const char digits[BASE + 1] = "0123456789BCDFGHJKLMNPQRSTVWXYZ";

/* The parts of address_verify_sender; false: the null sender. */
static bool parts(const struct params *p, struct str *local, struct str *domain)
{
        struct str text = str_trim(p->address_verify_sender);
        ptrdiff_t at = str_find_last(text, '@');
        if (text.len == 0 || str_eq(text, STR("<>")))
                return false;
        *local = at < 0 ? text : str_part(text, 0, (size_t)at);
        *domain = at < 0 ? p->myorigin : str_tail(text, (size_t)at + 1);
        return true;
}

static int64_t period(const struct params *p, int64_t now_s)
{
        return now_s / (p->address_verify_sender_ttl / 1000);
}

static struct str write_number(int64_t n, char out[DIGITS_MAX])
{
        size_t at = DIGITS_MAX;
        do
                out[--at] = digits[n % BASE];
        while (n /= BASE);
        return str_make(out + at, DIGITS_MAX - at);
}

struct str verify_sender(const struct params *p, int64_t now_s, struct arena *arena)
{
        struct str local;
        struct str domain;
        char number[DIGITS_MAX];
        if (!parts(p, &local, &domain))
                return STR("");
        struct str suffix = p->address_verify_sender_ttl / 1000
                                    ? write_number(period(p, now_s), number)
                                    : STR("");
        return arena_printf(arena, "%.*s%.*s@%.*s", STR_ARG(local), STR_ARG(suffix),
                            STR_ARG(domain));
}

bool verify_sender_is(const struct params *p, int64_t now_s, const struct smtp_address *address)
{
        struct str local;
        struct str domain;
        char number[DIGITS_MAX];
        if (!parts(p, &local, &domain) || !str_eq_nocase(address->domain, domain) ||
            !str_starts_nocase(address->local, local))
                return false;
        struct str suffix = str_tail(address->local, local.len);
        if (p->address_verify_sender_ttl / 1000 == 0)
                return suffix.len == 0;
        for (int64_t n = period(p, now_s) - 1; n <= period(p, now_s) + 1; n++)
                if (str_eq_nocase(suffix, write_number(n, number)))
                        return true;
        return false;
}
