/* Standard streams, progress and signals. This file knows nothing about models or
 * options. */
#include "cli/terminal.h"
#include "nibble.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
    MESSAGE_SIZE = 4096,
    INTERVAL = 1000 / 6,
    PATIENCE = 1000, /* milliseconds before progress is shown at all */
    FEWEST_COLUMNS = 60,
    DEFAULT_COLUMNS = 80,
    MOST_COLUMNS = 500
};

/* ---- streams ---------------------------------------------------------- */

void terminal_init(void)
{
    for (int wanted = STDIN_FILENO; wanted <= STDERR_FILENO; wanted++) {
        if (fcntl(wanted, F_GETFD) >= 0 || errno != EBADF)
            continue;
        /* open returns the lowest free number, which is `wanted`. The direction is wrong
         * on purpose: using the stream still fails. */
        int fd = open("/dev/null", wanted == STDIN_FILENO ? O_WRONLY : O_RDONLY);
        if (fd < 0)
            _exit(1);
    }
}

/* Prints a line, or several if `kept` has the newline. */
__attribute__((format(printf, 2, 0))) static void print(const char *kept,
                                                        const char *format, va_list args)
{
    char fixed[MESSAGE_SIZE], *text = fixed;
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(fixed, sizeof fixed, format, args);
    if (n >= (int)sizeof fixed && (text = malloc((size_t)n + 1)))
        vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    text = text ? text : fixed; /* out of memory: the end is missing */
    nibble_defuse(text, kept);
    fprintf(stderr, "nibble: %s\n", text);
    if (text != fixed)
        free(text);
}

void message(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print("", format, args);
    va_end(args);
}

__attribute__((format(printf, 1, 2))) static void print_lines(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    print("\n", format, args);
    va_end(args);
}

void message_lines(const char *text)
{
    print_lines("%s", text);
}

/* The value of the variable COLUMNS, or 0 if it is not a sensible number. */
static int columns_wanted(void)
{
    const char *text = getenv("COLUMNS");
    char *end = NULL;
    long columns = text ? strtol(text, &end, 10) : 0;
    return text && *text && *end == '\0' && columns > 0 && columns < INT_MAX
               ? (int)columns
               : 0;
}

int terminal_columns(FILE *stream)
{
    struct winsize size = {0};
    int fd = fileno(stream), columns = columns_wanted();
    if (!isatty(fd))
        return 0;
    if (columns == 0 && ioctl(fd, TIOCGWINSZ, &size) == 0)
        columns = size.ws_col;
    if (columns == 0)
        columns = DEFAULT_COLUMNS;
    if (columns < FEWEST_COLUMNS)
        return FEWEST_COLUMNS;
    return columns < MOST_COLUMNS ? columns : MOST_COLUMNS;
}

bool stdout_finish(void)
{
    errno = 0;
    bool failed = fflush(stdout) != 0 || ferror(stdout);
    int code = errno;
    if (fclose(stdout) != 0 && !failed) {
        failed = true;
        code = errno;
    }
    if (failed)
        message("standard output: %s", code ? strerror(code) : "could not be written");
    return !failed;
}

/* ---- progress --------------------------------------------------------- */

static int64_t milliseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void progress_show(void *data, uint64_t done, uint64_t total)
{
    struct progress *progress = data;
    if (!progress->enabled || total == 0)
        return;
    int64_t now = milliseconds();
    if (!progress->begin || done < progress->done) /* several passes may be needed */
        progress->begin = now;
    progress->done = done;
    int64_t elapsed = now - progress->begin;
    if ((!progress->shown && elapsed < PATIENCE) ||
        (progress->shown && now - progress->last < INTERVAL))
        return;
    double rate = elapsed > 0 ? (double)done / (double)elapsed * 1000 : 0;
    fprintf(stderr, "\r%s %3.0f %% of %.1f MB", progress->verb,
            100 * (double)done / (double)total, (double)total / 1e6);
    if (rate > 0)
        fprintf(stderr, ", %.1f MB/s, %.0f s left   ", rate / 1e6,
                (double)(total - done) / rate);
    fflush(stderr);
    progress->shown = true;
    progress->last = now;
}

void progress_clear(struct progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%75s\r", "");
    progress->shown = false;
}

/* ---- signals ---------------------------------------------------------- */

static const int stopping[] = {SIGINT, SIGTERM, SIGHUP};

/* The signal that was caught. Static, because a handler gets no pointer of ours. */
static volatile sig_atomic_t caught;

static void catch (int number)
{
    caught = number;
}

const volatile int *signals_catch(void)
{
    struct sigaction action = {.sa_handler = catch}, old;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof stopping / sizeof *stopping; i++)
        if (sigaction(stopping[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(stopping[i], &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    return &caught;
}

void signals_die(void)
{
    int number = caught;
    if (number == 0)
        return;
    signal(number, SIG_DFL);
    raise(number);
}
