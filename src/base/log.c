/*
 * log.c - log lines, in Postfix's format or as JSON, to stderr, a file or syslog
 *
 * A line is put together on the stack, then appended to the thread's buffer or written. One
 * write() carries whole lines only, and files are opened O_APPEND, so that lines of several
 * threads and processes do not mix. When log_thread_start() was called, it is one thread that writes.
 */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/format.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { COLLECT_BYTES_MAX = 64 * 1024, LAST_WORDS_MS = 1000 };

/*
 * Immutable, so that a line can be put together without a lock. Those that a reload has replaced are kept:
 * some thread may be at a line with them. Equal ones are not made twice.
 */
struct settings {
        struct settings *next; /* of all that ever were */
        enum log_target target;
        enum log_format format;
        char path[512];
        char name[64];
        char hostname[128];
        int facility;
        bool wants_debug;
};

static struct settings initial = {.name = "forepost", .hostname = "localhost", .facility = 2 << 3};

static struct {
        pthread_rwlock_t lock; /* over fd */
        int fd;
        unsigned changes; /* of fd, so that the writer knows that its own is old */
        struct settings *now;
        struct settings *all;
} out = {.lock = PTHREAD_RWLOCK_INITIALIZER, .fd = 2, .now = &initial};

static __thread struct {
        bool is_on;
        size_t len;
        char *bytes;
} collected;

static const char *const level_names[] = {"debug", "info", "warning", "error", "fatal", "panic"};
static const int level_severity[] = {7, 6, 4, 3, 2, 2};

/* getpid() is a system call each time, and there are seven lines for a message. */
static atomic_int known_pid;

static void forget_pid(void)
{
        atomic_store_explicit(&known_pid, 0, memory_order_relaxed);
}

static void watch_forks(void)
{
        pthread_atfork(NULL, NULL, forget_pid);
}

int log_pid(void)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        int pid = atomic_load_explicit(&known_pid, memory_order_relaxed);
        if (pid)
                return pid;
        pthread_once(&once, watch_forks);
        pid = getpid();
        atomic_store_explicit(&known_pid, pid, memory_order_relaxed);
        return pid;
}

static int open_target(enum log_target target, const char *path, struct why *why)
{
        if (target == LOG_TO_STDERR)
                return 2;
        if (target == LOG_TO_FILE) {
                int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
                if (fd < 0)
                        return why_set(why, -errno, "cannot open log file %s: %s", path,
                                       why_errno(errno));
                return fd;
        }
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        if (strlen(path) >= sizeof(address.sun_path))
                return why_set(why, -ENAMETOOLONG, "syslog socket path is too long: %s", path);
        memcpy(address.sun_path, path, strlen(path));
        int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return why_set(why, -errno, "cannot make a socket for syslog: %s",
                               why_errno(errno));
        if (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
                int code = -errno;
                close(fd);
                return why_set(why, code, "cannot reach syslog at %s: %s", path, why_errno(code));
        }
        return fd;
}

static void copy_text(char *to, size_t room, const char *from)
{
        snprintf(to, room, "%s", from ? from : "");
}

static void close_target(void)
{
        if (out.fd > 2)
                close(out.fd);
}

static const struct settings *settings_now(void)
{
        return __atomic_load_n(&out.now, __ATOMIC_ACQUIRE);
}

static bool only_trouble;

void log_only_trouble(void)
{
        only_trouble = true;
}

static bool settings_equal(const struct settings *a, const struct settings *b)
{
        return a->target == b->target && a->format == b->format && a->facility == b->facility &&
               a->wants_debug == b->wants_debug && strcmp(a->path, b->path) == 0 &&
               strcmp(a->name, b->name) == 0 && strcmp(a->hostname, b->hostname) == 0;
}

