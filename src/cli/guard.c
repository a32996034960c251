/* Turns SIGBUS into an error of the library. The system sends this signal if another
 * program truncates a file while we read it. */
#include "cli/guard.h"

#include <signal.h>

/* Static, because a signal handler gets no pointer of ours. */
static struct nibble_guard guard;

static void handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (nibble_guard_handle(&guard, info->si_addr))
        return;
    signal(number, SIG_DFL);
    raise(number);
}

struct nibble_guard *guard_install(void)
{
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, &action, NULL);
    return &guard;
}
