/*
 * mapped.c - looking into mapped files that somebody may cut short meanwhile
 *
 * The handler jumps back to where the look began. The signal mask is not kept there (that would be a system call a look): the
 * kernel has told the handler what it was.
 */
#include "base/mapped.h"

#include "base/check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <ucontext.h>

struct guard {
        sigjmp_buf back;
        struct guard *outer;
};

static __thread struct guard *volatile innermost;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_taken;
static struct sigaction before;

static void bus_error(int signal, siginfo_t *info, void *machine)
{
        if (innermost && info->si_code == BUS_ADRERR) {
                pthread_sigmask(SIG_SETMASK, &((const ucontext_t *)machine)->uc_sigmask, NULL);
                siglongjmp(innermost->back, 1);
        }
        sigaction(signal, &before, NULL);
        if (info->si_code <= 0) /* somebody has sent it: it does not come again by itself */
                raise(signal);
}

void mapped_take_signal(void)
{
        struct sigaction ours = {.sa_sigaction = bus_error, .sa_flags = SA_SIGINFO};
        struct sigaction now;
        pthread_mutex_lock(&lock);
        check(sigaction(SIGBUS, NULL, &now) == 0);
        if (!(now.sa_flags & SA_SIGINFO) || now.sa_sigaction != bus_error) {
                before = now;
                check(sigaction(SIGBUS, &ours, NULL) == 0);
        }
        atomic_store(&is_taken, true);
        pthread_mutex_unlock(&lock);
}

bool mapped_look(void (*look)(void *context), void *context)
{
        if (!atomic_load_explicit(&is_taken, memory_order_acquire))
                mapped_take_signal();
        struct guard guard;
        guard.outer = innermost;
        if (sigsetjmp(guard.back, 0)) {
                innermost = guard.outer;
                return false;
        }
        innermost = &guard;
        look(context);
        innermost = guard.outer;
        return true;
}
