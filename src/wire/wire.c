/*
 * wire.c - bytes in order: one stream connection, plain or under TLS, as lines and as pieces
 *
 * The descriptor is watched edge-triggered, for output from the first time on that the kernel takes no more (few peers
 * are so slow, and each new connection would be told at once that it can be written to); `may_read` and
 * `may_send` remember what the kernel last said, so that there is hardly an epoll_ctl but the first. All moving of
 * bytes is one function, service(): send what is put, read when somebody waits for input. Without TLS the task calls
 * it on its own stack before it parks, so that a reply leaves and a waiting command is read without a turn of
 * the loop; under TLS it is a chore on the loop's stack, which is deep enough for a handshake.
 *
 * Input lies in a block borrowed from the thread's spare blocks, given back when a task waits with nothing
 * left unread.
 */
#include "wire/wire.h"

#include "base/check.h"
#include "base/format.h"
#include "base/spare.h"
#include "wire/tls_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <unistd.h>

enum {
        BLOCK_BYTES = 64 * 1024,
        SPARE_BLOCKS_MAX = 64,
        SPARE_WIRES_MAX = 256,
        OUT_KEPT_BYTES = 4096,      /* an output buffer up to this size is kept while idle */
        CIPHER_BYTES = 32 * 1024,   /* ciphertext read at once */
        CIPHER_OUT_MAX = 64 * 1024, /* ciphertext that may wait to be sent before more is made */
};

struct wire {
        struct watch watch;
        struct chore chore;
        struct loop *loop;
        struct task *waiter;
        int fd;
        int error; /* sticky: -ECONNRESET, -EPROTO... */
        bool may_read;
        bool may_send;
        bool is_connecting;
        bool watches_output;
        bool is_last;          /* what is sent now is followed by the end */
        bool has_hung_up;      /* the kernel told of the peer's FIN or of an error */
        bool is_socket_at_end; /* read 0 bytes */
        bool is_at_end;        /* and nothing is left to decrypt */
        bool wants_input;      /* the waiter waits for input; else for the output to be gone */
        bool wants_handshake;
        bool is_done;     /* what the waiter waits for has come */
        bool is_skipping; /* inside a line that was too long */
        char *block;
        size_t start; /* of what has not been asked for, in block */
        size_t end;
        size_t scanned; /* from start, known to hold no LF */
        struct buf out;
        size_t out_sent;
        size_t taken;    /* bytes that the kernel took since await_wire_send() began */
        bool wants_some; /* the waiter for output waits for the first of them */
        SSL *ssl;
        BIO *cipher_in;
        BIO *cipher_out;
        struct buf cipher;      /* encrypted, to be sent */
        const char *tls_reason; /* why OpenSSL gave up; lives for ever */
};

/* ---- memory ---- */

static __thread struct spares spare_blocks = {.bytes = BLOCK_BYTES, .count_max = SPARE_BLOCKS_MAX};
static __thread struct spares spare_wires = {.bytes = sizeof(struct wire),
                                             .count_max = SPARE_WIRES_MAX};

static void give_block_back(struct wire *w)
{
        if (w->block && w->start == w->end) {
                spare_give(&spare_blocks, w->block);
                w->block = NULL;
                w->start = w->end = w->scanned = 0;
        }
}

/* Room at the end of the block for at least one byte; false when it is full of unread input. */
static bool make_room(struct wire *w)
{
        if (!w->block)
                w->block = spare_take(&spare_blocks);
        if (w->start == w->end) {
                w->start = w->end = w->scanned = 0;
        } else if (w->end == BLOCK_BYTES && w->start) {
                memmove(w->block, w->block + w->start, w->end - w->start);
                w->end -= w->start;
                w->start = 0;
        }
        return w->end < BLOCK_BYTES;
}

/* ---- the socket ---- */

static void fail(struct wire *w, int error)
{
        if (!w->error)
                w->error = error;
}

