/* Helpers of unit tests. Memory is never given back before the end of a test. */
#include "support.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ---- memory and models, freed at the end ------------------------------ */

static struct held {
    struct held *next;
    _Alignas(16) char bytes[];
} * all_held;

static struct ending {
    struct ending *next;
    void (*function)(void *);
    void *argument;
} * endings; /* the newest first */

static char folder[4096];

static int remove_entry(const char *path, const struct stat *st, int type,
                        struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

int support_teardown(void **state)
{
    (void)state;
    for (; endings; endings = endings->next)
        endings->function(endings->argument);
    for (struct held *held = all_held, *next; held; held = next) {
        next = held->next;
        free(held);
    }
    all_held = NULL;
    if (*folder)
        nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    *folder = '\0';
    return 0;
}

void *hold(size_t size)
{
    struct held *held = calloc(1, sizeof *held + size);
    assert_non_null(held);
    held->next = all_held;
    all_held = held;
    return held->bytes;
}

void at_end(void (*function)(void *), void *argument)
{
    struct ending *ending = hold(sizeof *ending);
    *ending = (struct ending){endings, function, argument};
    endings = ending;
}

char *hold_printf(const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    assert_true(n >= 0);
    char *text = hold((size_t)n + 1);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
    va_end(args);
    return text;
}

void assert_failed(const struct error *err, enum status status, const char *part)
{
    if (err->status != status || !strstr(err->message, part))
        print_error("status %d, message: %s\n", (int)err->status, err->message);
    assert_int_equal(err->status, status);
    assert_non_null(strstr(err->message, part));
}

void assert_fine(const struct error *err)
{
    if (err->status != STATUS_OK)
        print_error("status %d, message: %s\n", (int)err->status, err->message);
    assert_int_equal(err->status, STATUS_OK);
}

/* ---- random numbers --------------------------------------------------- */

static uint64_t random_state = 1;

void random_begin(void)
{
    const char *seed = getenv("NIBBLE_SEED");
    random_state = seed ? strtoull(seed, NULL, 10) : 1;
    print_message("NIBBLE_SEED=%llu\n", (unsigned long long)random_state);
}

/* splitmix64 */
uint64_t random_below(uint64_t limit)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % limit;
}

float random_float(void)
{
    return (float)random_below(1 << 24) / (float)(1 << 23) - 1.0f;
}

/* ---- files ------------------------------------------------------------ */

const char *temp_folder(void)
{
    const char *base = getenv("TMPDIR");
    if (*folder)
        return folder;
    snprintf(folder, sizeof folder, "%s/nibble-test-XXXXXX",
             base && *base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    return folder;
}

const char *temp_path(const char *name)
{
    return hold_printf("%s/%s", temp_folder(), name);
}

const char *save(const char *name, const void *data, size_t size)
{
    const char *path = temp_path(name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    return path;
}

struct bytes load(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    struct bytes bytes = {hold((size_t)st.st_size + 1), (size_t)st.st_size};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(bytes.data, 1, bytes.size, file), bytes.size);
    fclose(file);
    return bytes;
}

bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

size_t entries_of(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count - 2;
}

int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

const char *device(const char *name)
{
    bool full = strcmp(name, "full") == 0;
    const char *path = geteuid() == 0 ? temp_path(name) : hold_printf("/dev/%s", name);
    if (geteuid() == 0)
        mknod(path, S_IFCHR | 0600, makedev(1, full ? 7 : 3));
    int fd = open(path, O_WRONLY);
    if (fd < 0)
        return NULL;
    close(fd);
    return path;
}

/* ---- to bytes and back ------------------------------------------------ */

struct bytes pack(const Onnx__ModelProto *proto)
{
    struct bytes bytes = {0};
    bytes.size = onnx__model_proto__get_packed_size(proto);
    bytes.data = hold(bytes.size + 1);
    assert_int_equal(onnx__model_proto__pack(proto, bytes.data), bytes.size);
    return bytes;
}

static void *held_alloc(void *context, size_t size)
{
    (void)context;
    return hold(size);
}

static void held_free(void *context, void *pointer)
{
    (void)context;
    (void)pointer;
}

Onnx__ModelProto *unpack(struct bytes bytes)
{
    ProtobufCAllocator allocator = {held_alloc, held_free, NULL};
    Onnx__ModelProto *proto =
        onnx__model_proto__unpack(&allocator, bytes.size, bytes.data);
    assert_non_null(proto);
    return proto;
}

struct model *open_model(const char *path, struct error *err)
{
    struct file *file = file_open(path, NULL, err);
    struct model *model = file ? model_load(file, err) : NULL;
    if (!model)
        file_close(file);
    return model;
}

void close_model(struct model *model)
{
    struct file *file = model ? (struct file *)(uintptr_t)model->file : NULL;
    model_free(model);
    file_close(file);
}

static void close_later(void *model)
{
    close_model(model);
}

struct model *read_saved(const char *path)
{
    struct error err = {0};
    struct model *model = open_model(path, &err);
    assert_fine(&err);
    assert_non_null(model);
    at_end(close_later, model);
    return model;
}

struct model *read_bytes(const void *data, size_t size)
{
    static unsigned number;
    return read_saved(save(hold_printf("model-%u.onnx", number++), data, size));
}

struct model *read_proto(const Onnx__ModelProto *proto)
{
    struct bytes bytes = pack(proto);
    return read_bytes(bytes.data, bytes.size);
}

Onnx__TensorProto *find_initializer(const Onnx__GraphProto *graph, const char *name)
{
    for (size_t i = 0; i < graph->n_initializer; i++)
        if (strcmp(or_empty(graph->initializer[i]->name), name) == 0)
            return graph->initializer[i];
    return NULL;
}

Onnx__NodeProto *find_node(Onnx__NodeProto *const *nodes, size_t count,
                           const char *output)
{
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < nodes[i]->n_output; j++)
            if (strcmp(nodes[i]->output[j], output) == 0)
                return nodes[i];
    return NULL;
}
