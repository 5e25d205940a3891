/* wire_test.c - two tasks on one loop talk to each other over loopback TCP, plain and under TLS */
#include "wire/wire.h"

#include "base/unit.h"
#include "wire/tls.h"
#include "wire/tls_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

static struct loop *loop;
static struct wire *near;
static struct wire *far;
static int far_fd;
static struct tls_fixture files;
static int left;

static int64_t soon(void)
{
        return loop_now_ms() + 60000;
}

static int listen_somewhere(struct sockaddr_in *a)
{
        socklen_t len = sizeof(*a);
        *a = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(fd, (struct sockaddr *)a, sizeof(*a)), 0);
        assert_int_equal(listen(fd, 1), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)a, &len), 0);
        return fd;
}

static int setup(void **state)
{
        struct why why;
        struct sockaddr_in a;
        loop = loop_new(&why);
        int listening = listen_somewhere(&a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        far_fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        assert_true(far_fd >= 0);
        close(listening);
        near = wire_new(loop, fd);
        far = wire_new(loop, far_fd);
        return 0;
}

static int teardown(void **state)
{
        wire_free(&near);
        wire_free(&far);
        loop_free(&loop);
        return 0;
}

static void end_one(void)
{
        if (--left == 0)
                loop_stop(loop);
}

static void run(void (*a)(void *), void (*b)(void *), void *arg)
{
        left = 2;
        task_start(loop, a, arg);
        task_start(loop, b, arg);
        loop_run(loop);
        assert_int_equal(left, 0);
}

/* ---- lines ---- */

static const char dribbled[] = "EHLO a\r\nMAIL\nx\ry\r\n\r\n\n\0nul\r\n";

static void dribble(void *arg)
{
        for (size_t i = 0; i < sizeof(dribbled) - 1; i++) {
                assert_int_equal(wire_put(near, str_make(&dribbled[i], 1)), 0);
                assert_int_equal(await_wire_flush(near, soon()), 0);
                assert_int_equal(await_turn(), 0);
        }
        wire_free(&near);
        end_one();
}

static void read_dribbled(void *arg)
{
        static const struct {
                struct str text;
                bool has_bare_lf;
        } expected[] = {{STR_INIT("EHLO a"), false}, {STR_INIT("MAIL"), true},
                        {STR_INIT("x\ry"), false},   {STR_INIT(""), false},
                        {STR_INIT(""), true},        {STR_INIT("\0nul"), false}};
        struct wire_line line;
        for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
                assert_int_equal(await_wire_line(far, 100, soon(), &line), 0);
                assert_true(str_eq(line.text, expected[i].text));
                assert_int_equal(line.has_bare_lf, expected[i].has_bare_lf);
        }
        assert_int_equal(await_wire_line(far, 100, soon(), &line), -EPIPE);
        assert_int_equal(await_wire_line(far, 100, soon(), &line), -EPIPE);
        end_one();
}

static void lines_come_in_pieces(void **state)
{
        run(dribble, read_dribbled, NULL);
}

static void send_long_lines(void *arg)
{
        char text[3000];
        memset(text, 'a', sizeof(text));
        /* 98 + CR LF is the limit; then one over it; then far over it, in pieces */
        wire_put(near, str_make(text, 98));
        wire_put(near, STR("\r\n"));
        wire_put(near, str_make(text, 99));
        wire_put(near, STR("\r\n"));
        for (int i = 0; i < 100; i++) {
                wire_put(near, str_make(text, sizeof(text)));
                assert_int_equal(await_wire_flush(near, soon()), 0);
        }
        wire_put(near, STR("\r\nNOOP\r\n"));
        assert_int_equal(await_wire_flush(near, soon()), 0);
        end_one();
}

static void skip_long_lines(void *arg)
{
        struct wire_line line;
        assert_int_equal(await_wire_line(far, 100, soon(), &line), 0);
        assert_int_equal(line.text.len, 98);
        assert_int_equal(await_wire_line(far, 100, soon(), &line), -EMSGSIZE);
        assert_int_equal(await_wire_line(far, 100, soon(), &line), -EMSGSIZE);
        assert_int_equal(await_wire_line(far, 100, soon(), &line), 0);
        assert_str_equal(line.text, "NOOP");
        end_one();
}

static void long_lines_are_skipped(void **state)
{
        run(send_long_lines, skip_long_lines, NULL);
}

