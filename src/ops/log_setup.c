/* log_setup.c - where log lines go, by the configuration */
#include "ops/log_setup.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

enum { PATH_BYTES_MAX = 512 };

/* in the order of syslog_facility's words in params.def */
static const int facilities[] = {
        LOG_MAIL,   LOG_AUTH,   LOG_AUTHPRIV, LOG_CRON,   LOG_DAEMON, LOG_FTP,    LOG_KERN,
        LOG_LPR,    LOG_NEWS,   LOG_SYSLOG,   LOG_USER,   LOG_UUCP,   LOG_LOCAL0, LOG_LOCAL1,
        LOG_LOCAL2, LOG_LOCAL3, LOG_LOCAL4,   LOG_LOCAL5, LOG_LOCAL6, LOG_LOCAL7,
};

static enum log_target target_of(const struct params *params)
{
        struct str file = str_trim(params->maillog_file);
        if (file.len == 0 || str_eq(file, STR("/dev/stderr")))
                return LOG_TO_STDERR;
        return str_eq_nocase(file, STR("syslog")) ? LOG_TO_SYSLOG : LOG_TO_FILE;
}

static bool is_device(struct str path)
{
        return str_starts(path, STR("/dev/"));
}

/* Is it `prefix` itself, or something below it? */
static bool is_below(struct str path, struct str prefix)
{
        if (!str_starts(path, prefix))
                return false;
        return path.len == prefix.len || str_ends(prefix, STR("/")) || path.ptr[prefix.len] == '/';
}

void log_setup_lint(const struct config *c, struct findings *findings)
{
        struct str path = str_trim(c->params.maillog_file);
        struct place at = config_place(c, "maillog_file");
        if (target_of(&c->params) != LOG_TO_FILE)
                return;
        if (path.len >= PATH_BYTES_MAX || path.ptr[0] != '/') {
                findings_add(findings, SEVERITY_ERROR, "bad-log-file", at,
                             "give the whole path, from /, or: syslog",
                             "maillog_file \"%.*s\" is not the whole path of a file",
                             STR_ARG(path));
                return;
        }
        struct str rest = c->params.maillog_file_prefixes;
        struct str prefix;
        while (config_list_next(&rest, &prefix))
                if (is_below(path, prefix))
                        return;
        findings_add(findings, SEVERITY_ERROR, "bad-log-file", at,
                     "add its directory to maillog_file_prefixes",
                     "maillog_file %.*s is under none of maillog_file_prefixes (%.*s)",
                     STR_ARG(path), STR_ARG(c->params.maillog_file_prefixes));
}

/* Makes it the user's who will write it; what is not root's is left as it is. */
static int give_file(int fd, const struct identity *owner)
{
        struct stat st;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != 0)
                return 0;
        return fchown(fd, owner->uid, (gid_t)-1) < 0 ? -errno : 0;
}

int log_setup_make_file(const struct config *c, const struct identity *owner, struct why *why)
{
        struct str file = str_trim(c->params.maillog_file);
        if (target_of(&c->params) != LOG_TO_FILE || is_device(file) || !owner->drops)
                return 0;
        char path[PATH_BYTES_MAX];
        snprintf(path, sizeof(path), "%.*s", STR_ARG(file));
        const int flags = O_WRONLY | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        int fd = open(path, flags | O_CREAT | O_EXCL, 0640);
        bool is_new = fd >= 0;
        if (!is_new && errno == EEXIST)
                fd = open(path, flags);
        if (fd < 0 && errno == ELOOP)
                return 0; /* a link is the administrator's arrangement */
        int rc = fd < 0 ? -errno : give_file(fd, owner);
        if (rc == 0 && is_new && fchmod(fd, 0640) < 0)
                rc = -errno;
        if (fd >= 0)
                close(fd);
        if (rc < 0)
                return why_set(why, rc, "cannot make log file %s: %s", path, why_errno(rc));
        return 0;
}

/*
 * The directory may be the server's user's own: as root we would write through any link that is planted there.
 */
static int open_as(const struct identity *owner, const struct log_options *options, struct why *why)
{
        if (setegid(owner->gid) < 0 || seteuid(owner->uid) < 0)
                return why_set(why, -errno, "cannot open the log as user %s: %s", owner->name,
                               why_errno(errno));
        int rc = log_open(options, why);
        check(seteuid(0) == 0 && setegid(0) == 0);
        return rc;
}

int log_setup_open(const struct config *c, const struct identity *owner, struct why *why)
{
        char path[PATH_BYTES_MAX];
        char name[64];
        char hostname[128];
        snprintf(path, sizeof(path), "%.*s", STR_ARG(str_trim(c->params.maillog_file)));
        snprintf(name, sizeof(name), "%.*s", STR_ARG(c->params.syslog_name));
        snprintf(hostname, sizeof(hostname), "%.*s", STR_ARG(c->params.myhostname));
        enum log_target target = target_of(&c->params);
        const struct log_options options = {
                .target = target,
                .format = c->params.log_format == LOG_FORMAT_JSON ? LOG_AS_JSON : LOG_AS_POSTFIX,
                .path = target == LOG_TO_FILE ? path : NULL,
                .name = name,
                .hostname = hostname,
                .facility = facilities[c->params.syslog_facility],
        };
        bool is_file = target == LOG_TO_FILE && !is_device(str_from(path));
        return is_file && owner->drops && geteuid() == 0 ? open_as(owner, &options, why)
                                                         : log_open(&options, why);
}
