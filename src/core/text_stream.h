/* A stream that becomes a text in memory. open_memstream of glibc drops what it has no
 * memory for without a sign. Here it is an error. */
#ifndef NIBBLE_CORE_TEXT_STREAM_H
#define NIBBLE_CORE_TEXT_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct text_stream {
    FILE *out; /* NULL: there was no memory */
    char *text;
    size_t size, room;
    bool failed;
};

/* The struct must stay where it is until the stream is closed. */
bool text_stream_open(struct text_stream *stream);

/* Closes the stream, if it is open, and returns all that was written, which the caller
 * frees. NULL: something was lost. */
char *text_stream_close(struct text_stream *stream);

#endif
