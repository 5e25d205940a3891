/* identity.c - the user that the worker runs as */
#include "ops/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <unistd.h>

static void find_ourselves(struct identity *out)
{
        *out = (struct identity){.uid = geteuid(), .gid = getegid()};
        const struct passwd *pw = getpwuid(out->uid);
        if (pw)
                snprintf(out->name, sizeof(out->name), "%s", pw->pw_name);
        else
                snprintf(out->name, sizeof(out->name), "%u", (unsigned)out->uid);
}

int identity_find(const struct config *c, struct identity *out, struct findings *findings)
{
        find_ourselves(out);
        if (out->uid != 0)
                return 0;
        char owner[sizeof(out->name)];
        snprintf(owner, sizeof(owner), "%.*s", STR_ARG(c->params.mail_owner));
        struct place at = config_place(c, "mail_owner");
        const struct passwd *pw = getpwnam(owner);
        if (!pw) {
                char cure[200];
                snprintf(cure, sizeof(cure),
                         "useradd --system --no-create-home --shell /usr/sbin/nologin %s", owner);
                findings_add(findings, SEVERITY_ERROR, "no-such-user", at, cure,
                             "mail_owner = %s: there is no such user for the server to run as",
                             owner);
                return -ENOENT;
        }
        if (pw->pw_uid == 0) {
                findings_add(
                        findings, SEVERITY_ERROR, "mail-owner-root", at,
                        "name an ordinary system user",
                        "mail_owner = %s is the superuser; the server must run as an ordinary user",
                        owner);
                return -ENOENT;
        }
        out->uid = pw->pw_uid;
        out->gid = pw->pw_gid;
        out->drops = true;
        memcpy(out->name, owner, sizeof(owner));
        return 0;
}

static int drop(const struct identity *id, struct why *why)
{
        if (initgroups(id->name, id->gid) < 0 || setgid(id->gid) < 0 || setuid(id->uid) < 0)
                return why_set(why, -errno, "cannot become user %s: %s", id->name,
                               why_errno(errno));
        if (setuid(0) == 0)
                return why_set(why, -EPERM, "became user %s and could still become root again",
                               id->name);
        return 0;
}

int identity_become(const struct identity *id, struct why *why)
{
        int rc = id->drops ? drop(id, why) : 0;
        if (rc == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                rc = why_set(why, -errno, "cannot set no_new_privs: %s", why_errno(errno));
        return rc;
}
