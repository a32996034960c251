/* The program's connections to its surroundings: messages and progress on standard error,
 * results on standard output, and signals that stop it. */
#ifndef NIBBLE_CLI_TERMINAL_H
#define NIBBLE_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Makes sure that descriptors 0 to 2 are open, so that no file of ours becomes one of
 * them. Using one that was closed still fails. Call this function first. */
void terminal_init(void);

/* Print "nibble: ..." and a newline to standard error. A character that could move the
 * terminal's cursor becomes '?'. `message` prints one line, `message_lines` may print
 * several. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void message_lines(const char *text);

/* The width of the terminal, or 0 if the stream is not a terminal. */
int terminal_columns(FILE *stream);

/* Flushes and closes standard output. Returns false, after a message, if a write to it
 * was lost. */
bool stdout_finish(void);

/* Progress for nibble_options, with the rate and the time that is left. Only a terminal
 * shows it, and only for work of more than a second, at most 6 times a second. */
struct progress {
    bool enabled, shown;
    int64_t begin, last; /* milliseconds */
    uint64_t done;
    const char *verb;
};
void progress_show(void *progress, uint64_t done, uint64_t total);
void progress_clear(struct progress *progress);

/* Makes SIGINT, SIGTERM and SIGHUP set the returned flag, unless they are ignored
 * already. Makes it an error, not a signal, to write to a closed pipe or beyond a limit
 * on the size of files. */
const volatile int *signals_catch(void);

/* Dies of the caught signal, if there is one. */
void signals_die(void);

#endif