/* Bytes read, 0 when none can be read now; the end and errors are noted in w. */
static size_t receive(struct wire *w, char *to, size_t room)
{
        ssize_t n = recv(w->fd, to, room, 0);
        if (n > 0) {
                if ((size_t)n < room && !w->has_hung_up)
                        w->may_read = false; /* all read: the next bytes make a new edge */
                return (size_t)n;
        }
        if (n == 0)
                w->is_socket_at_end = true;
        else if (errno == EAGAIN || errno == EINTR)
                w->may_read = errno == EINTR;
        else
                fail(w, -errno);
        return 0;
}

static uint32_t events_of(const struct wire *w)
{
        return EPOLLIN | EPOLLRDHUP | EPOLLET | (w->watches_output ? EPOLLOUT : 0);
}

static void wait_for_room(struct wire *w)
{
        w->may_send = false;
        if (w->watches_output)
                return;
        w->watches_output = true;
        int rc = loop_watch_change(w->loop, &w->watch, events_of(w));
        if (rc < 0)
                fail(w, rc);
}

/* True when all was sent; last bytes wait in the kernel for the end, which leaves with them. */
static bool transmit(struct wire *w, struct buf *b, size_t *sent)
{
        while (*sent < b->len && w->may_send && !w->error) {
                ssize_t n = send(w->fd, b->ptr + *sent, b->len - *sent,
                                 MSG_NOSIGNAL | (w->is_last ? MSG_MORE : 0));
                if (n >= 0) {
                        *sent += (size_t)n;
                        w->taken += (size_t)n;
                } else if (errno == EAGAIN) {
                        wait_for_room(w);
                } else if (errno != EINTR) {
                        fail(w, errno == EPIPE ? -ECONNRESET : -errno);
                }
        }
        if (*sent < b->len)
                return false;
        buf_clear(b);
        *sent = 0;
        return true;
}

/* ---- TLS ---- */

/* Keeps OpenSSL's reason, which the next connection on this thread would wipe out. */
static void tls_fail(struct wire *w)
{
        const char *reason = ERR_reason_error_string(ERR_peek_error());
        if (!w->error)
                w->tls_reason = reason ? reason : "protocol error";
        fail(w, -EPROTO);
}

static void tls_failed(struct wire *w, int result)
{
        int error = SSL_get_error(w->ssl, result);
        if (error == SSL_ERROR_ZERO_RETURN)
                w->is_at_end = true;
        else if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
                tls_fail(w);
}

/* Moves ciphertext from the socket to OpenSSL; true if there was some. */
static bool tls_feed(struct wire *w)
{
        static __thread char cipher[CIPHER_BYTES];
        if (!w->may_read || w->is_socket_at_end || w->error)
                return false;
        size_t n = receive(w, cipher, sizeof(cipher));
        if (n)
                check(BIO_write(w->cipher_in, cipher, (int)n) == (int)n);
        return n > 0;
}

static bool tls_send_cipher(struct wire *w)
{
        char *bytes;
        long len = BIO_get_mem_data(w->cipher_out, &bytes);
        if (len > 0) {
                /* a peer that makes OpenSSL answer (renegotiation) and never reads its answers */
                if (buf_append(&w->cipher, bytes, (size_t)len) < 0)
                        fail(w, -ENOBUFS);
                (void)BIO_reset(w->cipher_out);
        }
        size_t sent = 0;
        bool is_all = transmit(w, &w->cipher, &sent);
        if (!is_all)
                buf_consume(&w->cipher, sent);
        else if (w->cipher.room > OUT_KEPT_BYTES)
                buf_done(&w->cipher);
        return is_all;
}

static bool tls_send(struct wire *w)
{
        while (w->out_sent < w->out.len && w->cipher.len < CIPHER_OUT_MAX && !w->error) {
                size_t left = w->out.len - w->out_sent;
                int n = SSL_write(w->ssl, w->out.ptr + w->out_sent,
                                  left > 16384 ? 16384 : (int)left);
                if (n <= 0) {
                        tls_failed(w, n);
                        break;
                }
                w->out_sent += (size_t)n;
                tls_send_cipher(w);
        }
        if (w->out_sent == w->out.len) {
                buf_clear(&w->out);
                w->out_sent = 0;
        }
        return tls_send_cipher(w) && w->out.len == 0;
}