static void pipeline(void *arg)
{
        wire_put(near, STR("one\r\ntwo\r\nthree\r\n"));
        struct wire_line line;
        assert_int_equal(await_wire_line(near, 100, soon(), &line), 0);
        /* the replies to all three left in one write, so that all are here now */
        assert_str_equal(line.text, "ok one");
        assert_true(wire_has_input(near));
        assert_int_equal(await_wire_line(near, 100, loop_now_ms(), &line), 0);
        assert_int_equal(await_wire_line(near, 100, loop_now_ms(), &line), 0);
        assert_str_equal(line.text, "ok three");
        wire_free(&near);
        end_one();
}

static void answer(void *arg)
{
        struct wire_line line;
        while (await_wire_line(far, 100, soon(), &line) == 0) {
                wire_put(far, STR("ok "));
                wire_put(far, line.text);
                wire_put(far, STR("\r\n"));
        }
        end_one();
}

static void replies_leave_together(void **state)
{
        run(pipeline, answer, NULL);
}

/* ---- much at once, both ways; plain and TLS ---- */

enum { MUCH = 3 * 1024 * 1024 };

static unsigned char pattern(size_t i)
{
        return (unsigned char)(i * 7 + (i >> 11));
}

/* One side in one go, the other bit by bit. */
static void await_out(struct wire *w)
{
        bool is_all = w == far;
        if (is_all)
                assert_int_equal(await_wire_flush(w, soon()), 0);
        while (!is_all) {
                size_t sent;
                assert_int_equal(await_wire_send(w, soon(), &sent, &is_all), 0);
                assert_true(sent > 0);
        }
}

static void send_much(struct wire *w)
{
        char piece[10000];
        for (size_t at = 0; at < MUCH;) {
                size_t n = MUCH - at < sizeof(piece) ? MUCH - at : sizeof(piece);
                for (size_t i = 0; i < n; i++)
                        piece[i] = (char)pattern(at + i);
                if (wire_put(w, str_make(piece, n)) == -ENOBUFS) {
                        await_out(w);
                        continue;
                }
                at += n;
        }
        await_out(w);
}

static void receive_much(struct wire *w)
{
        for (size_t at = 0; at < MUCH;) {
                struct str bytes;
                assert_int_equal(await_wire_bytes(w, soon(), &bytes), 0);
                assert_true(bytes.len > 0 && at + bytes.len <= MUCH);
                for (size_t i = 0; i < bytes.len; i++)
                        if ((unsigned char)bytes.ptr[i] != pattern(at + i))
                                fail_msg("byte %zu differs", at + i);
                at += bytes.len;
                wire_consume(w, bytes.len);
        }
}

static void far_echoes(void *arg)
{
        if (arg) {
                struct why why;
                struct wire_line line;
                struct tls_context **tls = arg;
                assert_int_equal(await_wire_line(far, 100, soon(), &line), 0);
                wire_put(far, STR("220 go\r\n"));
                assert_int_equal(await_wire_flush(far, soon()), 0);
                assert_int_equal(await_wire_tls_accept(far, tls[0], soon(), &why), 0);
                assert_true(wire_has_tls(far));
        }
        receive_much(far);
        send_much(far);
        struct str bytes;
        assert_int_equal(await_wire_bytes(far, soon(), &bytes), -EPIPE);
        end_one();
}

static void near_sends_and_receives(void *arg)
{
        if (arg) {
                struct why why;
                struct wire_line line;
                struct tls_context **tls = arg;
                char text[200];
                wire_tls_describe(near, text, sizeof(text));
                assert_string_equal(text, "");
                wire_put(near, STR("STARTTLS\r\n"));
                assert_int_equal(await_wire_line(near, 100, soon(), &line), 0);
                assert_int_equal(
                        await_wire_tls_connect(near, tls[1],
                                               &(struct tls_request){.name = STR("mx.example")},
                                               soon(), &why),
                        0);
                wire_tls_describe(near, text, sizeof(text));
                assert_non_null(strstr(text, "TLSv1.3 with cipher TLS_"));
        }
        send_much(near);
        receive_much(near);
        assert_false(wire_is_broken(near));
        wire_free(&near);
        end_one();
}

static void much_goes_both_ways(void **state)
{
        run(near_sends_and_receives, far_echoes, NULL);
}

/* A peer that reads nothing until we have given up: then nothing more of it comes. */
static size_t taken;
static bool has_given_up;

