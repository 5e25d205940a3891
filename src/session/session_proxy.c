/*
 * session_proxy.c - smtpd_proxy_filter: a transaction that a content filter in front of the queue answers for
 *
 * Who may send what to whom is our affair, as for any session. What passes goes to the filter, command by command as it came: MAIL with the
 * first recipient, each RCPT, DATA, the text behind our Received line; its answers are the client's. With speed_adjust it hears
 * of none of this before the whole message is in the draft, whose bounds and file hold for it as for any message of ours; its first
 * refusal is then the answer to all of it.
 *
 * Nothing is kept: a message that the filter has taken is the filter's, and one that it has not is still the client's. So cleanup/,
 * which makes what the spool keeps, has no part in it, and filters of smtpd_milters see the commands alone (as in Postfix).
 *
 * Why in this room: doc/decisions/0066-filters-before-the-queue.md
 */
#include "base/check.h"
#include "base/log.h"
#include "session/proxy.h"
#include "session/session_private.h"

#include <errno.h>
#include <stdlib.h>

enum { PIECE_BYTES = 64 * 1024 };

struct kept_rcpt {
        struct kept_rcpt *next;
        struct str command;
};

struct session_proxy {
        const struct proxy_filter *filter;
        struct proxy_dialogue *dialogue; /* NULL: none now */
        struct str mail; /* the command; in the transaction's arena, as those below */
        struct kept_rcpt *first, **last; /* with speed_adjust: what the filter has to hear yet */
        int64_t passed;                  /* bytes of text that it got */
};

/* Mail of this machine's own programs is not filtered (Postfix: sendmail does not come by smtpd); nor what is made up for a rehearsal. */
const struct proxy_filter *session_proxy_filter(const struct session *s)
{
        const struct proxy_filter *filter = s->service->proxy_filter;
        return s->is_local || s->service->parts.is_rehearsal ? NULL : filter;
}

/* "RCPT TO:<a@b> NOTIFY=NEVER" in the transaction's arena; empty when a line of it could be taken for two. */
static struct str command_of(struct session *s, const char *verb, struct str args)
{
        for (size_t i = 0; i < args.len; i++)
                if (((unsigned char)args.ptr[i] < ' ' && args.ptr[i] != '\t') ||
                    args.ptr[i] == 0x7f)
                        return STR("");
        return arena_printf(&s->transaction->arena, "%s %.*s", verb, STR_ARG(args));
}

static struct smtp_reply control_characters(void)
{
        return smtp_reply_make(501, "5.5.2", STR("Error: control characters in a command"));
}

bool session_proxy_begin(struct session *s, struct str args, struct smtp_reply *reply)
{
        struct session_proxy *p = calloc(1, sizeof(*p));
        check(p);
        p->filter = session_proxy_filter(s);
        p->last = &p->first;
        s->transaction->proxy = p;
        p->mail = command_of(s, "MAIL", args);
        *reply = control_characters();
        return p->mail.len > 0;
}

void session_proxy_free(struct session_proxy **pp)
{
        if (!*pp)
                return;
        proxy_dialogue_free(&(*pp)->dialogue);
        free(*pp);
        *pp = NULL;
}

/* A refusal of the filter's, or of ours in its stead: explained, logged; 421 and 521 close. */
static void note_refusal(struct session *s, enum policy_event event, const struct smtp_reply *reply)
{
        session_explain_refusal(s, session_rule_name(s, "smtpd_proxy_filter"));
        policy_log_refusal("proxy-reject", event, &s->facts, reply);
        listener_counts(s->listener)->refused++;
        if (reply->code == 421 || reply->code == 521)
                s->is_closing = true;
}

/* For `forepost explain`: what the filter was asked, and what came back. */
static void note_answer(struct session *s, const char *asked, const struct smtp_reply *reply)
{
        const struct trace_look look = {
                .kind = "proxy",
                .table = s->transaction->proxy->filter->endpoint.text,
                .asked = str_from(asked),
                .said = arena_printf(&s->arena, "%d %s %.*s", reply->code,
                                     reply->enhanced ? reply->enhanced : "", STR_ARG(reply->text)),
                .result = smtp_reply_refuses(reply) ? "refused" : "taken",
        };
        session_explain_step(s, "smtpd_proxy_filter",
                             smtp_reply_refuses(reply) ? "refuse" : "dunno", &look);
}

/* ---- what the filter hears ---- */

/* Connects, and says XFORWARD and MAIL. False: there is no dialogue then, and the next recipient may try again. */
static bool await_open(struct session *s, struct smtp_reply *reply)
{
        struct transaction *t = s->transaction;
        struct session_proxy *p = t->proxy;
        struct envelope origin = t->envelope;
        origin.is_local = await_cleanup_is_local(t->cleanup);
        session_forward_apply(s, &origin);
        p->dialogue = proxy_dialogue_new(p->filter, s->params);
        if (await_proxy_open(p->dialogue, &origin, &s->arena, reply) &&
            await_proxy_command(p->dialogue, p->mail, PROXY_WANTS_OK, &s->arena, reply))
                return true;
        proxy_dialogue_free(&p->dialogue);
        return false;
}