static size_t tls_receive(struct wire *w, char *to, size_t room)
{
        for (;;) {
                ERR_clear_error();
                int n = SSL_read(w->ssl, to, (int)room);
                if (n > 0)
                        return (size_t)n;
                /* as long as records come that are no data: not for ever, the loop has others to serve */
                if (BIO_ctrl_pending(w->cipher_out) < CIPHER_OUT_MAX && tls_feed(w))
                        continue;
                tls_failed(w, n);
                if (w->is_socket_at_end) /* without TLS's farewell, as many do: lines are whole or not */
                        w->is_at_end = true;
                tls_send_cipher(w); /* key updates, alerts */
                return 0;
        }
}

static bool tls_handshake(struct wire *w)
{
        for (;;) {
                ERR_clear_error();
                int result = SSL_do_handshake(w->ssl);
                bool is_all_sent = tls_send_cipher(w);
                if (result == 1)
                        return is_all_sent;
                int error = SSL_get_error(w->ssl, result);
                if (error != SSL_ERROR_WANT_READ) {
                        tls_fail(w);
                        return false;
                }
                if (!tls_feed(w)) {
                        if (w->is_socket_at_end)
                                fail(w, -ECONNRESET);
                        return false;
                }
        }
}

/* ---- moving bytes ---- */

static bool send_all(struct wire *w)
{
        if (w->ssl)
                return tls_send(w);
        return transmit(w, &w->out, &w->out_sent);
}

static bool fill(struct wire *w)
{
        if (w->is_at_end || w->error || (!w->ssl && !w->may_read) || !make_room(w))
                return false;
        char *to = w->block + w->end;
        size_t room = BLOCK_BYTES - w->end;
        size_t n = w->ssl ? tls_receive(w, to, room) : receive(w, to, room);
        w->end += n;
        if (!w->ssl)
                w->is_at_end = w->is_socket_at_end;
        if (n == 0)
                give_block_back(w); /* thousands may wait for their first byte */
        return n > 0;
}

static void service(struct wire *w)
{
        /* done, and the task has not run yet: what it was promised is not taken back */
        if (w->is_connecting || w->is_done)
                return;
        if (w->wants_handshake) {
                w->is_done = tls_handshake(w) || w->error;
                return;
        }
        bool is_sent = send_all(w);
        if (w->wants_input)
                w->is_done = fill(w) || w->is_at_end || w->error;
        else
                w->is_done = is_sent || w->error || (w->wants_some && w->taken);
}

static void chore_run(struct chore *c)
{
        struct wire *w = list_of(c, struct wire, chore);
        if (!w->waiter)
                return;
        service(w);
        if (w->is_done)
                task_wake(w->waiter);
}

static void connected(struct wire *w)
{
        int error = 0;
        socklen_t len = sizeof(error);
        getsockopt(w->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        w->is_connecting = false;
        if (error)
                fail(w, -error);
        w->is_done = true;
}

static void socket_ready(struct watch *watch, uint32_t events)
{
        struct wire *w = list_of(watch, struct wire, watch);
        if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                w->may_read = true;
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))
                w->has_hung_up = true;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                w->may_send = true;
        if (w->is_connecting) {
                if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
                        connected(w);
        } else if (w->waiter) {
                service(w);
        }
        if (w->waiter && w->is_done)
                task_wake(w->waiter);
}

/* Suspends until service() or connected() says that it is done. */
static int await_done(struct wire *w, const char *doing, int64_t deadline_ms)
{
        w->waiter = task_self();
        w->is_done = false;
        if (w->ssl)
                loop_chore_add(w->loop, &w->chore);
        else
                service(w);
        int rc = 0;
        while (!w->is_done && rc == 0)
                rc = await_wake(doing, STR(""), deadline_ms);
        w->waiter = NULL;
        list_remove(&w->chore.link);
        return w->is_done ? w->error : rc;
}

static void trim_out(struct wire *w)
{
        if (w->out.len == 0 && w->out.room > OUT_KEPT_BYTES)
                buf_done(&w->out);
}

