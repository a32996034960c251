/* Fuzzing of the whole pipeline: any bytes as a model, with any options. Nothing
 * may crash, leak or hang, no temporary file may stay, and what nibble writes
 * nibble can read.
 *
 * With libFuzzer (clang; on Debian libclang-rt-14-dev):
 *
 *     CC=clang meson setup build/fuzz -Dtests=false -Ddefault_library=static \
 *         -Db_lundef=false -Db_sanitize=address,undefined \
 *         -Dc_args=-fsanitize=fuzzer-no-link
 *     meson compile -C build/fuzz libnibble.a
 *     clang -g -fsanitize=fuzzer,address,undefined -Isrc tests/fuzz/fuzz_model.c \
 *         build/fuzz/src/libnibble.a -lprotobuf-c -lz -lcjson -lm -pthread -o
 * build/fuzz/model python3 tests/fuzz/corpus.py build/fuzz/corpus build/fuzz/model
 * -max_len=65536 -timeout=20 build/fuzz/corpus
 *
 * Compiled by any compiler with -DREPLAY it is a program that runs each file, and
 * each file in each folder, that it is given. */
#include "nibble.h"

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the folder of the model ----------------------------------------- */

static char folder[200];

static void path_in(char *path, size_t room, const char *name)
{
    snprintf(path, room, "%s/%s", folder, name);
}

static void save(const char *name, const void *data, size_t size)
{
    char path[300];
    path_in(path, sizeof path, name);
    FILE *file = fopen(path, "wb");
    if (!file || (size > 0 && fwrite(data, 1, size, file) != size) || fclose(file) != 0)
        abort();
}

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

/* In memory where there is such a file system; external data "w" lies in it. */
static void make_folder(void)
{
    char data[5000];
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(folder, sizeof folder, "%s/nibble-fuzz-XXXXXX", base);
    if (!mkdtemp(folder))
        abort();
    atexit(remove_folder);
    setenv("TMPDIR", folder, 1);
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7);
    save("w", data, sizeof data);
}

static int entries(void)
{
    int count = 0;
    DIR *dir = opendir(folder);
    while (dir && readdir(dir))
        count++;
    if (dir)
        closedir(dir);
    return count;
}

/* ---- one input: a few bytes of options, then the model ---------------- */

enum { OPTION_BYTES = 7 };

static const char *const outputs[] = {NULL, "out.onnx", "out.onnx.gz"};

/* Types for each weight, by a limit or by an SNR; 3: both, which is a mistake. */
static void choose(struct nibble_options *options, int how)
{
    if (how == 0)
        return;
    options->type = NIBBLE_TYPE_INT4;
    options->granularity = NIBBLE_GRANULARITY_DEFAULT;
    options->bits_per_weight = how & 1 ? 9.5 : 0;
    options->min_snr = how & 2 ? 20 : 0;
}

static struct nibble_options options_of(const uint8_t *bytes)
{
    static const char *const patterns[] = {NULL, "", "W", "^[a-z_]*$", "(a|b)*c"};
    static const size_t blocks[] = {0, 1, 2, 3, 16, 17, 32, 256, 1 << 20, SIZE_MAX};
    enum { PATTERNS = sizeof patterns / sizeof *patterns };
    enum { BLOCKS = sizeof blocks / sizeof *blocks };
    struct nibble_options options;
    nibble_options_init(&options);
    options.type = (enum nibble_type)(bytes[0] % 5); /* one too many, as others are */
    options.symmetry = (enum nibble_symmetry)(bytes[0] / 5 % 4);
    options.granularity = (enum nibble_granularity)(bytes[1] % 5);
    options.block_size = blocks[bytes[1] / 5 % BLOCKS];
    options.include = patterns[bytes[2] % PATTERNS];
    options.exclude = patterns[bytes[2] / PATTERNS % PATTERNS];
    options.min_elements = (size_t)(bytes[3] % 16) * 8;
    options.threads = bytes[3] / 16 % 4 == 3 ? 2 : 1;
    options.freeze = bytes[4] & 1;
    options.no_upgrade = bytes[4] & 2;
    options.external_data = bytes[4] & 4;
    options.force = bytes[4] & 8;
    options.cpu = bytes[4] & 16 ? "scalar" : NULL;
    options.wide_embeddings = bytes[4] & 32;
    options.copy_bytes = bytes[4] & 64 ? 64 : 1 << 20;
    options.decode = (enum nibble_decode)(bytes[6] % 5);
    options.format = (enum nibble_format)(bytes[6] / 5 % 3);
    options.target = (enum nibble_target)(bytes[6] / 15 % 3);
    choose(&options, bytes[5] / 64);
    return options;
}

/* What was written is a model. Its tensors may be as malformed as they were. */
static void read_back(const char *path)
{
    struct nibble_options options;
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    nibble_options_init(&options);
    options.min_elements = SIZE_MAX;
    if (nibble_quantize(path, NULL, &options, &report, &error) &&
        !strstr(error.message, "tensor '")) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    nibble_report_free(report);
}

static void print_reports(const struct nibble_report *report)
{
    free(nibble_report_text(report, 80, true));
    free(nibble_report_json(report));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < OPTION_BYTES)
        return 0;
    if (!*folder)
        make_folder();
    char model[300], output[300], extra[310];
    struct nibble_options options = options_of(data);
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    const char *name = outputs[data[5] % (sizeof outputs / sizeof *outputs)];
    bool upgrade = data[5] / 16 % 4 == 3;
    save("m.onnx", data + OPTION_BYTES, size - OPTION_BYTES);
    path_in(model, sizeof model, "m.onnx");
    path_in(output, sizeof output, name ? name : "out.onnx");
    const char *target = name || upgrade ? output : NULL;
    int before = entries();
    enum nibble_status status =
        upgrade ? nibble_upgrade(model, target, 21 + data[0] % 10, &options, &error)
                : nibble_quantize(model, target, &options, &report, &error);
    if (status != NIBBLE_STATUS_OK && (!*error.message || report))
        abort();
    if (report)
        print_reports(report);
    nibble_report_free(report);
    snprintf(extra, sizeof extra, "%s.data", output);
    if (access(output, F_OK) == 0)
        read_back(output);
    remove(output);
    remove(extra);
    if (entries() != before)
        abort();
    return 0;
}

/* ---- without libFuzzer ------------------------------------------------ */

#ifdef REPLAY

static int run_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type != FTW_F)
        return 0;
    size_t size = (size_t)st->st_size;
    uint8_t *data = malloc(size + 1);
    FILE *file = fopen(path, "rb");
    if (!data || !file || fread(data, 1, size, file) != size)
        abort();
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last one named is the one that crashed */
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (nftw(argv[i], run_file, 16, FTW_PHYS) != 0) {
            perror(argv[i]);
            return 1;
        }
    return 0;
}

#endif
