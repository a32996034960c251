/* A stream that becomes a text in memory. */
#include "core/text_stream.h"

#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096 };

/* Room for `size` more bytes and a zero. */
static bool grow(struct text_stream *stream, size_t size)
{
    size_t room = stream->room ? stream->room : ROOM;
    while (room - stream->size <= size)
        room *= 2;
    char *text = room > stream->room ? realloc(stream->text, room) : stream->text;
    if (!text)
        return false;
    stream->text = text;
    stream->room = room;
    return true;
}

static ssize_t put(void *cookie, const char *data, size_t size)
{
    struct text_stream *stream = cookie;
    if (stream->failed || !grow(stream, size)) {
        stream->failed = true;
        return 0;
    }
    memcpy(stream->text + stream->size, data, size);
    stream->size += size;
    return (ssize_t)size;
}

bool text_stream_open(struct text_stream *stream)
{
    *stream = (struct text_stream){0};
    stream->out = fopencookie(stream, "w", (cookie_io_functions_t){.write = put});
    return stream->out;
}

char *text_stream_close(struct text_stream *stream)
{
    bool ok = stream->out && !ferror(stream->out);
    ok = stream->out && fclose(stream->out) == 0 && ok;
    stream->out = NULL;
    if (ok && !stream->failed && grow(stream, 0)) {
        stream->text[stream->size] = '\0';
        return stream->text;
    }
    free(stream->text);
    return NULL;
}
