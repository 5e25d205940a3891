/*
 * log.h - log lines, in Postfix's format or as JSON, to stderr, a file or syslog
 *
 *   Nov 22 10:53:01 mx1 forepost/smtpd[4711]: 4gXyZ12abcz9: client=a.example[192.0.2.1]
 *   {"time":"2026-11-22T10:53:01.123456Z","level":"info","service":"smtpd","pid":4711,
 *    "queue_id":"4gXyZ12abcz9","text":"client=a.example[192.0.2.1]"}
 *
 * Bytes that are neither printable ASCII nor UTF-8 never reach a log: they become '?' (Postfix format) or escapes.
 * A line is at most LOG_LINE_BYTES_MAX long; the rest is cut.
 *
 * Threads: any. A thread that runs a loop collects its lines and gives them away once a turn
 * (log_flush); every other thread each line at once. Once log_thread_start() was called, one thread writes for
 * all: a pipe that nobody reads, a disk or a syslog that hangs keeps no other waiting. What does not
 * fit into its LOG_WAITING_BYTES_MAX meanwhile is dropped and counted, and the log says so.
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

enum { LOG_LINE_BYTES_MAX = 2000, LOG_WAITING_BYTES_MAX = 4 * 1024 * 1024 };

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

/* From now on only warnings and worse are written: for tools whose output is not a log. Before threads. */
void log_only_trouble(void);

/* From now on lines are written by a thread. Not before a fork(). 0 or a negative errno value. */
int log_thread_start(struct why *why);
/* Waits for at most `ms` for what is still to be written, then each line is written at once again. */
void log_thread_stop(int ms);
/* Waits for at most `ms` until all lines so far are out; for who is about to die. */
void log_sync(int ms);
/* How many lines were dropped since the start. */
size_t log_dropped(void);

/* This process's id, as lines show it: getpid() would be a system call each time. */
int log_pid(void);

/* From now on this thread's lines wait for log_flush(); until log_collect_end(). */
void log_collect(void);
void log_collect_end(void);
void log_flush(void);

#endif