static int await_input(struct wire *w, const char *doing, int64_t deadline_ms)
{
        if (w->error)
                return w->error;
        if (w->is_at_end)
                return -EPIPE;
        give_block_back(w);
        w->wants_input = true;
        size_t before = w->end - w->start;
        int rc = await_done(w, doing, deadline_ms);
        trim_out(w);
        if (rc < 0)
                return rc;
        return w->end - w->start > before ? 0 : -EPIPE;
}

/* ---- the face ---- */

static struct wire *wire_make(struct loop *l, int fd, bool is_connecting)
{
        struct wire *w = spare_take_zeroed(&spare_wires);
        w->loop = l;
        w->fd = fd;
        w->is_connecting = w->watches_output = is_connecting;
        w->may_send = !is_connecting;
        w->watch = (struct watch){.fd = fd, .ready = socket_ready};
        w->chore.run = chore_run;
        list_init(&w->chore.link);
        buf_init(&w->out, WIRE_OUT_BYTES_MAX);
        buf_init(&w->cipher, 4 * WIRE_OUT_BYTES_MAX);
        int rc = loop_watch_add(l, &w->watch, events_of(w));
        if (rc < 0)
                fail(w, rc);
        return w;
}

void wire_prepare(int fd)
{
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void wire_set_window(int fd, int bytes)
{
        if (bytes == 0)
                return;
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes));
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
}

struct wire *wire_new(struct loop *l, int fd)
{
        return wire_make(l, fd, false);
}

/* Gives back all but the descriptor and its watch. */
static int take_apart(struct wire *w)
{
        int fd = w->fd;
        list_remove(&w->chore.link);
        if (w->ssl) {
                SSL_free(w->ssl);
                ERR_clear_error(); /* asks the system for our process id */
        }
        spare_give(&spare_blocks, w->block);
        buf_done(&w->out);
        buf_done(&w->cipher);
        spare_give(&spare_wires, w);
        return fd;
}

int wire_release(struct wire **wp)
{
        struct wire *w = *wp;
        *wp = NULL;
        check(!w->ssl);
        loop_watch_remove(w->loop, &w->watch);
        return take_apart(w);
}

void wire_free(struct wire **wp)
{
        struct wire *w = *wp;
        *wp = NULL;
        if (!w)
                return;
        if (!w->error && !w->is_connecting && !w->wants_handshake) {
                w->is_last = true;
                send_all(w);
                if (w->ssl) {
                        SSL_shutdown(w->ssl);
                        tls_send_cipher(w);
                }
                /* unread input would turn the close into a reset, and the peer might lose our last words */
                shutdown(w->fd, SHUT_WR);
                static __thread char rubbish[4096];
                for (int i = 0; i < 16 && recv(w->fd, rubbish, sizeof(rubbish), MSG_DONTWAIT) > 0;
                     i++)
                        ;
        }
        loop_watch_forget(w->loop, &w->watch);
        close(take_apart(w));
}

static int address_of(int rc, const struct sockaddr_storage *s, struct wire_address *out)
{
        if (rc < 0)
                return -errno;
        *out = (struct wire_address){.family = s->ss_family};
        if (s->ss_family == AF_INET) {
                const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)s;
                /* as inet_ntop(), at a tenth of its cost: each session has two addresses */
                const unsigned char *a = (const unsigned char *)&in->sin_addr;
                format_print(out->text, sizeof(out->text), "%d.%d.%d.%d", a[0], a[1], a[2], a[3]);
                out->port = ntohs(in->sin_port);
        } else if (s->ss_family == AF_INET6) {
                const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)s;
                out->port = ntohs(in6->sin6_port);
                if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
                        out->family = AF_INET;
                        inet_ntop(AF_INET, in6->sin6_addr.s6_addr + 12, out->text,
                                  sizeof(out->text));
                } else {
                        inet_ntop(AF_INET6, &in6->sin6_addr, out->text, sizeof(out->text));
                }
        } else {
                snprintf(out->text, sizeof(out->text), "unix-socket");
        }
        return 0;
}

int wire_peer(const struct wire *w, struct wire_address *out)
{
        struct sockaddr_storage s = {0};
        socklen_t len = sizeof(s);
        return address_of(getpeername(w->fd, (struct sockaddr *)&s, &len), &s, out);
}

