/* The folder of a fuzz target. */
#include "fuzz.h"

#include <dirent.h>
#include <ftw.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[200];

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *fuzz_folder(void)
{
    uint8_t data[5000];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    if (*folder)
        return folder;
    snprintf(folder, sizeof folder, "%s/nibble-fuzz-XXXXXX", base);
    if (!mkdtemp(folder))
        fuzz_found("there is no room for a folder");
    atexit(remove_folder);
    setenv("TMPDIR", folder, 1);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7);
    fuzz_save("w", data, sizeof data);
    return folder;
}

void fuzz_path(char *path, size_t room, const char *name)
{
    snprintf(path, room, "%s/%s", fuzz_folder(), name);
}

void fuzz_save(const char *name, const void *data, size_t size)
{
    char path[300];
    fuzz_path(path, sizeof path, name);
    FILE *file = fopen(path, "wb");
    if (!file || (size > 0 && fwrite(data, 1, size, file) != size) || fclose(file) != 0)
        fuzz_found("a file can't be written");
}

int fuzz_entries(void)
{
    int count = 0;
    DIR *entries = opendir(fuzz_folder());
    while (entries && readdir(entries))
        count++;
    if (entries)
        closedir(entries);
    return count;
}

void fuzz_remove(const char *name)
{
    char path[600];
    size_t length = strlen(name);
    DIR *entries = opendir(fuzz_folder());
    for (const struct dirent *entry; entries && (entry = readdir(entries));) {
        size_t end = strlen(entry->d_name);
        bool data = end > length && strcmp(entry->d_name + end - 5, ".data") == 0;
        if (strncmp(entry->d_name, name, length) != 0 || (end != length && !data))
            continue;
        fuzz_path(path, sizeof path, entry->d_name);
        remove(path);
    }
    if (entries)
        closedir(entries);
}

int fuzz_memory(const void *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || (size > 0 && write(fd, data, size) != (ssize_t)size))
        fuzz_found("there is no memory for a file");
    return fd;
}

void fuzz_found(const char *what)
{
    fprintf(stderr, "found: %s\n", what);
    abort();
}
