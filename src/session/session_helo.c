/* session_helo.c - EHLO and HELO (RFC 5321 4.1.1.1): who is it, and what do we offer? */
#include "base/check.h"
#include "base/log.h"
#include "session/session_private.h"

static void add_keyword(const struct session *s, struct buf *text, const char *keyword)
{
        /* "SIZE 10240000" is known by its first word */
        struct str rest = str_from(keyword);
        struct str word;
        str_next_word(&rest, " ", &word);
        if (session_offers_keyword(s, word)) {
                buf_append_char(text, '\n');
                buf_append_str(text, str_from(keyword));
        }
}

static struct smtp_reply offer(struct session *s)
{
        struct buf text;
        char size[48];
        char limits[48];
        buf_init(&text, 4096);
        snprintf(size, sizeof(size), "SIZE %lld", (long long)s->params->message_size_limit);
        buf_append_str(&text, s->params->myhostname);
        add_keyword(s, &text, "PIPELINING");
        add_keyword(s, &text, s->params->message_size_limit ? size : "SIZE");
        if (!s->params->disable_vrfy_command)
                add_keyword(s, &text, "VRFY");
        if (!str_is_empty(s->params->fast_flush_domains))
                add_keyword(s, &text, "ETRN");
        if (s->service->parts.tls && !wire_has_tls(s->wire))
                add_keyword(s, &text, "STARTTLS");
        if (s->may_verp && session_offers_keyword(s, STR("VERP")))
                buf_append_str(&text,
                               STR("\nXVERP")); /* its name in lists of keywords is the other */
        if (s->may_xclient)
                add_keyword(
                        s, &text,
                        "XCLIENT NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT");
        if (s->may_xforward)
                add_keyword(s, &text, "XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT");
        add_keyword(s, &text, "ENHANCEDSTATUSCODES");
        add_keyword(s, &text, "8BITMIME");
        add_keyword(s, &text, "DSN");
        add_keyword(s, &text, "SMTPUTF8");
        snprintf(limits, sizeof(limits), "LIMITS RCPTMAX=%lld",
                 (long long)s->params->smtpd_recipient_limit);
        add_keyword(s, &text, limits);
        add_keyword(s, &text, "CHUNKING");
        struct smtp_reply reply = smtp_reply_make(250, NULL, arena_str(&s->arena, buf_str(&text)));
        buf_done(&text);
        return reply;
}

/*
 * What is not offered to this client, for the rest of its session. Not inlined: an idle session keeps the stack that the
 * answer to EHLO took, and one page must do.
 */
static __attribute__((noinline)) void await_learn_discards(struct session *s)
{
        struct str words;
        struct why why;
        if (!policy_has_map(s->policy, POLICY_DISCARD_EHLO))
                return;
        free(s->discards);
        s->discards = NULL;
        switch (await_policy_map_find(s->policy, POLICY_DISCARD_EHLO, s->facts.client_address,
                                      &s->arena, &words, &why)) {
        case TABLE_FOUND:
                s->discards = strndup(words.ptr, words.len);
                check(s->discards);
                break;
        case TABLE_ERROR:
                log_warning("smtpd", "smtpd_discard_ehlo_keyword_address_maps: %s", why.text);
                break;
        case TABLE_NOT_FOUND:
                break;
        }
}

/* The client's own name for itself, without control characters. */
static char *name_of_client(struct str args)
{
        char *name = strndup(args.ptr, args.len);
        check(name);
        for (char *p = name; *p; p++)
                if ((unsigned char)*p < 0x20 || *p == 0x7f)
                        *p = '?';
        return name;
}

/*
 * A question mark for what could mean something in a header or a command. Postfix: the same, and only when the rules and
 * filters for HELO have seen the name as it came; so tables are asked the same keys.
 */
static void clean_name(char *name)
{
        static const char avoid[] = " <>()\\\";@";
        for (char *p = name; *p; p++)
                if (strchr(avoid, *p))
                        *p = '?';
}

struct smtp_reply await_session_helo(struct session *s, enum smtp_verb verb, struct str args)
{
        if (str_is_empty(args))
                return smtp_reply_make(501, NULL,
                                       verb == SMTP_EHLO ? STR("Syntax: EHLO hostname")
                                                         : STR("Syntax: HELO hostname"));
        session_transaction_end(s);
        enum session_greeting before = s->greeting;
        struct session_early *early_before = NULL;
        if (s->early) {
                early_before = arena_new(&s->arena, struct session_early);
                *early_before = *s->early;
        }
        char *old = s->helo;
        s->helo = name_of_client(args);
        s->greeting = verb == SMTP_EHLO ? GREETED_EHLO : GREETED_HELO;
        s->facts.helo = str_from(s->helo);
        s->facts.protocol = session_protocol(s, false);

        struct smtp_reply refusal;
        if (await_session_refuses(s, POLICY_AT_HELO, &refusal) ||
            await_session_milters_helo(s, &refusal)) {
                free(s->helo);
                s->helo = old;
                s->greeting = before;
                if (early_before)
                        *s->early = *early_before;
                s->facts.helo = str_from(old);
                s->facts.protocol = session_protocol(s, false);
                return refusal;
        }
        free(old);
        clean_name(s->helo);
        await_learn_discards(s);
        return verb == SMTP_EHLO ? offer(s) : smtp_reply_make(250, NULL, s->params->myhostname);
}
