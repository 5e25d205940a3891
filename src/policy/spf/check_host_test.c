/*
 * check_host_test.c - RFC 7208 section by section: a zone, who asks, and what it comes to
 *
 * The zones are answered by dns_new_given(), so that nothing leaves the machine. %{l} in a sender is what it says.
 */
#include "base/buf.h"
#include "base/unit.h"
#include "policy/spf/spf.h"
#include "table/table.h"

struct row {
        const char *ip, *helo, *from;
        enum spf_result result;
        const char *explanation; /* NULL: not looked at */
};

static struct spf_check *ask(struct dns *dns, const struct row *row)
{
        struct spf_query query = {
                .helo = str_from(row->helo),
                .sender = str_from(row->from),
                .receiver = STR("mx1.relay.test"),
                .now_s = 1760000000,
                .void_max = 2,
                .deadline_ms = INT64_MAX,
        };
        assert_true(network_address_parse(str_from(row->ip), query.address));
        return spf_check_new(dns, &query);
}

static struct dns *zone_open(const char *zone)
{
        struct why why;
        struct dns *dns = dns_new_given(str_from(zone), &why);
        if (!dns)
                fail_msg("%s", why.text);
        return dns;
}

static void run(const char *zone, const struct row *rows, size_t count)
{
        struct dns *dns = zone_open(zone);
        for (size_t i = 0; i < count; i++) {
                const struct row *row = &rows[i];
                struct spf_check *c = ask(dns, row);
                const struct spf_outcome *o = await_spf(c);
                if (o->result != row->result)
                        fail_msg("%s %s %s: %s, not %s (%.*s)", row->ip, row->helo, row->from,
                                 spf_result_name(o->result), spf_result_name(row->result),
                                 STR_ARG(o->problem));
                if (row->explanation && !str_eq(o->explanation, str_from(row->explanation)))
                        fail_msg("%s: \"%.*s\"", row->from, STR_ARG(o->explanation));
                bool is_error = o->result == SPF_TEMPERROR || o->result == SPF_PERMERROR ||
                                o->result == SPF_NONE;
                if (is_error != (o->problem.len > 0) && o->result != SPF_PASS)
                        fail_msg("%s: %s with the problem \"%.*s\"", row->from,
                                 spf_result_name(o->result), STR_ARG(o->problem));
                assert_true(o->step_count > 0);
                assert_ptr_equal(await_spf(c), o);
                spf_check_free(&c);
        }
        dns_unref(&dns);
}

#define RUN(zone, ...)                                           \
        do {                                                     \
                static const struct row rows[] = {__VA_ARGS__};  \
                run(zone, rows, sizeof(rows) / sizeof(rows[0])); \
        } while (0)

#define LABEL_63 "a23456789012345678901234567890123456789012345678901234567890123"

static void s2_identities(void **state)
{
        RUN("mail.example TXT \"v=spf1 -all exp=exp.example\"\n"
            "helo.example TXT \"v=spf1 ip4:192.0.2.1 -all exp=exp.example\"\n"
            "exp.example TXT \"%{s} %{l} %{o} %{d} %{h}\"\n",
            {"192.0.2.1", "helo.example", "", SPF_PASS, ""},
            {"192.0.2.2", "helo.example", "", SPF_FAIL,
             "postmaster@helo.example postmaster helo.example helo.example helo.example"},
            {"192.0.2.1", "helo.example", "joe@mail.example", SPF_FAIL,
             "joe@mail.example joe mail.example mail.example helo.example"},
            {"192.0.2.1", "helo.example", "@mail.example", SPF_FAIL,
             "postmaster@mail.example postmaster mail.example mail.example helo.example"},
            {"192.0.2.1", "helo.example", "\"a@b\"@mail.example", SPF_FAIL,
             "\"a@b\"@mail.example \"a@b\" mail.example mail.example helo.example"},
            {"192.0.2.1", "helo.example", "joe@MAIL.example.", SPF_FAIL, NULL}, );
}

