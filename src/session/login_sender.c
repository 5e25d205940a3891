/*
 * login_sender.c - local_login_sender_maps: which senders may a user of this machine name?
 *
 * Of mail that comes over the public socket, where the kernel says who it is (postdrop(1) asks the same). The table is asked for the
 * user's login name, or "uid:1000" of one that has none, and says which senders he may use: "*" any, "<>" the null sender
 * (empty_address_local_login_sender_maps_lookup_key), "@domain" all of it, else addresses. Extensions of addresses do not count.
 */
#include "base/check.h"
#include "base/log.h"
#include "loop/pool.h"
#include "session/session_private.h"

#include <pwd.h>

enum { ROOM_BYTES = 16384 };

struct login {
        unsigned uid;
        char name[256]; /* empty: there is none */
};

/* On the pool: a user list may be on a server. */
static int find_login(void *arg)
{
        struct login *l = arg;
        char *room = malloc(ROOM_BYTES);
        struct passwd entry;
        struct passwd *found;
        l->name[0] = '\0';
        check(room);
        if (getpwuid_r(l->uid, &entry, room, ROOM_BYTES, &found) == 0 && found)
                snprintf(l->name, sizeof(l->name), "%s", found->pw_name);
        free(room);
        return 0;
}

/* user+ext@domain as user@domain */
static struct str without_extension(struct session *s, const struct smtp_address *sender)
{
        for (size_t i = 1; i < sender->local.len; i++)
                if (str_find(s->params->recipient_delimiter, sender->local.ptr[i]) >= 0)
                        return smtp_address_make(str_part(sender->local, 0, i), sender->domain,
                                                 &s->arena)
                                .text;
        return sender->text;
}

static struct smtp_address complete(struct session *s, const struct smtp_address *address)
{
        return policy_complete(s->params, s->params->myorigin, s->params->mydomain, address,
                               &s->arena);
}

/* `sender` is complete, as sendmail(1) sends it; so is made what a pattern says. */
static bool permits(struct session *s, struct str pattern, const struct smtp_address *sender)
{
        struct smtp_address meant;
        if (str_eq(pattern, STR("*")))
                return true;
        if (str_is_empty(sender->text))
                return str_eq(pattern, s->params->empty_address_local_login_sender_maps_lookup_key);
        if (str_starts(pattern, STR("@")))
                return str_eq_nocase(str_tail(pattern, 1), sender->domain);
        if (smtp_address_parse(pattern, &s->arena, &meant) || str_is_empty(meant.text))
                return false;
        meant = complete(s, &meant);
        return str_eq_nocase(meant.text, sender->text) ||
               str_eq_nocase(meant.text, without_extension(s, sender));
}

bool await_session_login_refuses(struct session *s, const struct smtp_address *sender,
                                 struct smtp_reply *refusal)
{
        struct login login = {.uid = s->local_uid};
        struct str patterns = STR("");
        struct str pattern;
        struct why why;
        if (!s->is_local || str_eq(s->params->local_login_sender_maps, STR("static:*")))
                return false;
        await_pool_run("looking up a user", STR("passwd"), find_login, &login);
        struct str key = login.name[0] ? str_from(login.name)
                                       : arena_printf(&s->arena, "uid:%u", s->local_uid);
        if (await_policy_map_find(s->policy, POLICY_LOCAL_LOGIN, key, &s->arena, &patterns, &why) ==
            TABLE_ERROR) {
                log_warning("pickup", "local_login_sender_maps: %s", why.text);
                *refusal = smtp_reply_make(451, "4.3.0", STR("Temporary lookup failure"));
                return true;
        }
        struct smtp_address whole = complete(s, sender);
        while (config_list_next(&patterns, &pattern))
                if (permits(s, pattern, &whole))
                        return false;
        log_warning("pickup", "uid=%u: sender <%.*s> is not one of local_login_sender_maps",
                    s->local_uid, STR_ARG(sender->text));
        *refusal = smtp_reply_make(553, "5.7.1",
                                   arena_printf(&s->arena,
                                                "<%.*s>: Sender address rejected: not owned by "
                                                "user %.*s",
                                                STR_ARG(sender->text), STR_ARG(key)));
        return true;
}