/* Under the lock. */
static void use_settings(const struct log_options *o, const char *path)
{
        struct settings *s = calloc(1, sizeof(*s));
        if (!s)
                return; /* as it was */
        s->target = o->target;
        s->format = o->format;
        copy_text(s->path, sizeof(s->path), path);
        copy_text(s->name, sizeof(s->name), o->name ? o->name : "forepost");
        copy_text(s->hostname, sizeof(s->hostname), o->hostname ? o->hostname : "localhost");
        char *dot = strchr(s->hostname, '.');
        if (dot)
                *dot = 0;
        s->facility = o->facility;
        s->wants_debug = o->wants_debug;
        for (struct settings *old = out.all; old; old = old->next) {
                if (settings_equal(old, s)) {
                        __atomic_store_n(&out.now, old, __ATOMIC_RELEASE);
                        free(s);
                        return;
                }
        }
        s->next = out.all;
        out.all = s;
        __atomic_store_n(&out.now, s, __ATOMIC_RELEASE);
}

int log_open(const struct log_options *o, struct why *why)
{
        const char *path = o->path ? o->path : o->target == LOG_TO_SYSLOG ? "/dev/log" : "";
        int fd = open_target(o->target, path, why);
        if (fd < 0)
                return fd;
        log_flush();
        pthread_rwlock_wrlock(&out.lock);
        close_target();
        out.fd = fd;
        out.changes++;
        use_settings(o, path);
        pthread_rwlock_unlock(&out.lock);
        return 0;
}

int log_reopen(struct why *why)
{
        pthread_rwlock_wrlock(&out.lock);
        int fd = open_target(out.now->target, out.now->path, why);
        if (fd >= 0) {
                close_target();
                out.fd = fd;
                out.changes++;
        }
        pthread_rwlock_unlock(&out.lock);
        return fd < 0 ? fd : 0;
}

static void write_all(int fd, const char *bytes, size_t len)
{
        while (len) {
                ssize_t n = write(fd, bytes, len);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return; /* nobody left to tell */
                bytes += n;
                len -= (size_t)n;
        }
}

/* False: syslog was started anew since, and listens at another socket of the same name. */
static bool try_emit(const char *line, size_t len)
{
        bool is_out = true;
        pthread_rwlock_rdlock(&out.lock);
        if (out.now->target != LOG_TO_SYSLOG)
                write_all(out.fd, line, len);
        else if (send(out.fd, line, len, MSG_NOSIGNAL) < 0)
                is_out = errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET;
        pthread_rwlock_unlock(&out.lock);
        return is_out;
}

static void emit_now(const char *line, size_t len)
{
        struct why why;
        if (!try_emit(line, len) && log_reopen(&why) == 0)
                try_emit(line, len);
}

/* ---- the thread that writes ---- */

/*
 * Whole lines wait in one buffer while those of the other are being written. The writer waits in poll() alone, and
 * looks up often: where lines go may have changed, or the server is to end. It lets lines gather for a moment, so that
 * a busy loop has to wake it a hundred times a second and not for every turn.
 */
static struct {
        pthread_mutex_t lock;
        pthread_cond_t filled;  /* for the writer */
        pthread_cond_t emptied; /* for who waits until all is out */
        pthread_t thread;
        bool is_on;
        bool is_stopping;
        bool is_writing;
        unsigned hurries; /* who waits until all is out */
        char *waiting;    /* LOG_WAITING_BYTES_MAX */
        size_t waiting_len;
        char *writing;
        size_t dropped;      /* lines, since the start */
        size_t dropped_told; /* of these, the log knows */
} writer = {.lock = PTHREAD_MUTEX_INITIALIZER,
            .filled = PTHREAD_COND_INITIALIZER,
            .emptied = PTHREAD_COND_INITIALIZER};

enum { LOOK_UP_MS = 100, GATHER_MS = 8 };

/* The writer's own: where lines go, kept open over a reload that closes it elsewhere. */
static struct {
        int fd; /* -1: none yet */
        unsigned changes;
        bool is_syslog;
        bool is_file; /* which takes as much as there is, and has always room */
} target = {.fd = -1};

