/* crash.c - last words */
#include "ops/crash.h"

#include "base/check.h"
#include "base/log.h"
#include "base/mapped.h"
#include "loop/task.h"
#include "ops/channel.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

enum { STACK_BYTES = 64 * 1024 };

static int to_supervisor = -1;

static void describe(char *out, size_t room)
{
        const struct task *t = task_self();
        if (t)
                task_describe(t, out, room);
        else
                snprintf(out, room, "%s", loop_self() ? "the loop itself" : "not in a loop");
}

static void log_last_words(void)
{
        char text[300];
        describe(text, sizeof(text));
        log_write(LOG_LEVEL_PANIC, NULL, "task: %s", text);
}

/* Nothing here takes a lock or memory. */
static void die(int signal)
{
        struct channel_message m = {.kind = CHANNEL_LAST_WORDS};
        char text[300];
        describe(text, sizeof(text));
        int len = snprintf(m.text, sizeof(m.text), "signal %d in task: %s\n", signal, text);
        ssize_t n = write(2, m.text, (size_t)len);
        (void)n;
        channel_send(to_supervisor, &m, -1);
        raise(signal); /* comes when we return, for one that somebody has sent too */
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

void crash_install(int channel)
{
        check_epitaph = log_last_words;
        to_supervisor = channel;
        if (HAS_SANITIZER)
                return;
        static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL};
        struct sigaction action = {.sa_handler = die, .sa_flags = SA_ONSTACK | SA_RESETHAND};
        for (size_t i = 0; i < sizeof(signals) / sizeof(*signals); i++)
                sigaction(signals[i], &action, NULL);
        mapped_take_signal(); /* before us: a table's file that was cut short is no crash */
}

void crash_use_own_stack(void)
{
        if (HAS_SANITIZER)
                return;
        void *memory =
                mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
                return;
        const stack_t stack = {.ss_sp = memory, .ss_size = STACK_BYTES};
        sigaltstack(&stack, NULL);
}
