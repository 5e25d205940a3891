/*
 * spf_fuzz.c - an SPF record, its macros, and a check that follows it wherever it leads
 *
 * Input: a byte of choices, then lines: the record, the explanation, the sender, the HELO name.
 */
#include "fuzz.h"

#include "base/buf.h"
#include "policy/spf/spf_private.h"
#include "policy/spf/trace_field.h"

static void put_txt(struct buf *zone, const char *name, struct str text)
{
        buf_printf(zone, "%s TXT", name);
        for (; text.len; text = str_tail(text, 60)) {
                buf_append_str(zone, STR(" \""));
                for (size_t i = 0; i < text.len && i < 60; i++)
                        buf_printf(zone, "\\%03u", (unsigned char)text.ptr[i]);
                buf_append_char(zone, '"');
        }
        buf_append_str(zone, STR(" \"\"\n"));
}

static void check_outcome(const struct spf_outcome *o)
{
        check(o->result <= SPF_PERMERROR && o->step_count <= SPF_STEPS_MAX);
        check(o->explanation.len <= SPF_EXPLANATION_BYTES_MAX);
        check(o->explanation.len == 0 || o->result == SPF_FAIL);
        check(!fuzz_has_control(o->explanation) && !fuzz_has_control(o->problem));
        check(o->term_count <= SPF_TERMS_MAX + 1 && o->void_count <= 3);
        for (size_t i = 0; i < o->step_count; i++)
                check(o->steps[i].depth >= 0 && o->steps[i].depth <= SPF_TERMS_MAX + 1 &&
                      !fuzz_has_control(o->steps[i].detail));
}

static void check_fields(const struct spf_outcome *o, const struct spf_query *query)
{
        struct spf_trace_facts facts = {STR("mx1.relay.test"), STR("192.0.2.1"), query->helo,
                                        query->sender};
        struct buf out;
        buf_init(&out, 64 * 1024);
        check(spf_put_received_spf(o, &facts, &out) == 0 && spf_put_resinfo(o, &facts, &out) == 0);
        /* no line but ours: each line feed has a CR before it, and a tab or the second field behind it */
        for (size_t i = 0; i < out.len; i++)
                if (out.ptr[i] == '\n')
                        check(i && out.ptr[i - 1] == '\r' &&
                              (i + 1 == out.len || out.ptr[i + 1] == '\t' ||
                               out.ptr[i + 1] == ';'));
                else
                        check(out.ptr[i] != '\r' || out.ptr[i + 1] == '\n');
        buf_done(&out);
}

static void run(unsigned choice, struct str record, struct str exp, struct str sender,
                struct str helo)
{
        struct buf zone;
        struct why why;
        buf_init(&zone, 1024 * 1024);
        put_txt(&zone, "d.example", record);
        put_txt(&zone, "*.example", exp);
        buf_append_str(&zone, STR("*.example A 192.0.2.9\n*.example AAAA 2001:db8::9\n"
                                  "*.example MX 1 x.example\n*.timeout TIMEOUT\n"
                                  "1.2.0.192.in-addr.arpa PTR a.example\n"));
        struct dns *dns = dns_new_given(buf_str(&zone), &why);
        check(dns);
        struct spf_query query = {
                .address = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1},
                .helo = helo,
                .sender = sender,
                .void_max = 2,
                .deadline_ms = INT64_MAX,
        };
        if (choice & 1)
                query.address[0] = 0x20;
        if (choice & 2)
                query.address[15] = 9;
        struct spf_check *c = spf_check_new(dns, &query);
        check_outcome(await_spf(c));
        check_fields(await_spf(c), &query);
        spf_check_free(&c);
        dns_unref(&dns);
        buf_done(&zone);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct str in = fuzz_str(data, size > 4096 ? 4096 : size);
        unsigned choice = fuzz_byte(&in);
        struct str record = str_cut(&in, '\n');
        struct str exp = str_cut(&in, '\n');
        struct str sender = str_cut(&in, '\n');
        struct arena arena;
        arena_init(&arena, 0);
        struct str from = arena_printf(&arena, "%.*s@d.example", STR_ARG(sender));
        run(choice, record, exp, from, in);
        arena_done(&arena);
        return 0;
}