static size_t count_lines(const char *bytes, size_t len)
{
        size_t count = 0;
        for (const char *p = bytes; (p = memchr(p, '\n', len - (size_t)(p - bytes))); p++)
                count++;
        return count;
}

/* In the thread that writes: what it has to say itself never waits in a write(), also not at the end. */
static __thread bool is_writer;

static void emit(const char *lines, size_t len)
{
        pthread_mutex_lock(&writer.lock);
        bool is_taken = writer.is_on || is_writer;
        if (is_taken && writer.waiting_len + len <= LOG_WAITING_BYTES_MAX) {
                memcpy(writer.waiting + writer.waiting_len, lines, len);
                writer.waiting_len += len;
                pthread_cond_signal(&writer.filled);
        } else if (is_taken) {
                writer.dropped += count_lines(lines, len);
        }
        pthread_mutex_unlock(&writer.lock);
        if (!is_taken)
                emit_now(lines, len);
}

/* May something be written there without waiting? -1: not within LOOK_UP_MS. */
static int await_room(int fd)
{
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        return poll(&p, 1, LOOK_UP_MS) > 0 ? 0 : -1;
}

/* Looks where lines go now. False: no descriptor is left. */
static bool find_target(void)
{
        bool is_there = true;
        pthread_rwlock_rdlock(&out.lock);
        if (target.fd < 0 || target.changes != out.changes) {
                struct stat st;
                if (target.fd >= 0)
                        close(target.fd);
                target.fd = fcntl(out.fd, F_DUPFD_CLOEXEC, 3); /* a reload must not wait for us */
                target.changes = out.changes;
                target.is_syslog = out.now->target == LOG_TO_SYSLOG;
                is_there = target.fd >= 0;
                target.is_file = is_there && fstat(target.fd, &st) == 0 && S_ISREG(st.st_mode);
        }
        pthread_rwlock_unlock(&out.lock);
        return is_there;
}

/* A pipe that is writable takes PIPE_BUF bytes at once; syslog takes a line. */
static size_t piece_of(const char *bytes, size_t len)
{
        if (target.is_file)
                return len;
        size_t piece = len < PIPE_BUF ? len : PIPE_BUF;
        if (len == piece && !target.is_syslog)
                return piece;
        const char *lf = target.is_syslog ? memchr(bytes, '\n', len) : memrchr(bytes, '\n', piece);
        return lf ? (size_t)(lf - bytes) + 1 : len;
}

/* Returns how many bytes are out; 0: nobody takes them now. */
static size_t write_piece(const char *bytes, size_t len)
{
        if (!find_target())
                return len; /* as when nobody is there to be told */
        if (!target.is_file && await_room(target.fd) < 0)
                return 0;
        size_t piece = piece_of(bytes, len);
        ssize_t n = target.is_syslog ? send(target.fd, bytes, piece, MSG_NOSIGNAL | MSG_DONTWAIT)
                                     : write(target.fd, bytes, piece);
        if (n >= 0)
                return (size_t)n;
        struct why why;
        if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
                return 0;
        if (target.is_syslog && log_reopen(&why) == 0)
                return 0;
        return piece; /* a line that cannot be told is not kept for ever */
}

/* Until all of it is out, or the end has come and nobody takes it: then false. */
static bool write_out(size_t len)
{
        size_t at = 0;
        while (at < len) {
                size_t n = write_piece(writer.writing + at, len - at);
                at += n;
                pthread_mutex_lock(&writer.lock);
                bool gives_up = n == 0 && writer.is_stopping;
                if (gives_up)
                        writer.dropped += count_lines(writer.writing + at, len - at);
                pthread_mutex_unlock(&writer.lock);
                if (gives_up)
                        return false;
        }
        return true;
}

