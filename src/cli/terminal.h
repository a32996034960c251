/* The program's ends: messages and progress on standard error, results on standard
 * output, and the signals that stop it. */
#ifndef NIBBLE_CLI_TERMINAL_H
#define NIBBLE_CLI_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* Sees to it that descriptors 0 to 2 are open, so that no file of ours becomes one
 * of them; writing to one that was closed still fails. Call it first. */
void terminal_init(void);

/* Print "nibble: ..." and a newline to standard error; what could move the
 * terminal's cursor is shown as '?'. The first prints one line, the second may
 * print several. */
void message(const char *format, ...) __attribute__((format(printf, 1, 2)));
void message_lines(const char *text);

/* Width to lay text out for: the terminal's, or 0 where the stream is none. */
int terminal_columns(FILE *stream);

/* Flushes and closes standard output. False, after a message, if anything written
 * to it was lost. */
bool stdout_finish(void);

/* Progress, for nibble_options: shown on a terminal only, at most 6 times a second. */
struct progress {
    bool enabled, shown;
    int64_t last; /* milliseconds */
    const char *verb;
};
void progress_show(void *progress, uint64_t done, uint64_t total);
void progress_clear(struct progress *progress);

/* Makes SIGINT, SIGTERM and SIGHUP set the flag that is returned (unless they are
 * ignored already), and writing to a closed pipe an error instead of death. */
const volatile int *signals_catch(void);

/* Dies of the signal that was caught, if one was. */
void signals_die(void);

#endif