int wire_local(const struct wire *w, struct wire_address *out)
{
        struct sockaddr_storage s = {0};
        socklen_t len = sizeof(s);
        return address_of(getsockname(w->fd, (struct sockaddr *)&s, &len), &s, out);
}

static int start_connect(const struct sockaddr *to, socklen_t to_len,
                         const struct wire_source *from)
{
        int fd = socket(to->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        if (to->sa_family != AF_UNIX) {
                wire_prepare(fd);
                wire_set_window(fd, from->window_bytes);
        }
        if ((from->address && bind(fd, from->address, from->address_len) < 0) ||
            (connect(fd, to, to_len) < 0 && errno != EINPROGRESS)) {
                int error = -errno;
                close(fd);
                return error;
        }
        return fd;
}

int await_wire_connect(const struct sockaddr *to, socklen_t to_len, const struct wire_source *from,
                       int64_t deadline_ms, struct wire **out, struct why *why)
{
        static const struct wire_source any;
        *out = NULL;
        int fd = start_connect(to, to_len, from ? from : &any);
        if (fd < 0)
                return why_set(why, fd, "%s", why_errno(fd));
        struct wire *w = wire_make(loop_self(), fd, true);
        int rc = w->error ? w->error : await_done(w, "connecting", deadline_ms);
        if (rc < 0) {
                wire_free(&w);
                return why_set(why, rc, "%s", why_errno(rc));
        }
        *out = w;
        return 0;
}

/* A whole line among what was read; false when more must be read. */
static bool take_line(struct wire *w, struct wire_line *line)
{
        size_t have = w->end - w->start;
        if (have == w->scanned)
                return false;
        const char *from = w->block + w->start;
        const char *lf = memchr(from + w->scanned, '\n', have - w->scanned);
        if (!lf) {
                w->scanned = have;
                return false;
        }
        size_t len = (size_t)(lf - from);
        bool has_cr = len && lf[-1] == '\r';
        *line = (struct wire_line){str_make(from, len - has_cr), !has_cr};
        w->start += len + 1;
        w->scanned = 0;
        return true;
}

int await_wire_line(struct wire *w, size_t bytes_max, int64_t deadline_ms, struct wire_line *line)
{
        check(bytes_max <= BLOCK_BYTES);
        for (;;) {
                if (take_line(w, line)) {
                        bool was_skipping = w->is_skipping;
                        w->is_skipping = false;
                        size_t len = line->text.len + (line->has_bare_lf ? 1 : 2);
                        return was_skipping || len > bytes_max ? -EMSGSIZE : 0;
                }
                if (w->end - w->start >= bytes_max) {
                        w->is_skipping = true;
                        w->start = w->end;
                        w->scanned = 0;
                }
                int rc = await_input(w, "waiting for a line", deadline_ms);
                if (rc < 0)
                        return rc;
        }
}

int await_wire_bytes(struct wire *w, int64_t deadline_ms, struct str *bytes)
{
        if (w->start == w->end) {
                int rc = await_input(w, "waiting for message text", deadline_ms);
                if (rc < 0)
                        return rc;
        }
        *bytes = str_make(w->block + w->start, w->end - w->start);
        return 0;
}

void wire_consume(struct wire *w, size_t count)
{
        check(count <= w->end - w->start);
        w->start += count;
        w->scanned = 0;
}

bool wire_has_input(const struct wire *w)
{
        return w->end > w->start;
}

bool wire_poll_input(struct wire *w)
{
        if (!wire_has_input(w)) {
                w->may_read = true; /* look, whatever epoll said last */
                fill(w);
        }
        return wire_has_input(w);
}

bool wire_is_broken(struct wire *w)
{
        if (w->error)
                return true;
        if (wire_poll_input(w))
                return false;
        return w->error || w->is_at_end;
}

void wire_discard_input(struct wire *w)
{
        wire_poll_input(w);
        w->start = w->end;
        w->scanned = 0;
        w->is_skipping = false;
}

int wire_put(struct wire *w, struct str bytes)
{
        return buf_append_str(&w->out, bytes);
}

struct buf *wire_out(struct wire *w)
{
        return &w->out;
}

int await_wire_flush(struct wire *w, int64_t deadline_ms)
{
        if (w->error)
                return w->error;
        w->wants_input = false;
        int rc = await_done(w, "sending", deadline_ms);
        trim_out(w);
        return rc;
}

int await_wire_send(struct wire *w, int64_t deadline_ms, size_t *sent, bool *is_all)
{
        w->taken = 0;
        w->wants_some = true;
        int rc = await_wire_flush(w, deadline_ms);
        w->wants_some = false;
        if (rc < 0)
                fail(w,
                     rc); /* what is left, perhaps a message's end, must not leave with wire_free() */
        *sent = w->taken;
        *is_all = w->out.len == 0 && w->cipher.len == 0;
        return rc;
}

int await_wire_flush_last(struct wire *w, int64_t deadline_ms)
{
        w->is_last = true;
        return await_wire_flush(w, deadline_ms);
}

static int await_handshake(struct wire *w, struct tls_context *tls, int64_t deadline_ms,
                           struct why *why)
{
        w->cipher_in = BIO_new(BIO_s_mem());
        w->cipher_out = BIO_new(BIO_s_mem());
        check(w->cipher_in && w->cipher_out);
        BIO_set_mem_eof_return(w->cipher_in, -1); /* empty means "wait", not "the end" */
        SSL_set_bio(w->ssl, w->cipher_in, w->cipher_out);
        int unread = (int)(w->end - w->start);
        if (unread)
                check(BIO_write(w->cipher_in, w->block + w->start, unread) == unread);
        w->start = w->end;
        w->scanned = 0;
        w->wants_handshake = true;
        w->may_read = true;
        int rc = await_done(w, "shaking hands for TLS", deadline_ms);
        if (rc == 0) {
                w->wants_handshake = false;
                return 0;
        }
        fail(w, rc); /* half a handshake carries nothing: whoever flushes must not go on with it */
        if (rc == -EPROTO)
                return why_set(why, rc, "TLS handshake failed: %s", w->tls_reason);
        return why_set(why, rc, "TLS handshake failed: %s",
                       rc == -ECONNRESET ? "lost connection" : why_errno(rc));
}

int await_wire_tls_accept(struct wire *w, struct tls_context *tls, int64_t deadline_ms,
                          struct why *why)
{
        check(!w->ssl);
        w->ssl = SSL_new(tls_context_ssl(tls));
        check(w->ssl);
        SSL_set_accept_state(w->ssl);
        return await_handshake(w, tls, deadline_ms, why);
}

int await_wire_tls_connect(struct wire *w, struct tls_context *tls, const struct tls_request *r,
                           int64_t deadline_ms, struct why *why)
{
        check(!w->ssl);
        w->ssl = SSL_new(tls_context_ssl(tls));
        check(w->ssl);
        SSL_set_connect_state(w->ssl);
        int rc = tls_request_apply(w->ssl, r, why);
        if (rc < 0) {
                fail(w, rc);
                return rc;
        }
        if (r->session.len)
                tls_resume_begin(w->ssl, r->session);
        return await_handshake(w, tls, deadline_ms, why);
}

SSL *wire_ssl(const struct wire *w)
{
        return wire_has_tls(w) ? w->ssl : NULL;
}

bool wire_has_tls(const struct wire *w)
{
        return w->ssl && !w->wants_handshake;
}

void wire_tls_describe(const struct wire *w, char *out, size_t room)
{
        if (!wire_has_tls(w)) {
                *out = 0;
                return;
        }
        const SSL_CIPHER *cipher = SSL_get_current_cipher(w->ssl);
        int algorithm_bits = 0;
        int bits = cipher ? SSL_CIPHER_get_bits(cipher, &algorithm_bits) : 0;
        snprintf(out, room, "%s with cipher %s (%d/%d bits)", SSL_get_version(w->ssl),
                 cipher ? SSL_CIPHER_get_name(cipher) : "none", bits, algorithm_bits);
}
