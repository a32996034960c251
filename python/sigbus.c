/* Handles SIGBUS for the Python package, which can't do so itself: a handler of Python's
 * runs too late. While calls run, a handler of ours is in front of whatever was there. It
 * takes only faults in files that nibble reads, and hands on all others. */
#include "nibble.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>

/* More calls than that at once are not guarded. */
enum { CALLS_MAX = 64 };

static struct slot {
    struct nibble_guard guard; /* first: what the caller holds */
    atomic_bool is_taken;
} slots[CALLS_MAX];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct sigaction before; /* what SIGBUS did without us */
static unsigned count;          /* slots that are taken */

NIBBLE_API struct nibble_guard *nibble_guard_enter(void);
NIBBLE_API void nibble_guard_leave(struct nibble_guard *guard);

static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    for (size_t i = 0; i < CALLS_MAX; i++)
        if (atomic_load(&slots[i].is_taken) &&
            nibble_guard_handle(&slots[i].guard, info->si_addr))
            return;
    sigaction(number, &before, NULL); /* the same access raises the signal again */
}

/* The guard of a call that begins. NULL where there are too many. */
struct nibble_guard *nibble_guard_enter(void)
{
    struct sigaction action = {.sa_sigaction = handle,
                               .sa_flags = SA_SIGINFO | SA_ONSTACK};
    struct nibble_guard *guard = NULL;
    sigemptyset(&action.sa_mask);
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < CALLS_MAX && !guard; i++) {
        if (atomic_load(&slots[i].is_taken))
            continue;
        guard = &slots[i].guard;
        guard->files = NULL;
        atomic_store(&slots[i].is_taken, true);
    }
    if (guard && count++ == 0)
        sigaction(SIGBUS, &action, &before);
    pthread_mutex_unlock(&lock);
    return guard;
}

/* Ends it. The last one puts back what was there, unless there is another one by now. */
void nibble_guard_leave(struct nibble_guard *guard)
{
    struct sigaction now;
    if (!guard)
        return;
    pthread_mutex_lock(&lock);
    atomic_store(&((struct slot *)(void *)guard)->is_taken, false);
    if (--count == 0 && sigaction(SIGBUS, NULL, &now) == 0 &&
        (now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handle)
        sigaction(SIGBUS, &before, NULL);
    pthread_mutex_unlock(&lock);
}