static void near_gives_up(void *arg)
{
        static char piece[100000];
        int rc = 0;
        for (size_t put = 0; rc == 0 && put < 64 << 20; put += sizeof(piece)) {
                bool is_all = false;
                wire_put(near, str_make(piece, sizeof(piece)));
                while (rc == 0 && !is_all) {
                        size_t sent;
                        rc = await_wire_send(near, loop_now_ms() + 50, &sent, &is_all);
                        taken += sent;
                }
        }
        assert_int_equal(rc, -ETIMEDOUT);
        assert_true(taken > 0 && wire_out(near)->len > 0);
        wire_free(&near);
        has_given_up = true;
        end_one();
}

static void far_reads_late(void *arg)
{
        struct str bytes;
        size_t came = 0;
        int rc;
        while (!has_given_up)
                assert_int_equal(await_sleep(5), 0);
        while ((rc = await_wire_bytes(far, soon(), &bytes)) == 0) {
                came += bytes.len;
                wire_consume(far, bytes.len);
        }
        assert_int_equal(rc, -EPIPE);
        assert_int_equal(came, taken);
        end_one();
}

static void output_that_is_not_taken(void **state)
{
        run(near_gives_up, far_reads_late, NULL);
}

static void make_contexts(struct tls_context *tls[2])
{
        struct why why;
        struct tls_options o = {.is_server = true,
                                .chain_file = str_from(files.cert),
                                .key_file = str_from(files.key),
                                .protocols = STR(">=TLSv1.2")};
        tls[0] = tls_context_new(&o, &why);
        o = (struct tls_options){.protocols = STR(">=TLSv1.2")};
        tls[1] = tls_context_new(&o, &why);
        assert_true(tls[0] && tls[1]);
}

static void much_goes_both_ways_under_tls(void **state)
{
        struct tls_context *tls[2];
        make_contexts(tls);
        run(near_sends_and_receives, far_echoes, tls);
        tls_context_unref(&tls[0]);
        tls_context_unref(&tls[1]);
}

/*
 * After the handshake the server's session tickets come while nobody waits; then a line comes in the very turn
 * in which the reader asks for one. It is read at once, together with the tickets; the kernel's word about it,
 * which comes after that, must not undo it.
 */
static int64_t meeting_ms;

static void far_speaks_at_a_bad_time(void *arg)
{
        struct tls_context **tls = arg;
        struct why why;
        assert_int_equal(await_wire_tls_accept(far, tls[0], soon(), &why), 0);
        meeting_ms = loop_now_ms() + 20;
        assert_int_equal(await_sleep(meeting_ms - 1 - loop_now_ms()), 0);
        wire_put(far, STR("hello\r\n"));
        assert_int_equal(await_wire_flush(far, soon()), 0);
        end_one();
}

static void near_listens_late(void *arg)
{
        struct tls_context **tls = arg;
        struct why why;
        assert_int_equal(
                await_wire_tls_connect(near, tls[1], &(struct tls_request){0}, soon(), &why), 0);
        while (!meeting_ms)
                assert_int_equal(await_turn(), 0);
        assert_int_equal(await_sleep(meeting_ms - loop_now_ms()), 0);
        struct wire_line line;
        assert_int_equal(await_wire_line(near, 100, soon(), &line), 0);
        assert_str_equal(line.text, "hello");
        end_one();
}

/* Keeps the loop from noticing that one is due before the other. */
static void hold_the_loop(void *arg)
{
        while (!meeting_ms)
                assert_int_equal(await_turn(), 0);
        assert_int_equal(await_sleep(meeting_ms - 5 - loop_now_ms()), 0);
        usleep(10000);
}

static void input_at_a_bad_time_is_not_lost(void **state)
{
        struct tls_context *tls[2];
        make_contexts(tls);
        meeting_ms = 0;
        task_start(loop, hold_the_loop, NULL);
        run(far_speaks_at_a_bad_time, near_listens_late, tls);
        tls_context_unref(&tls[0]);
        tls_context_unref(&tls[1]);
}

/* ---- what goes wrong ---- */

static void shake_with_rubbish(void *arg)
{
        struct tls_context **tls = arg;
        struct why why;
        assert_int_equal(await_wire_tls_accept(far, tls[0], soon(), &why), -EPROTO);
        assert_non_null(strstr(why.text, "TLS handshake failed: "));
        end_one();
}

static void send_rubbish(void *arg)
{
        wire_put(near, STR("EHLO this is not TLS at all, it is plain SMTP\r\n"));
        assert_int_equal(await_wire_flush(near, soon()), 0);
        end_one();
}