static void s4_3_initial_processing(void **state)
{
        RUN(LABEL_63 ".example TXT \"v=spf1 -all\"\n"
                     "xn--bcher-kva.example TXT \"v=spf1 -all exp=exp.example\"\n"
                     "exp.example TXT \"%{d}\"\n"
                     "timeout.example TIMEOUT\n",
            {"192.0.2.1", "x.example", "a@" LABEL_63 ".example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@" LABEL_63 "x.example", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@b..example", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@.example", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@localhost", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@[192.0.2.1]", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@", SPF_NONE, NULL},
            {"192.0.2.1", "[192.0.2.1]", "", SPF_NONE, NULL},
            {"192.0.2.1", "helo", "", SPF_NONE, NULL}, {"192.0.2.1", "", "", SPF_NONE, NULL},
            {"192.0.2.1", "x.example",
             "a@b\xc3\xbc"
             "cher.example",
             SPF_FAIL, "xn--bcher-kva.example"},
            {"192.0.2.1", "x.example", "a@\xff.example", SPF_NONE, NULL}, );
}

static void s4_4_and_4_5_records(void **state)
{
        RUN("two.example TXT \"v=spf1 +all\"\ntwo.example TXT \"V=SPF1 +all\"\n"
            "one.example TXT \"v=spf10 -all\"\none.example TXT \"v=spf1 ~all\"\none.example TXT \"other\"\n"
            "joined.example TXT \"v=spf1 \" \"ip4:192.0.\" \"2.1 -\" \"all\"\n"
            "split.example TXT \"v=spf1\" \"mx -all\"\n"
            "empty.example TXT \"v=spf1\"\n"
            "bytes.example TXT \"v=spf1 a:\\195\\164.example -all\"\n"
            "other.example TXT \"\\150\"\nother.example TXT \"v=spf1 -all\"\n"
            "host.example A 192.0.2.1\n"
            "timeout.example TIMEOUT\nbroken.example SERVFAIL\nbogus.example BOGUS\n"
            "alias.example CNAME empty.example\n",
            {"192.0.2.1", "x.example", "a@two.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@one.example", SPF_SOFTFAIL, NULL},
            {"192.0.2.1", "x.example", "a@joined.example", SPF_PASS, NULL},
            {"192.0.2.2", "x.example", "a@joined.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@split.example", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@empty.example", SPF_NEUTRAL, NULL},
            {"192.0.2.1", "x.example", "a@alias.example", SPF_NEUTRAL, NULL},
            {"192.0.2.1", "x.example", "a@bytes.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@other.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@host.example", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@nothing.example", SPF_NONE, NULL},
            {"192.0.2.1", "x.example", "a@timeout.example", SPF_TEMPERROR, NULL},
            {"192.0.2.1", "x.example", "a@broken.example", SPF_TEMPERROR, NULL},
            {"192.0.2.1", "x.example", "a@bogus.example", SPF_TEMPERROR, NULL}, );
}

static void s4_6_evaluation(void **state)
{
        RUN("late.example TXT \"v=spf1 ip4:192.0.2.1 -all moo\"\n"
            "first.example TXT \"v=spf1 ?ip4:192.0.2.1 ip4:192.0.2.0/24 -all\"\n"
            "default.example TXT \"v=spf1 ip4:192.0.2.1\"\n"
            "all.example TXT \"v=spf1 -all ip4:192.0.2.1 redirect=nothing.example\"\n"
            "error.example TXT \"v=spf1 ip4:192.0.2.1 a:timeout.example -all\"\ntimeout.example TIMEOUT\n",
            {"192.0.2.1", "x.example", "a@late.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@first.example", SPF_NEUTRAL, NULL},
            {"192.0.2.2", "x.example", "a@first.example", SPF_PASS, NULL},
            {"192.0.3.2", "x.example", "a@first.example", SPF_FAIL, ""},
            {"192.0.3.2", "x.example", "a@default.example", SPF_NEUTRAL, NULL},
            {"192.0.2.1", "x.example", "a@all.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@error.example", SPF_PASS, NULL},
            {"192.0.2.2", "x.example", "a@error.example", SPF_TEMPERROR, NULL}, );
}

static void s4_6_4_limits(void **state)
{
        RUN(/* ten terms that ask, and one more; ip4, ip6 and all do not */
            "ten.example TXT \"v=spf1 ip4:192.0.2.9 a:h.example a:h.example a:h.example a:h.example a:h.example "
            "a:h.example a:h.example a:h.example a:h.example a:h.example ip6:2001:db8::1 all\"\n"
            "eleven.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example "
            "a:h.example a:h.example a:h.example a:h.example a:h.example all\"\n"
            "h.example A 198.51.100.1\n"
            /* what stands in an include counts, and so do include and redirect */
            "nested.example TXT \"v=spf1 include:four.example include:four.example all\"\n"
            "four.example TXT \"v=spf1 a:h.example mx:h.example exists:h.example.no a:h.example -all\"\n"
            "h.example MX 1 h.example\n"
            "loop.example TXT \"v=spf1 redirect=loop.example\"\n"
            "inloop.example TXT \"v=spf1 include:inloop.example -all\"\n"
            /* void look-ups */
            "void2.example TXT \"v=spf1 a:n1.example mx:n2.example ip4:192.0.2.1 -all\"\n"
            "void3.example TXT \"v=spf1 a:n1.example mx:n2.example exists:n3.example ip4:192.0.2.1 -all\"\n"
            "hostless.example TXT \"v=spf1 a:v6.example mx:v6.example a:v6.example all\"\n"
            "v6.example AAAA 2001:db8::1\nv6.example MX 1 v6.example\n"
            /* MX and PTR names */
            "mx10.example TXT \"v=spf1 mx all\"\nmx11.example TXT \"v=spf1 mx all\"\n"
            "mx10.example MX 1 h.example\nmx10.example MX 2 h2.example\nmx10.example MX 3 h3.example\n"
            "mx10.example MX 4 h4.example\nmx10.example MX 5 h5.example\nmx10.example MX 6 h6.example\n"
            "mx10.example MX 7 h7.example\nmx10.example MX 8 h8.example\nmx10.example MX 9 h9.example\n"
            "mx10.example MX 10 h10.example\n"
            "mx11.example MX 1 h.example\nmx11.example MX 2 h2.example\nmx11.example MX 3 h3.example\n"
            "mx11.example MX 4 h4.example\nmx11.example MX 5 h5.example\nmx11.example MX 6 h6.example\n"
            "mx11.example MX 7 h7.example\nmx11.example MX 8 h8.example\nmx11.example MX 9 h9.example\n"
            "mx11.example MX 10 h10.example\nmx11.example MX 11 h11.example\n"
            "ptr.example TXT \"v=spf1 ptr:late.example -all\"\n"
            "5.2.0.192.in-addr.arpa PTR p1.example\n5.2.0.192.in-addr.arpa PTR p2.example\n"
            "5.2.0.192.in-addr.arpa PTR p3.example\n5.2.0.192.in-addr.arpa PTR p4.example\n"
            "5.2.0.192.in-addr.arpa PTR p5.example\n5.2.0.192.in-addr.arpa PTR p6.example\n"
            "5.2.0.192.in-addr.arpa PTR p7.example\n5.2.0.192.in-addr.arpa PTR p8.example\n"
            "5.2.0.192.in-addr.arpa PTR p9.example\n5.2.0.192.in-addr.arpa PTR p10.example\n"
            "5.2.0.192.in-addr.arpa PTR late.example\nlate.example A 192.0.2.5\n"
            /* %{p} asks for the client's names, once */
            "p.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example "
            "a:h.example exists:%{p}.no.example all\"\n"
            "p2.example TXT \"v=spf1 a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example a:h.example "
            "a:h.example a:h.example exists:%{p}.no.example all\"\n",
            {"192.0.2.1", "x.example", "a@ten.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@eleven.example", SPF_PERMERROR, NULL},
            {"198.51.100.1", "x.example", "a@eleven.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@nested.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@loop.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@inloop.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@void2.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@void3.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@hostless.example", SPF_PERMERROR, NULL},
            {"2001:db8::2", "x.example", "a@hostless.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@mx10.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@mx11.example", SPF_PERMERROR, NULL},
            {"192.0.2.5", "x.example", "a@ptr.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@p.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a@p2.example", SPF_PERMERROR, NULL}, );
}

static void s5_mechanisms(void **state)
{
        RUN("a.example TXT \"v=spf1 a -all\"\na.example A 192.0.2.1\na.example AAAA 2001:db8::1\n"
            "cidr.example TXT \"v=spf1 a:a.example/24//64 -all\"\n"
            "mx.example TXT \"v=spf1 mx/30 -all\"\nmx.example MX 5 null.example\nmx.example MX 9 a.example\n"
            "null.example TXT \"v=spf1 mx -all\"\nnull.example MX 0 .\n"
            "include.example TXT \"v=spf1 include:a.example ?include:cidr.example -all\"\n"
            "bad.example TXT \"v=spf1 include:nothing.example +all\"\n"
            "worse.example TXT \"v=spf1 include:syntax.example +all\"\nsyntax.example TXT \"v=spf1 moo\"\n"
            "later.example TXT \"v=spf1 include:timeout.example +all\"\ntimeout.example TIMEOUT\n"
            "exists.example TXT \"v=spf1 exists:%{ir}.%{v}.list.example -all\"\n"
            "1.2.0.192.in-addr.list.example A 127.0.0.2\n"
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.list.example A 127.0.0.2\n"
            "9.2.0.192.in-addr.list.example AAAA 2001:db8::1\n"
            "8.2.0.192.in-addr.list.example TIMEOUT\n"
            "ptr.example TXT \"v=spf1 ptr -all\"\n"
            "1.2.0.192.in-addr.arpa PTR liar.ptr.example\n1.2.0.192.in-addr.arpa PTR true.ptr.example\n"
            "liar.ptr.example A 192.0.2.7\ntrue.ptr.example A 192.0.2.1\n"
            "2.2.0.192.in-addr.arpa PTR xptr.example\nxptr.example A 192.0.2.2\n"
            "3.2.0.192.in-addr.arpa TIMEOUT\n4.2.0.192.in-addr.arpa PTR slow.ptr.example\nslow.ptr.example TIMEOUT\n"
            "6.2.0.192.in-addr.arpa PTR PTR.example\nptr.example A 192.0.2.6\n"
            "local.example TXT \"v=spf1 exists:%{l}.user.example -all\"\nbob.user.example A 127.0.0.1\n"
            "a\\092b.user.example A 127.0.0.1\n"
            "odd.example TXT \"v=spf1 a:b..example ~all\"\n",
            {"192.0.2.1", "x.example", "a@a.example", SPF_PASS, NULL},
            {"192.0.2.2", "x.example", "a@a.example", SPF_FAIL, NULL},
            {"2001:db8::1", "x.example", "a@a.example", SPF_PASS, NULL},
            {"::ffff:192.0.2.1", "x.example", "a@a.example", SPF_PASS, NULL},
            {"192.0.2.200", "x.example", "a@cidr.example", SPF_PASS, NULL},
            {"192.0.3.1", "x.example", "a@cidr.example", SPF_FAIL, NULL},
            {"2001:db8::ffff:0:0:1", "x.example", "a@cidr.example", SPF_PASS, NULL},
            {"2001:db8:0:1::1", "x.example", "a@cidr.example", SPF_FAIL, NULL},
            {"192.0.2.3", "x.example", "a@mx.example", SPF_PASS, NULL},
            {"192.0.2.4", "x.example", "a@mx.example", SPF_FAIL, NULL},
            {"192.0.2.4", "x.example", "a@null.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@include.example", SPF_PASS, NULL},
            {"192.0.2.2", "x.example", "a@include.example", SPF_NEUTRAL, NULL},
            {"198.51.100.1", "x.example", "a@include.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@bad.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@worse.example", SPF_PERMERROR, NULL},
            {"192.0.2.1", "x.example", "a@later.example", SPF_TEMPERROR, NULL},
            {"192.0.2.1", "x.example", "a@exists.example", SPF_PASS, NULL},
            {"2001:db8::1", "x.example", "a@exists.example", SPF_PASS, NULL},
            {"192.0.2.9", "x.example", "a@exists.example", SPF_FAIL, NULL},
            {"192.0.2.8", "x.example", "a@exists.example", SPF_TEMPERROR, NULL},
            {"192.0.2.1", "x.example", "a@ptr.example", SPF_PASS, NULL},
            {"192.0.2.2", "x.example", "a@ptr.example", SPF_FAIL, NULL},
            {"192.0.2.3", "x.example", "a@ptr.example", SPF_FAIL, NULL},
            {"192.0.2.4", "x.example", "a@ptr.example", SPF_FAIL, NULL},
            {"192.0.2.6", "x.example", "a@ptr.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "bob@local.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "BOB@local.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "a\\b@local.example", SPF_PASS, NULL},
            {"192.0.2.1", "x.example", "\xc3\xa4@local.example", SPF_FAIL, NULL},
            {"192.0.2.1", "x.example", "a@odd.example", SPF_SOFTFAIL, NULL}, );
}

static void s6_modifiers(void **state)
{
        RUN("redirect.example TXT \"v=spf1 ip4:192.0.2.1 redirect=%{d}.target.example exp=mine.example\"\n"
            "redirect.example.target.example TXT \"v=spf1 ip4:192.0.2.2 -all exp=theirs.example\"\n"
            "plain.example TXT \"v=spf1 redirect=noexp.example exp=mine.example\"\n"
            "noexp.example TXT \"v=spf1 -all\"\n"
            "gone.example TXT \"v=spf1 redirect=nothing.example\"\n"
            "slow.example TXT \"v=spf1 redirect=timeout.example\"\ntimeout.example TIMEOUT\n"
            "mine.example TXT \"mine\"\ntheirs.example TXT \"%{d}: %{c} %{r} %{t}, %{i}\"\n"
            "include.example TXT \"v=spf1 include:noexp.example -all exp=mine.example\"\n"
            "two.example TXT \"v=spf1 -all exp=both.example\"\nboth.example TXT \"a\"\nboth.example TXT \"b\"\n"
            "none.example TXT \"v=spf1 -all exp=nothing.example\"\n"
            "late.example TXT \"v=spf1 -all exp=timeout.example\"\n"
            "syntax.example TXT \"v=spf1 -all exp=wrong.example\"\nwrong.example TXT \"%{d} %{x}\"\n"
            "bytes.example TXT \"v=spf1 -all exp=eight.example\"\neight.example TXT \"\\195\\164\"\n"
            "soft.example TXT \"v=spf1 ~all exp=mine.example\"\n"
            "joined.example TXT \"v=spf1 -all exp=parts.example\"\nparts.example TXT \"one \" \"two\"\n"
            "helo.example TXT \"v=spf1 -all exp=sayhelo.example\"\nsayhelo.example TXT \"%{h} %{H} %{p}\"\n"
            "1.2.0.192.in-addr.arpa PTR other.example\n1.2.0.192.in-addr.arpa PTR a.helo.example\n"
            "other.example A 192.0.2.1\na.helo.example A 192.0.2.1\n",
            {"192.0.2.1", "x.example", "a@redirect.example", SPF_PASS, NULL},
            {"192.0.2.2", "x.example", "a@redirect.example", SPF_PASS, NULL},
            {"192.0.2.3", "x.example", "a@redirect.example", SPF_FAIL,
             "redirect.example.target.example: 192.0.2.3 mx1.relay.test 1760000000, 192.0.2.3"},
            {"192.0.2.3", "x.example", "a@plain.example", SPF_FAIL, ""},
            {"192.0.2.3", "x.example", "a@gone.example", SPF_PERMERROR, NULL},
            {"192.0.2.3", "x.example", "a@slow.example", SPF_TEMPERROR, NULL},
            {"192.0.2.3", "x.example", "a@include.example", SPF_FAIL, "mine"},
            {"192.0.2.3", "x.example", "a@two.example", SPF_FAIL, ""},
            {"192.0.2.3", "x.example", "a@none.example", SPF_FAIL, ""},
            {"192.0.2.3", "x.example", "a@late.example", SPF_FAIL, ""},
            {"192.0.2.3", "x.example", "a@syntax.example", SPF_FAIL, ""},
            {"192.0.2.3", "x.example", "a@bytes.example", SPF_FAIL, ""},
            {"192.0.2.3", "x.example", "a@soft.example", SPF_SOFTFAIL, ""},
            {"192.0.2.3", "x.example", "a@joined.example", SPF_FAIL, "one two"},
            /* bytes of the client's that no reply may show are '?' */
            {"192.0.2.3", "h\x01\xff(x)", "a@helo.example", SPF_FAIL,
             "h\?\?(x) h%01%FF%28x%29 unknown"},
            {"192.0.2.1", "h", "a@helo.example", SPF_FAIL, "h h a.helo.example"}, );
}

static void the_outcome_tells_what_was_done(void **state)
{
        struct dns *dns =
                zone_open("top.example TXT \"v=spf1 include:in.example a:no.example ~all\"\n"
                          "in.example TXT \"v=spf1 ip4:192.0.2.9 -all\"\n");
        static const struct row row = {"192.0.2.1", "x.example", "joe@top.example", SPF_SOFTFAIL,
                                       NULL};
        struct spf_check *c = ask(dns, &row);
        const struct spf_outcome *o = await_spf(c);
        static const struct {
                int depth;
                const char *domain, *term, *outcome;
        } steps[] = {
                {0, "top.example", "", "record"},
                {0, "top.example", "include:in.example", "no match"},
                {1, "in.example", "", "record"},
                {1, "in.example", "ip4:192.0.2.9", "no match"},
                {1, "in.example", "-all", "match"},
                {0, "top.example", "a:no.example", "no match"},
                {0, "top.example", "~all", "match"},
        };
        assert_int_equal(o->step_count, sizeof(steps) / sizeof(steps[0]));
        for (size_t i = 0; i < o->step_count; i++) {
                assert_int_equal(o->steps[i].depth, steps[i].depth);
                assert_str_equal(o->steps[i].domain, steps[i].domain);
                assert_str_equal(o->steps[i].term, steps[i].term);
                assert_str_equal(o->steps[i].outcome, steps[i].outcome);
        }
        assert_str_equal(o->steps[5].detail, "not found");
        assert_str_equal(o->steps[1].detail, "fail");
        assert_str_equal(o->mechanism, "~all");
        assert_str_equal(o->domain, "top.example");
        assert_str_equal(o->sender, "joe@top.example");
        assert_false(o->is_helo);
        assert_int_equal(o->term_count, 2);
        assert_int_equal(o->void_count, 1);
        spf_check_free(&c);
        dns_unref(&dns);
}

static void steps_have_a_ceiling(void **state)
{
        struct buf zone;
        buf_init(&zone, 64 * 1024);
        buf_append_str(&zone, STR("long.example TXT \"v=spf1\""));
        for (int i = 0; i < 2000; i++)
                buf_printf(&zone, " \" ip4:10.0.%d.%d\"", i / 250, i % 250);
        buf_append_str(&zone, STR(" \" -all\"\n"));
        buf_append_char(&zone, '\0');
        struct dns *dns = zone_open(zone.ptr);
        static const struct row row = {"192.0.2.1", "x.example", "joe@long.example", SPF_FAIL,
                                       NULL};
        struct spf_check *c = ask(dns, &row);
        const struct spf_outcome *o = await_spf(c);
        assert_int_equal(o->result, SPF_FAIL);
        assert_int_equal(o->step_count, SPF_STEPS_MAX);
        assert_int_equal(o->steps_dropped, 2002 - SPF_STEPS_MAX);
        spf_check_free(&c);
        dns_unref(&dns);
        buf_done(&zone);
}

static void an_explanation_is_cut(void **state)
{
        struct buf zone;
        buf_init(&zone, 64 * 1024);
        buf_append_str(&zone, STR("long.example TXT \"v=spf1 -all exp=e.example\"\ne.example TXT"));
        for (int i = 0; i < 40; i++)
                buf_append_str(&zone, STR(" \"%{s}%{s}%{s}%{s}%{s}%{s}\""));
        buf_append(&zone, "\n", 2);
        struct dns *dns = zone_open(zone.ptr);
        static const struct row row = {"192.0.2.1", "x.example", "joe@long.example", SPF_FAIL,
                                       NULL};
        struct spf_check *c = ask(dns, &row);
        assert_int_equal(await_spf(c)->explanation.len, SPF_EXPLANATION_BYTES_MAX);
        spf_check_free(&c);
        dns_unref(&dns);
        buf_done(&zone);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(s2_identities),
                cmocka_unit_test(s4_3_initial_processing),
                cmocka_unit_test(s4_4_and_4_5_records),
                cmocka_unit_test(s4_6_evaluation),
                cmocka_unit_test(s4_6_4_limits),
                cmocka_unit_test(s5_mechanisms),
                cmocka_unit_test(s6_modifiers),
                cmocka_unit_test(the_outcome_tells_what_was_done),
                cmocka_unit_test(steps_have_a_ceiling),
                cmocka_unit_test(an_explanation_is_cut),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
