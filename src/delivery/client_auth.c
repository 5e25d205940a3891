/*
 * client_auth.c - AUTH (RFC 4954): the exchange of sasl.h over the connection
 *
 * A first answer that would not fit into a command line waits for the server to ask for it. Whatever the server asks, it asks
 * a few times only. No line of ours is logged.
 */
#include "delivery/client.h"

#include "base/clock.h"

#include <errno.h>

enum { COMMAND_BYTES_MAX = 512, ROUNDS_MAX = 8 };

static int fail(const struct client *c, struct str text, struct arena *arena,
                struct trouble *trouble)
{
        *trouble = *client_trouble_say(
                false, "4.7.0",
                arena_printf(arena, "SASL authentication failed; %.*s", STR_ARG(text)), arena);
        return -ECONNABORTED;
}

/* The server has said no. */
static int refused(const struct client *c, struct arena *arena, struct trouble *trouble)
{
        fail(c,
             arena_printf(arena, "server %s[%s] said: %.*s", c->host, c->address,
                          STR_ARG(client_reply_text(c, ' ', arena))),
             arena, trouble);
        trouble->is_permanent =
                c->reader.code >= 500 && !c->transport->params->smtp_sasl_auth_soft_bounce;
        client_reply_dsn(c, trouble->dsn);
        if (!trouble->is_permanent)
                trouble->dsn[0] = '4';
        trouble->reply = client_reply_text(c, '\n', arena);
        return -ECONNABORTED;
}

/* It has said no before, to the same password, and is not asked again. */
static int refused_before(const struct client *c, const struct sasl_refusal *before,
                          struct arena *arena, struct trouble *trouble)
{
        bool is_soft = c->transport->params->smtp_sasl_auth_soft_bounce;
        *trouble = *client_trouble_say(
                before->dsn[0] == '5' && !is_soft, before->dsn,
                arena_printf(arena, "SASL [CACHED] authentication failed; server %s said: %.*s",
                             c->host, STR_ARG(before->text)),
                arena);
        if (!trouble->is_permanent)
                trouble->dsn[0] = '4';
        trouble->reply = before->text;
        return -ECONNABORTED;
}

static void note_refusal(const struct client *c, const struct sasl_login *login,
                         struct arena *arena)
{
        struct sasl_refusal refusal = {.text = client_reply_text(c, ' ', arena)};
        if (c->reader.code != 535)
                return;
        client_reply_dsn(c, refusal.dsn);
        sasl_refusal_note(c->transport->params, str_from(c->host), login, &refusal,
                          clock_wall_us());
}

/* A line, and its reply. */
static int await_say(struct client *c, struct str line, struct arena *arena,
                     struct trouble *trouble)
{
        client_debug(c, '>',
                     str_starts(line, STR("AUTH ")) ? STR("AUTH (not shown)") : STR("(not shown)"));
        int rc = wire_put(c->wire, line);
        if (rc == 0)
                rc = wire_put(c->wire, STR("\r\n"));
        if (rc == 0)
                rc = await_client_reply(c, c->transport->params->smtp_helo_timeout);
        if (rc < 0)
                *trouble = *client_trouble_lost(c, AT_AUTH, rc, arena);
        return rc;
}

/* Our side cannot go on: "*" takes it back (RFC 4954 4). */
static int await_take_back(struct client *c, const struct why *why, struct arena *arena,
                           struct trouble *trouble)
{
        struct str text = arena_str(arena, str_from(why->text));
        int rc = await_say(c, STR("*"), arena, trouble);
        return rc < 0 ? rc : fail(c, text, arena, trouble);
}

static int await_exchange(struct client *c, struct sasl_exchange *x, struct str first,
                          enum sasl_mechanism m, const struct sasl_login *login,
                          struct arena *arena, struct trouble *trouble)
{
        struct why why;
        struct str answer = first;
        struct str line = arena_printf(arena, "AUTH %s%s%.*s", sasl_name(m), first.len ? " " : "",
                                       STR_ARG(first));
        bool holds_back = line.len + 2 > COMMAND_BYTES_MAX;
        if (holds_back)
                line = arena_printf(arena, "AUTH %s", sasl_name(m));
        int rc = await_say(c, line, arena, trouble);
        for (size_t round = 0; rc == 0 && c->reader.code == 334 && round < ROUNDS_MAX; round++) {
                struct str challenge = str_trim(buf_str(&c->reader.text));
                if (holds_back)
                        holds_back = false;
                else if (sasl_exchange_step(x, challenge, &answer, &why) < 0)
                        return await_take_back(c, &why, arena, trouble);
                rc = await_say(c, answer, arena, trouble);
        }
        if (rc < 0)
                return rc;
        if (c->reader.code == 235)
                return 0;
        note_refusal(c, login, arena);
        return refused(c, arena, trouble);
}

int await_client_sign_in(struct client *c, const struct sasl_login *login, struct arena *arena,
                         struct trouble *trouble)
{
        enum sasl_mechanism m;
        struct why why;
        struct str first;
        struct sasl_refusal before;
        if (!login->user.len || !c->has_auth)
                return 0;
        if (sasl_refusal_find(c->transport->params, str_from(c->host), login, clock_wall_us(),
                              arena, &before))
                return refused_before(c, &before, arena, trouble);
        int rc = await_sasl_choose(c->transport, c->mechanisms, c->cover, arena, &m, &why);
        if (rc == -ENOENT)
                why_set(&why, rc,
                        "server %s[%s] offered no compatible authentication mechanisms for this "
                        "type of connection security",
                        c->host, c->address);
        if (rc < 0)
                return fail(c, arena_str(arena, str_from(why.text)), arena, trouble);
        struct sasl_exchange *x = sasl_exchange_new(m, login, &why);
        if (!x || sasl_exchange_step(x, STR(""), &first, &why) < 0)
                rc = fail(c, arena_str(arena, str_from(why.text)), arena, trouble);
        else
                rc = await_exchange(c, x, first, m, login, arena, trouble);
        sasl_exchange_free(&x);
        c->is_signed_in = rc == 0;
        return rc;
}