static void tell_dropped(void)
{
        pthread_mutex_lock(&writer.lock);
        size_t count = writer.dropped - writer.dropped_told;
        writer.dropped_told = writer.dropped;
        pthread_mutex_unlock(&writer.lock);
        if (count)
                log_warning("postlogd",
                            "%zu log lines were dropped: they could not be written as "
                            "fast as they came",
                            count);
}

/* Under the lock, which is not held meanwhile. */
static void gather(void)
{
        if (writer.hurries || writer.is_stopping)
                return;
        const struct timespec moment = {.tv_nsec = GATHER_MS * 1000000};
        pthread_mutex_unlock(&writer.lock);
        nanosleep(&moment, NULL);
        pthread_mutex_lock(&writer.lock);
}

static void *writer_main(void *arg)
{
        is_writer = true;
        pthread_mutex_lock(&writer.lock);
        while (!writer.is_stopping || writer.waiting_len) {
                if (writer.waiting_len == 0) {
                        pthread_cond_wait(&writer.filled, &writer.lock);
                        continue;
                }
                gather();
                size_t len = writer.waiting_len;
                char *taken = writer.waiting;
                writer.waiting = writer.writing;
                writer.writing = taken;
                writer.waiting_len = 0;
                writer.is_writing = true;
                pthread_mutex_unlock(&writer.lock);
                if (write_out(len))
                        tell_dropped();
                pthread_mutex_lock(&writer.lock);
                writer.is_writing = false;
                pthread_cond_broadcast(&writer.emptied);
        }
        pthread_mutex_unlock(&writer.lock);
        if (target.fd >= 0)
                close(target.fd);
        target.fd = -1;
        return NULL;
}

int log_thread_start(struct why *why)
{
        writer.waiting = malloc(LOG_WAITING_BYTES_MAX);
        writer.writing = malloc(LOG_WAITING_BYTES_MAX);
        writer.is_stopping = false;
        int rc = writer.waiting && writer.writing
                         ? -pthread_create(&writer.thread, NULL, writer_main, NULL)
                         : -ENOMEM;
        if (rc < 0) {
                free(writer.waiting);
                free(writer.writing);
                return why_set(why, rc, "cannot start the thread that writes the log: %s",
                               why_errno(rc));
        }
        pthread_mutex_lock(&writer.lock);
        writer.is_on = true;
        pthread_mutex_unlock(&writer.lock);
        return 0;
}

void log_sync(int ms)
{
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += ms / 1000;
        until.tv_nsec += (long)(ms % 1000) * 1000000;
        if (until.tv_nsec >= 1000000000) {
                until.tv_sec++;
                until.tv_nsec -= 1000000000;
        }
        pthread_mutex_lock(&writer.lock);
        int rc = 0;
        writer.hurries++;
        while (rc == 0 && writer.is_on && (writer.waiting_len || writer.is_writing) &&
               !pthread_equal(writer.thread, pthread_self()))
                rc = pthread_cond_timedwait(&writer.emptied, &writer.lock, &until);
        writer.hurries--;
        pthread_mutex_unlock(&writer.lock);
}

void log_thread_stop(int ms)
{
        if (!writer.is_on)
                return;
        log_sync(ms);
        pthread_mutex_lock(&writer.lock);
        writer.is_on = false;
        writer.is_stopping = true;
        pthread_cond_signal(&writer.filled);
        pthread_mutex_unlock(&writer.lock);
        pthread_join(writer.thread, NULL);
        free(writer.waiting);
        free(writer.writing);
        writer.waiting = writer.writing = NULL;
        writer.waiting_len = 0;
}

size_t log_dropped(void)
{
        pthread_mutex_lock(&writer.lock);
        size_t count = writer.dropped;
        pthread_mutex_unlock(&writer.lock);
        return count;
}

/* ---- lines ---- */

void log_collect(void)
{
        if (!collected.bytes)
                collected.bytes = malloc(COLLECT_BYTES_MAX);
        collected.is_on = collected.bytes != NULL;
}

