/*
 * log.h - log lines, in Postfix's format or as JSON, to stderr, a file or syslog
 *
 *   Nov 22 10:53:01 mx1 forepost/smtpd[4711]: 4gXyZ12abcz9: client=a.example[192.0.2.1]
 *   {"time":"2026-11-22T10:53:01.123456Z","level":"info","service":"smtpd","pid":4711,
 *    "queue_id":"4gXyZ12abcz9","text":"client=a.example[192.0.2.1]"}
 *
 * Bytes that are not printable never reach a log: they become '?' (Postfix format) or escapes.
 * A line is at most LOG_LINE_BYTES_MAX long; the rest is cut.
 *
 * Threads: any. A thread that runs a loop collects its lines and writes them once a turn
 * (log_flush); every other thread writes each line at once.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/why.h"

#include <stdbool.h>

enum log_level {
        LOG_LEVEL_DEBUG,
        LOG_LEVEL_INFO,
        LOG_LEVEL_WARNING,
        LOG_LEVEL_ERROR,
        LOG_LEVEL_FATAL, /* this process cannot go on; the cause is outside */
        LOG_LEVEL_PANIC, /* our own bug */
};

enum log_target { LOG_TO_STDERR, LOG_TO_FILE, LOG_TO_SYSLOG };
enum log_format { LOG_AS_POSTFIX, LOG_AS_JSON };

enum { LOG_LINE_BYTES_MAX = 2000 };

struct log_options {
        enum log_target target;
        enum log_format format;
        const char *path; /* of the file (maillog_file), or of syslog's socket (NULL: /dev/log) */
        const char *name; /* syslog_name, before the service */
        const char *hostname; /* myhostname, up to its first dot */
        int facility;         /* syslog's, as in syslog.h: LOG_MAIL */
        bool wants_debug;
};

/*
 * Sets where lines go from now on; before the first call they go to stderr. Strings are copied.
 * On an error the old setting stays.
 */
int log_open(const struct log_options *options, struct why *why);
/* Opens the file again, after it was moved away. */
int log_reopen(struct why *why);

/* `service` is Postfix's word for who speaks: smtpd, smtp, cleanup, qmgr, bounce... NULL: none. */
void log_write(enum log_level level, const char *service, const char *format, ...)
        __attribute__((format(printf, 3, 4)));
/* The same about a queued message. */
void log_mail(enum log_level level, const char *service, const char *queue_id, const char *format,
              ...) __attribute__((format(printf, 4, 5)));

#define log_debug(...)   log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)
#define log_info(...)    log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_error(...)   log_write(LOG_LEVEL_ERROR, __VA_ARGS__)

/* From now on this thread's lines wait for log_flush(); until log_collect_end(). */
void log_collect(void);
void log_collect_end(void);
void log_flush(void);

#endif
