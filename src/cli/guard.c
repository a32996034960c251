/* A file that another program truncates while it is read: the signal that the system
 * sends then becomes the library's error. */
#include "cli/guard.h"

#include <signal.h>

/* A handler can reach nothing but a static. */
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