void log_collect_end(void)
{
        log_flush();
        free(collected.bytes);
        collected.bytes = NULL;
        collected.is_on = false;
}

void log_flush(void)
{
        if (collected.len)
                emit(collected.bytes, collected.len);
        collected.len = 0;
}

/* Lines of one turn share a second: break it down once. */
static const struct tm *broken_down(time_t second, enum log_format format)
{
        static __thread time_t last = -1;
        static __thread enum log_format last_format;
        static __thread struct tm tm;
        if (second != last || format != last_format) {
                if (format == LOG_AS_JSON)
                        gmtime_r(&second, &tm);
                else
                        localtime_r(&second, &tm);
                last = second;
                last_format = format;
        }
        return &tm;
}

static size_t clip(int written, size_t room)
{
        return written < 0 ? 0 : (size_t)written < room ? (size_t)written : room - 1;
}

static size_t append_json(char *at, size_t room, const char *text)
{
        size_t len = 0;
        for (const unsigned char *p = (const unsigned char *)text; *p && len + 8 < room; p++) {
                if (*p == '"' || *p == '\\') {
                        at[len++] = '\\';
                        at[len++] = (char)*p;
                } else if (*p < 0x20 || *p >= 0x7f) {
                        /* bytes beyond ASCII are shown one by one: a log is always valid JSON */
                        len += (size_t)snprintf(at + len, room - len, "\\u%04x", *p);
                } else {
                        at[len++] = (char)*p;
                }
        }
        return len;
}

static size_t format_json(char *line, size_t room, enum log_level level, const char *service,
                          const char *queue_id, const char *text, int64_t now_us)
{
        const struct tm *tm = broken_down((time_t)(now_us / 1000000), LOG_AS_JSON);
        size_t len =
                clip(snprintf(line, room,
                              "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ\",\"level\":\"%s\","
                              "\"service\":\"%s\",\"pid\":%d,",
                              tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday, tm->tm_hour,
                              tm->tm_min, tm->tm_sec, (int)(now_us % 1000000), level_names[level],
                              service ? service : "forepost", log_pid()),
                     room);
        if (queue_id)
                len += clip(snprintf(line + len, room - len, "\"queue_id\":\"%s\",", queue_id),
                            room - len);
        len += clip(snprintf(line + len, room - len, "\"text\":\""), room - len);
        len += append_json(line + len, room - len - 4, text);
        len += clip(snprintf(line + len, room - len, "\"}\n"), room - len);
        return len;
}

/* What a line is put together with: a message has seven, and printf for each part of each was much of its cost. */
static size_t add(char *line, size_t room, size_t len, const char *text)
{
        size_t bytes = strlen(text);
        if (bytes > room - 1 - len)
                bytes = room - 1 - len;
        memcpy(line + len, text, bytes);
        return len + bytes;
}

/* "Nov 22 16:00:33 " */
static const char *date_text(int64_t now_us)
{
        static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
        static __thread time_t last = -1;
        static __thread char text[64];
        time_t second = (time_t)(now_us / 1000000);
        if (second != last) {
                const struct tm *tm = broken_down(second, LOG_AS_POSTFIX);
                snprintf(text, sizeof(text), "%.3s %2d %02d:%02d:%02d ", months + 3 * tm->tm_mon,
                         tm->tm_mday, tm->tm_hour, tm->tm_min, tm->tm_sec);
                last = second;
        }
        return text;
}

static const char *pid_text(void)
{
        static __thread int last;
        static __thread char text[16];
        int pid = log_pid();
        if (pid != last)
                snprintf(text, sizeof(text), "[%d]: ", pid);
        last = pid;
        return text;
}

/*
 * Bytes of the UTF-8 character at p (RFC 3629 4), of at most `left`; 0: there is none, or one that would act on a terminal: U+0080
 * to U+009F, line separators, marks that turn the direction of text.
 */