bool await_session_proxy_mail(struct session *s, struct smtp_reply *reply)
{
        struct session_proxy *p = s->transaction->proxy;
        if (!p || p->filter->adjusts_speed)
                return false;
        bool is_taken = await_open(s, reply);
        note_answer(s, "MAIL", reply);
        if (!is_taken)
                note_refusal(s, POLICY_AT_MAIL, reply);
        return !is_taken;
}

bool await_session_proxy_rcpt(struct session *s, struct str args, struct smtp_reply *reply)
{
        struct session_proxy *p = s->transaction->proxy;
        struct str command = command_of(s, "RCPT", args);
        if (command.len == 0) {
                *reply = control_characters();
                return true;
        }
        if (p->filter->adjusts_speed) {
                struct kept_rcpt *kept = arena_new(&s->transaction->arena, struct kept_rcpt);
                *kept = (struct kept_rcpt){.command = command};
                *p->last = kept;
                p->last = &kept->next;
                return false;
        }
        bool is_taken = (p->dialogue || await_open(s, reply)) &&
                        await_proxy_command(p->dialogue, command, PROXY_WANTS_OK, &s->arena, reply);
        note_answer(s, "RCPT", reply);
        if (!is_taken)
                note_refusal(s, POLICY_AT_RCPT, reply);
        return !is_taken;
}

bool await_session_proxy_data(struct session *s, struct smtp_reply *reply)
{
        struct session_proxy *p = s->transaction->proxy;
        if (!p || p->filter->adjusts_speed ||
            await_proxy_command(p->dialogue, STR("DATA"), PROXY_WANTS_MORE, &s->arena, reply))
                return false;
        note_answer(s, "DATA", reply);
        note_refusal(s, POLICY_AT_DATA, reply);
        return true;
}

/* ---- the text ---- */

int64_t session_proxy_bytes(const struct transaction *t)
{
        return t->proxy->passed + spool_draft_bytes(t->draft);
}

int await_session_proxy_text(struct session *s, struct why *why)
{
        struct transaction *t = s->transaction;
        struct session_proxy *p = t->proxy;
        if (p->filter->adjusts_speed)
                return await_spool_draft_settle(t->draft, why);
        struct buf *text = spool_draft_buf(t->draft);
        bool is_taken = await_proxy_text(p->dialogue, buf_str(text));
        p->passed += (int64_t)text->len;
        buf_clear(text);
        return is_taken ? 0 : why_set(why, -EPIPE, "the proxy filter is gone");
}

/* The draft, from its front. */
static bool await_pass_draft(struct session *s, struct smtp_reply *reply)
{
        struct transaction *t = s->transaction;
        struct buf piece;
        struct why why;
        size_t got = 1;
        int64_t offset = 0;
        int rc = 0;
        bool is_taken = true;
        buf_init(&piece, PIECE_BYTES);
        char *room = buf_reserve(&piece, PIECE_BYTES);
        check(room);
        while (rc == 0 && got && is_taken) {
                rc = await_spool_draft_read(t->draft, offset, room, PIECE_BYTES, &got, &why);
                offset += (int64_t)got;
                if (rc == 0)
                        is_taken = await_proxy_text(t->proxy->dialogue, str_make(room, got));
        }
        buf_done(&piece);
        if (rc < 0)
                log_warning("smtpd", "proxy speed-adjust log I/O error: %s", why.text);
        *reply = proxy_failure();
        return rc == 0 && is_taken;
}

/* speed_adjust: all of it at once, up to the first refusal. */
static bool await_replay(struct session *s, struct smtp_reply *reply)
{
        struct session_proxy *p = s->transaction->proxy;
        if (!await_open(s, reply))
                return false;
        for (const struct kept_rcpt *r = p->first; r; r = r->next)
                if (!await_proxy_command(p->dialogue, r->command, PROXY_WANTS_OK, &s->arena, reply))
                        return false;
        return await_proxy_command(p->dialogue, STR("DATA"), PROXY_WANTS_MORE, &s->arena, reply) &&
               await_pass_draft(s, reply);
}

/* What access tables asked for and only cleanup/ can do. */
static void warn_of_lost_actions(const struct session *s)
{
        const struct policy_effects *e = &s->transaction->effects;
        const struct {
                bool is_asked;
                const char *name;
        } actions[] = {{e->is_held, "HOLD"},
                       {e->is_discarded, "DISCARD"},
                       {e->filter.len > 0, "FILTER"},
                       {e->redirect.text.len > 0, "REDIRECT"},
                       {e->bcc_count > 0, "BCC"}};
        for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                if (actions[i].is_asked)
                        log_warning("smtpd",
                                    "access table: with smtpd_proxy_filter specified, action %s "
                                    "is unavailable",
                                    actions[i].name);
}

struct smtp_reply await_session_proxy_end(struct session *s)
{
        struct session_proxy *p = s->transaction->proxy;
        struct smtp_reply reply;
        warn_of_lost_actions(s);
        bool has_answer = !p->filter->adjusts_speed || await_replay(s, &reply);
        if (has_answer)
                has_answer = await_proxy_end(p->dialogue, &s->arena, &reply);
        note_answer(s, "END-OF-MESSAGE", &reply);
        if (!has_answer || smtp_reply_refuses(&reply)) {
                note_refusal(s, POLICY_AT_END_OF_DATA, &reply);
                return reply;
        }
        policy_log_refusal("proxy-accept", POLICY_AT_END_OF_DATA, &s->facts, &reply);
        s->messages++;
        return reply;
}
