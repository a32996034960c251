/* Data files by their contents, and those of outputs that were replaced. */
#include "onnx/data_files.h"
#include "core/content_hash.h"
#include "core/folder.h"
#include "onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SUFFIX ".data"
enum {
    DIGITS = 16,                           /* of the hash */
    TAIL = 1 + DIGITS + sizeof SUFFIX - 1, /* what is appended to the name of OUT */
    NAME_LONGEST = 255 - TAIL,             /* of OUT; longer names are cut */
    HASH_PIECE = 1 << 20,                  /* bytes that are read at a time */
};

/* ---- hashes -------------------------------------------------------------- */

/* Reads a whole piece unless the file ends. Returns its size, or -1. */
static ssize_t read_piece(int fd, uint8_t *piece, off_t offset)
{
    size_t done = 0;
    while (done < HASH_PIECE) {
        ssize_t n = pread(fd, piece + done, HASH_PIECE - done, offset + (off_t)done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        if (n == 0)
            break;
        done += (size_t)n;
    }
    return (ssize_t)done;
}

static bool hash_output(const struct output *data, uint64_t *out,
                        const volatile int *cancel, struct error *err)
{
    struct content_hash hash = CONTENT_HASH_START;
    uint8_t *piece = malloc(HASH_PIECE);
    off_t offset = 0;
    ssize_t n = HASH_PIECE;
    if (!piece)
        return error_memory(err);
    while (n == HASH_PIECE && !cancelled(cancel, err)) {
        n = read_piece(output_descriptor(data), piece, offset);
        if (n < 0)
            error_set(err, STATUS_READ, "%s: %s", output_path(data), strerror(errno));
        else
            content_hash_add(&hash, piece, (size_t)n);
        offset += n;
    }
    free(piece);
    *out = content_hash_end(&hash, (uint64_t)offset);
    return err->status == STATUS_OK;
}

/* ---- names --------------------------------------------------------------- */

char *data_name(struct arena *arena, const char *path)
{
    return arena_printf(arena, "%.*s%.*s.%0*d" SUFFIX, (int)folder_length(path), path,
                        NAME_LONGEST, folder_name_in(path), DIGITS, 0);
}

bool data_name_by_contents(char *name, const struct output *data,
                           const volatile int *cancel, struct error *err)
{
    char digits[DIGITS + 1];
    uint64_t hash = 0;
    if (!hash_output(data, &hash, cancel, err))
        return false;
    snprintf(digits, sizeof digits, "%016" PRIx64, hash);
    memcpy(name + strlen(name) - TAIL + 1, digits, DIGITS);
    return true;
}

static bool is_data_name(const char *name, const char *out)
{
    size_t length = strnlen(out, NAME_LONGEST);
    return strlen(name) == length + TAIL && memcmp(name, out, length) == 0 &&
           name[length] == '.' &&
           strspn(name + length + 1, "0123456789abcdef") == DIGITS &&
           strcmp(name + length + 1 + DIGITS, SUFFIX) == 0;
}

/* ---- what was replaced ----------------------------------------------------- */

struct cleaning {
    const char *out;
    const struct data_kept *kept;
    const struct model *model; /* its files stay; NULL: it was replaced itself */
    bool removing;             /* or else only counting */
    size_t found;
};

static void clean_one(void *context, int folder, const char *name)
{
    struct cleaning *c = context;
    struct stat st;
    const struct data_kept *kept = c->kept;
    if (!is_data_name(name, c->out) || (kept->name && strcmp(name, kept->name) == 0) ||
        (kept->names && map_get(kept->names, name)))
        return;
    c->found++;
    if (c->removing && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISREG(st.st_mode) && !(c->model && model_reads(c->model, &st)))
        unlinkat(folder, name, 0);
}

bool data_is_old(int folder, const struct output *out, const struct data_kept *kept)
{
    struct cleaning cleaning = {.out = folder_name_in(output_path(out)), .kept = kept};
    folder_each(folder, clean_one, &cleaning);
    return cleaning.found > 0;
}

void data_clean(int folder, const struct output *out, const struct data_kept *kept,
                const struct model *model)
{
    struct cleaning cleaning = {.out = folder_name_in(output_path(out)),
                                .kept = kept,
                                .model = model,
                                .removing = true};
    if (output_is_current(out))
        folder_each(folder, clean_one, &cleaning);
}