static void shake_and_lose(void *arg)
{
        struct tls_context **tls = arg;
        struct why why;
        assert_int_equal(
                await_wire_tls_connect(far, tls[1], &(struct tls_request){0}, soon(), &why),
                -ECONNRESET);
        assert_string_equal(why.text, "TLS handshake failed: lost connection");
        end_one();
}

static void hang_up(void *arg)
{
        wire_free(&near);
        end_one();
}

static void shake_for_too_long(void *arg)
{
        struct tls_context **tls = arg;
        struct why why;
        assert_int_equal(await_wire_tls_connect(far, tls[1], &(struct tls_request){0},
                                                loop_now_ms() + 20, &why),
                         -ETIMEDOUT);
        end_one();
}

static void do_nothing(void *arg)
{
        end_one();
}

static void handshakes_fail_clearly(void **state)
{
        struct tls_context *tls[2];
        make_contexts(tls);
        run(shake_with_rubbish, send_rubbish, tls);
        teardown(NULL);
        setup(NULL);
        run(shake_and_lose, hang_up, tls);
        teardown(NULL);
        setup(NULL);
        run(shake_for_too_long, do_nothing, tls);
        tls_context_unref(&tls[0]);
        tls_context_unref(&tls[1]);
}

static void wait_in_vain(void *arg)
{
        struct wire_line line;
        assert_int_equal(await_wire_line(far, 100, loop_now_ms() + 10, &line), -ETIMEDOUT);
        /* the peer does not read: what is put cannot all be sent */
        static char much[WIRE_OUT_BYTES_MAX];
        int rc = 0;
        for (int i = 0; i < 200 && rc == 0; i++) {
                assert_int_equal(wire_put(far, str_make(much, sizeof(much))), 0);
                assert_int_equal(wire_put(far, STR("x")), -ENOBUFS);
                rc = await_wire_flush(far, loop_now_ms() + 50);
        }
        assert_int_equal(rc, -ETIMEDOUT);
        task_cancel(task_self());
        assert_int_equal(await_wire_line(far, 100, soon(), &line), -ECANCELED);
        end_one();
}

static void waits_end(void **state)
{
        run(wait_in_vain, do_nothing, NULL);
}

static void speak_early(void *arg)
{
        wire_put(near, STR("STARTTLS\r\ninjected\r\n"));
        assert_int_equal(await_wire_flush(near, soon()), 0);
        wire_free(&near);
        end_one();
}

static void notice_early_words(void *arg)
{
        struct wire_line line;
        assert_int_equal(await_wire_line(far, 100, soon(), &line), 0);
        assert_str_equal(line.text, "STARTTLS");
        assert_true(wire_poll_input(far));
        assert_false(wire_is_broken(far));
        wire_discard_input(far);
        assert_false(wire_has_input(far));
        int rc = await_wire_line(far, 100, soon(), &line);
        assert_int_equal(rc, -EPIPE);
        assert_true(wire_is_broken(far));
        end_one();
}

static void early_input_is_seen_and_dropped(void **state)
{
        run(speak_early, notice_early_words, NULL);
}

/* Has something unread when it ends: that must not cost the peer what was said last. */
static void say_last_words(void *arg)
{
        bool waits_for_rubbish = *(bool *)arg;
        for (int i = 0; waits_for_rubbish && !wire_poll_input(far) && i < 1000; i++)
                assert_int_equal(await_sleep(1), 0);
        wire_put(far, STR("221 2.0.0 Bye\r\n"));
        assert_int_equal(await_wire_flush_last(far, soon()), 0);
        wire_free(&far);
        end_one();
}

static void hear_last_words(void *arg)
{
        struct wire_line line;
        if (*(bool *)arg) {
                wire_put(near, STR("DATA\r\nrubbish\r\n"));
                assert_int_equal(await_wire_flush(near, soon()), 0);
        }
        assert_int_equal(await_wire_line(near, 100, soon(), &line), 0);
        assert_str_equal(line.text, "221 2.0.0 Bye");
        assert_int_equal(await_wire_line(near, 100, soon(), &line), -EPIPE);
        end_one();
}

static void last_words_arrive(void **state)
{
        bool speaks_early = false;
        run(say_last_words, hear_last_words, &speaks_early);
}

static void last_words_arrive_in_spite_of_input(void **state)
{
        bool speaks_early = true;
        run(say_last_words, hear_last_words, &speaks_early);
}