static size_t character_bytes(const unsigned char *p, size_t left)
{
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t bytes = p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;
        if (bytes == 0 || bytes > left)
                return 0;
        uint32_t c = p[0] & (0xffu >> (bytes + 1));
        for (size_t i = 1; i < bytes; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        bool is_none = c < least[bytes] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff);
        bool acts = c < 0xa0 || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
                    (c >= 0x2066 && c <= 0x2069);
        return is_none || acts ? 0 : bytes;
}

/* What is neither printable ASCII nor UTF-8 becomes question marks. */
static void make_printable(char *text, size_t len)
{
        for (size_t i = 0; i < len;) {
                unsigned char c = (unsigned char)text[i];
                size_t bytes = c < 0x80 ? 0 : character_bytes((unsigned char *)text + i, len - i);
                if (bytes == 0 && (c < 0x20 || c >= 0x7f))
                        text[i] = '?';
                i += bytes ? bytes : 1;
        }
}

static size_t format_postfix(const struct settings *s, char *line, size_t room,
                             enum log_level level, const char *service, const char *queue_id,
                             const char *text, int64_t now_us)
{
        size_t len = 0;
        if (s->target == LOG_TO_SYSLOG)
                len = clip(snprintf(line, room, "<%d>", s->facility | level_severity[level]), room);
        len = add(line, room, len, date_text(now_us));
        if (s->target != LOG_TO_SYSLOG) { /* syslog knows its host */
                len = add(line, room, len, s->hostname);
                len = add(line, room, len, " ");
        }
        len = add(line, room, len, s->name);
        if (service) {
                len = add(line, room, len, "/");
                len = add(line, room, len, service);
        }
        len = add(line, room, len, pid_text());
        if (queue_id) {
                len = add(line, room, len, queue_id);
                len = add(line, room, len, ": ");
        }
        if (level != LOG_LEVEL_INFO) {
                len = add(line, room, len, level_names[level]);
                len = add(line, room, len, ": ");
        }
        size_t start = len;
        len = add(line, room - 1, len, text);
        make_printable(line + start, len - start);
        line[len++] = '\n';
        return len;
}

static void put(enum log_level level, const char *service, const char *queue_id, const char *format,
                va_list args) __attribute__((format(printf, 4, 0)));

static void put(enum log_level level, const char *service, const char *queue_id, const char *format,
                va_list args)
{
        const struct settings *s = settings_now();
        if (level == LOG_LEVEL_DEBUG && !s->wants_debug)
                return;
        if (level < LOG_LEVEL_WARNING && only_trouble)
                return;
        /* not on the stack: that of a task is one or two touched pages */
        static __thread char text[LOG_LINE_BYTES_MAX];
        static __thread char line[LOG_LINE_BYTES_MAX];
        format_vprint(text, sizeof(text), format, args);
        int64_t now_us = clock_wall_us();
        size_t len = s->format == LOG_AS_JSON ? format_json(line, sizeof(line), level, service,
                                                            queue_id, text, now_us)
                                              : format_postfix(s, line, sizeof(line), level,
                                                               service, queue_id, text, now_us);
        if (!collected.is_on || s->target == LOG_TO_SYSLOG) {
                emit(line, len);
                if (level >= LOG_LEVEL_FATAL)
                        log_sync(LAST_WORDS_MS);
                return;
        }
        if (collected.len + len > COLLECT_BYTES_MAX)
                log_flush();
        memcpy(collected.bytes + collected.len, line, len);
        collected.len += len;
        if (level >= LOG_LEVEL_FATAL) {
                log_flush();
                log_sync(LAST_WORDS_MS);
        }
}

void log_write(enum log_level level, const char *service, const char *format, ...)
{
        va_list args;
        va_start(args, format);
        put(level, service, NULL, format, args);
        va_end(args);
}

void log_mail(enum log_level level, const char *service, const char *queue_id, const char *format,
              ...)
{
        va_list args;
        va_start(args, format);
        put(level, service, queue_id, format, args);
        va_end(args);
}
