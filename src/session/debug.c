/*
 * debug.c - debug_peer_list: what is said in a session, line by line, in the log
 *
 *   > client.example.com[192.0.2.1]: 250 2.1.0 Ok
 *   < client.example.com[192.0.2.1]: RCPT TO:<a@b.example>
 *
 * In Postfix's words, of which these lines are the part that people look for. The text of messages is not shown, nor what
 * a client says with AUTH, whether we have that or not.
 */
#include "base/log.h"
#include "session/session_private.h"

void session_debug_begin(struct session *s)
{
        struct str name =
                s->facts.client_name_status == CLIENT_NAME_OK ? s->facts.client_name : STR("");
        s->is_debugged = !s->is_local && policy_debugs(s->policy, name, s->facts.client_address);
}

static void show(const struct session *s, char direction, struct str line)
{
        log_info("smtpd", "%c %.*s[%.*s]: %.*s", direction, STR_ARG(s->facts.client_name),
                 STR_ARG(s->facts.client_address), STR_ARG(line));
}

void session_debug_line(struct session *s, struct str line)
{
        if (!s->is_debugged)
                return;
        /* who does not wait for the answer sends name and password on lines of their own */
        enum smtp_verb verb = smtp_command_parse(line).verb;
        s->says_secrets = verb == SMTP_AUTH || (s->says_secrets && verb == SMTP_UNKNOWN);
        show(s, '<',
             verb == SMTP_AUTH ? STR("AUTH (not shown)")
             : s->says_secrets ? STR("(not shown)")
                               : line);
}

void session_debug_reply(const struct session *s, struct str lines)
{
        while (s->is_debugged && lines.len)
                show(s, '>', str_trim(str_cut(&lines, '\n')));
}
