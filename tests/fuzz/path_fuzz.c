/* path_fuzz.c - the first byte chooses the rules; what is taken is clean, and means the same twice */
#include "fuzz.h"

#include "smtp/command.h"

static void check_address(const struct smtp_address *a, struct arena *arena)
{
        struct smtp_path_rules strict = {true, true, true, true};
        struct smtp_address again;
        struct smtp_reply refusal;
        struct buf wire;
        check(a->text.len <= SMTP_PATH_BYTES_MAX);
        check(!fuzz_has_control(a->text) && !fuzz_has_control(a->local));
        check(a->domain.len == 0 || smtp_domain_is_valid(a->domain) ||
              smtp_domain_is_literal(a->domain));
        check((a->local.len == 0) == (a->text.len == 0));

        buf_init(&wire, SMTP_PATH_BYTES_MAX + 2);
        check(buf_append_char(&wire, '<') == 0);
        check(buf_append_str(&wire, a->text) == 0);
        check(buf_append_char(&wire, '>') == 0);
        struct str text = buf_str(&wire);
        check(smtp_path_parse(&text, &strict, arena, &again, &refusal) == 0);
        check(text.len == 0 && str_eq(again.text, a->text));
        check(str_eq(again.local, a->local) && str_eq(again.domain, a->domain));
        buf_done(&wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size);
        unsigned flags = fuzz_byte(&in);
        struct smtp_path_rules rules = {flags & 1, flags & 2,  flags & 4,
                                        flags & 8, flags & 16, flags & 32};
        struct smtp_address a;
        struct smtp_reply refusal = {0};
        struct arena arena;
        arena_init(&arena, 0);

        struct str text = in;
        if (smtp_path_parse(&text, &rules, &arena, &a, &refusal) == 0) {
                check(text.len == 0 || text.ptr[0] == ' ' || text.ptr[0] == '\t');
                check(rules.allows_null || a.text.len);
                check(rules.allows_no_domain || a.domain.len || a.text.len == 0);
                check(rules.allows_utf8 || smtp_text_is_ascii(a.text));
                check(!rules.refuses_u_labels || smtp_text_is_ascii(a.domain));
                check_address(&a, &arena);
        } else {
                check(refusal.code >= 500 && refusal.enhanced && refusal.text.len);
                check(str_eq(text, in) || refusal.code == 553);
        }
        if (smtp_address_parse(in, &arena, &a) == 0)
                check_address(&a, &arena);

        /* put together from anything: no control character on the wire */
        struct str domain = in;
        struct str local = str_cut(&domain, '@');
        check(!fuzz_has_control(smtp_address_make(local, domain, &arena).text));
        arena_done(&arena);
        return 0;
}
