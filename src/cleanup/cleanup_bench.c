/*
 * cleanup_bench.c - what checks cost: header fields against many patterns, bodies against none and some
 *
 *     cleanup_bench [PATTERNS]
 *
 * Each pattern is one that people write (a word somewhere in a Subject, a name of a mail program), and
 * none matches, which costs most. Not a test: it promises nothing.
 */
#include "cleanup/cleanup_unit.h"

enum { ROUNDS = 2000, BODY_LINES = 200 };

static const char header[] =
        "Received: from mail-ej1-f51.example.net (mail-ej1-f51.example.net [192.0.2.51])\r\n"
        "\tby mx.relay.example (Postfix) with ESMTPS id 4gXyZ12abcz9\r\n"
        "\tfor <user@relay.example>; Thu, 19 Nov 2026 10:15:51 +0000 (UTC)\r\n"
        "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.net; s=20230601;\r\n"
        "\th=to:subject:message-id:date:from:mime-version:from:to:cc:subject:date;\r\n"
        "\tbh=f0Ck0K8pO3yqHhS8L2tqPpN9cW6q5Yb9cC6fH8m1y0o=;\r\n"
        "\tb=kX3p9b2m1d8w7s5t0q4r6y8u1i3o5p7a9s2d4f6g8h0j1k3l5z7x9c2v4b6n8m0q2w4e6r8t0\r\n"
        "X-Received: by 2002:a17:906:11d2:b0:9fa:1234:abcd with SMTP id o18\r\n"
        "MIME-Version: 1.0\r\n"
        "References: <20261119.1@example.net> <20261119.2@example.net>\r\n"
        "In-Reply-To: <20261119.2@example.net>\r\n"
        "From: Somebody Else <somebody@example.net>\r\n"
        "Date: Thu, 19 Nov 2026 11:15:40 +0100\r\n"
        "Message-ID: <CAF9z2w7c5q1s8b3n6m@mail.example.net>\r\n"
        "Subject: Re: the minutes of last week's meeting, and what is left to do\r\n"
        "To: A User <user@relay.example>\r\n"
        "Content-Type: text/plain; charset=\"UTF-8\"\r\n"
        "\r\n";
enum { FIELDS = 13 };

/* of the processor: the machine may have other things to do */
static double cpu_us(void)
{
        struct timespec t;
        assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
        return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double run(struct mill *m, struct str text)
{
        double start = cpu_us();
        for (int i = 0; i < ROUNDS; i++) {
                mill_begin(m);
                assert_true(mill_push(m, text, true));
        }
        return (cpu_us() - start) / ROUNDS;
}

int main(int argc, char **argv)
{
        int64_t patterns = 100;
        if (argc > 1 && str_to_int64(str_from(argv[1]), 1, 10000, &patterns)) {
                fprintf(stderr, "usage: cleanup_bench [PATTERNS]\n");
                return 2;
        }
        struct buf rules;
        struct buf text;
        buf_init(&rules, 16 << 20);
        buf_init(&text, 1 << 20);
        for (int64_t i = 0; i < patterns; i++)
                buf_printf(&rules,
                           i % 4 == 0   ? "/^Subject:.*cheap pills %lld/ REJECT\n"
                           : i % 4 == 1 ? "/^X-Mailer: BulkMailer %lld/ REJECT\n"
                           : i % 4 == 2 ? "/^From:.*@spam%lld\\.example/ REJECT\n"
                                        : "/name=.*invoice%lld\\.(exe|scr|pif)/ REJECT\n",
                           (long long)i);
        buf_append_char(&rules, '\0');
        buf_append_str(&text, str_from(header));
        for (int i = 0; i < BODY_LINES; i++)
                buf_printf(&text, "%d: lorem ipsum dolor sit amet, consectetur adipiscing elit\r\n",
                           i);

        static const char *const lines[] = {
                "",
                "header_checks = pcre:rules\n",
                "decoded_header_checks = pcre:rules\n",
                "header_checks = pcre:rules\nbody_checks = pcre:{{/never this/ REJECT}}\n",
        };
        for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
                struct mill m;
                mill_init(&m);
                rig_write(&m.rig, "rules", rules.ptr);
                mill_load(&m, lines[i]);
                double alone = run(&m, str_from(header));
                double whole = run(&m, buf_str(&text));
                struct str name = str_from(lines[i]);
                name = str_cut(&name, '\n');
                printf("%-38.*s %7.2f us a header field, %8.2f us a message of %d lines\n",
                       STR_ARG(name.len ? name : STR("(no checks)")), alone / FIELDS, whole,
                       (int)BODY_LINES);
                mill_done(&m);
        }
        buf_done(&rules);
        buf_done(&text);
        return 0;
}