/* What wire_prepare() sets holds for what is accepted: replies must not wait for Nagle's algorithm. */
static void what_is_accepted_is_prepared(void **state)
{
        struct sockaddr_in a;
        int one = 0;
        socklen_t len = sizeof(one);
        int listening = listen_somewhere(&a);
        wire_prepare(listening);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &one, &len), 0);
        assert_int_equal(one, 1);
        close(accepted);
        close(fd);
        close(listening);
}

static int get_option(int fd, int option)
{
        int value = -1;
        socklen_t len = sizeof(value);
        assert_int_equal(getsockopt(fd, SOL_SOCKET, option, &value, &len), 0);
        return value;
}

/* The kernel counts twice what it is told (socket(7)), and never gives less than a few thousand bytes. */
static void window_is_fixed(void **state)
{
        struct sockaddr_in a;
        int listening = listen_somewhere(&a);
        int before = get_option(listening, SO_RCVBUF);
        wire_set_window(listening, 0);
        assert_int_equal(get_option(listening, SO_RCVBUF), before);
        wire_set_window(listening, 20000);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
        int accepted = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(get_option(accepted, SO_RCVBUF), 40000);
        assert_int_equal(get_option(accepted, SO_SNDBUF), 40000);
        close(accepted);
        close(fd);
        close(listening);
}

static void connect_with_window(void *arg)
{
        struct why why;
        struct wire *w;
        struct sockaddr_in a;
        struct sockaddr_in here = {.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1)};
        struct wire_source from = {.address = (struct sockaddr *)&here,
                                   .address_len = sizeof(here),
                                   .window_bytes = 20000};
        int listening = listen_somewhere(&a);
        assert_int_equal(
                await_wire_connect((struct sockaddr *)&a, sizeof(a), &from, soon(), &w, &why), 0);
        struct wire_address local;
        assert_int_equal(wire_local(w, &local), 0);
        assert_string_equal(local.text, "127.0.0.2");
        int fd = wire_release(&w);
        assert_int_equal(get_option(fd, SO_RCVBUF), 40000);
        assert_int_equal(get_option(fd, SO_SNDBUF), 40000);
        close(fd);
        close(listening);
        end_one();
}

static void connect_out(void *arg)
{
        struct why why;
        struct wire *w;
        struct sockaddr_in a;
        int listening = listen_somewhere(&a);
        assert_int_equal(
                await_wire_connect((struct sockaddr *)&a, sizeof(a), NULL, soon(), &w, &why), 0);
        struct wire_address peer;
        struct wire_address local;
        assert_int_equal(wire_peer(w, &peer), 0);
        assert_int_equal(wire_local(w, &local), 0);
        assert_string_equal(peer.text, "127.0.0.1");
        assert_int_equal(peer.port, ntohs(a.sin_port));
        assert_int_equal(peer.family, AF_INET);
        assert_string_equal(local.text, "127.0.0.1");
        wire_free(&w);
        close(listening);
        assert_int_equal(
                await_wire_connect((struct sockaddr *)&a, sizeof(a), NULL, soon(), &w, &why),
                -ECONNREFUSED);
        assert_null(w);
        assert_string_equal(why.text, "Connection refused");
        wire_free(&w);
        end_one();
}

static void connects_and_is_refused(void **state)
{
        run(connect_out, do_nothing, NULL);
        run(connect_with_window, do_nothing, NULL);
}

static int make_files(void **state)
{
        return tls_fixture_make(&files);
}

static int remove_files(void **state)
{
        tls_fixture_remove(&files);
        return 0;
}

int main(void)
{
#define WITH_PAIR(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        const struct CMUnitTest tests[] = {
                WITH_PAIR(lines_come_in_pieces),
                WITH_PAIR(long_lines_are_skipped),
                WITH_PAIR(replies_leave_together),
                WITH_PAIR(much_goes_both_ways),
                WITH_PAIR(much_goes_both_ways_under_tls),
                WITH_PAIR(output_that_is_not_taken),
                WITH_PAIR(input_at_a_bad_time_is_not_lost),
                WITH_PAIR(handshakes_fail_clearly),
                WITH_PAIR(waits_end),
                WITH_PAIR(early_input_is_seen_and_dropped),
                WITH_PAIR(connects_and_is_refused),
                WITH_PAIR(last_words_arrive),
                WITH_PAIR(last_words_arrive_in_spite_of_input),
                cmocka_unit_test(what_is_accepted_is_prepared),
                cmocka_unit_test(window_is_fixed),
        };
        return cmocka_run_group_tests(tests, make_files, remove_files);
}
