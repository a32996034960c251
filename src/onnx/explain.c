/* The table of kinds of files. Looks at the first bytes and, if they say nothing, at the
 * name. Parses nothing. */
#include "onnx/explain.h"
#include "core/sizes.h"

#include <string.h>
#include <strings.h>

#define POINTER "version https://git-lfs"

/* A kind of files that have `bytes` at `offset`. */
static const struct {
    size_t offset, length;
    const char *bytes, *kind, *advice;
} kinds[] = {
#define BYTES(bytes) sizeof(bytes) - 1, bytes
    {4, BYTES("ORTM"), "an ORT format model (.ort)",
     "quantize the .onnx file that it was made from"},
    {4, BYTES("TFL3"), "a TensorFlow Lite model",
     "convert it to ONNX first, with tf2onnx (--tflite)"},
    {8, BYTES("{\""), "a safetensors file: weights without a graph",
     "export the model to ONNX, with optimum or torch.onnx.export"},
    {0, BYTES("GGUF"), "a GGUF model of llama.cpp",
     "export the model that it was made from to ONNX"},
    {0, BYTES("PK\x03\x04"),
     "a zip archive, such as a PyTorch file (.pt, .pth) or .keras",
     "export that model to ONNX (torch.onnx.export, tf2onnx), or unpack the archive"},
    {0, BYTES("\x80\x02"), "a Python pickle, such as a PyTorch file (.pt, .bin)",
     "export the model to ONNX with torch.onnx.export"},
    {0, BYTES("\x80\x03"), "a Python pickle", "export the model to ONNX"},
    {0, BYTES("\x80\x04"), "a Python pickle, such as a scikit-learn model",
     "export the model to ONNX, with skl2onnx or torch.onnx.export"},
    {0, BYTES("\x80\x05"), "a Python pickle, such as a scikit-learn model",
     "export the model to ONNX, with skl2onnx or torch.onnx.export"},
    {0, BYTES("\x89HDF\r\n"), "an HDF5 file, such as a Keras model (.h5)",
     "convert it to ONNX first, with tf2onnx (--keras)"},
    {0, BYTES("ptrt"), "a TensorRT engine",
     "quantize the .onnx file that it was built from"},
    {0, BYTES("ftrt"), "a TensorRT engine",
     "quantize the .onnx file that it was built from"},
    {0, BYTES("\x93NUMPY"), "a NumPy array", "name the model's .onnx file"},
    {257, BYTES("ustar"), "a tar archive", "unpack it and name the .onnx file in it"},
    {0, BYTES("\x28\xB5\x2F\xFD"), "compressed with zstd", "decompress it first"},
    {0,
     BYTES("\xFD"
           "7zXZ"),
     "compressed with xz", "decompress it first"},
    {0, BYTES("BZh"), "compressed with bzip2", "decompress it first"},
    {0, BYTES("7z\xBC\xAF"), "a 7z archive", "unpack it first"},
    {0, BYTES("%PDF"), "a PDF document", "name the model's .onnx file"},
    {0,
     BYTES("\x7F"
           "ELF"),
     "a program or library", "name the model's .onnx file"},
    {0, BYTES("\0\0\0\0\0\0\0\0"), "nothing but zero bytes at its beginning",
     "it may be an incomplete download"},
#undef BYTES
};

/* Kinds of text files. Blanks may come first, and letters may have any case. */
static const struct {
    const char *begin, *kind, *advice;
} texts[] = {
    {POINTER, "a Git LFS pointer, not the file itself",
     "run 'git lfs pull' in its repository, or download the file"},
    {"<!DOCTYPE HTML", "a web page, not the file itself",
     "download the file by its raw link"},
    {"<HTML", "a web page, not the file itself", "download the file by its raw link"},
    {"<?xml", "an XML file, such as OpenVINO IR or a server's error",
     "quantize the .onnx file that it was made from, or download again"},
    {"<net ", "an OpenVINO IR", "quantize the .onnx file that it was made from"},
    {"ir_version:", "an ONNX model as text",
     "save it in binary form, with onnx.load and onnx.save"},
    {"{", "JSON, such as a configuration or a server's answer",
     "name the file itself, or download it again"},
};

/* Formats that have no bytes of their own. */
static const struct {
    const char *suffix, *kind, *advice;
} suffixes[] = {
    {".pb", "perhaps a TensorFlow graph", "convert it to ONNX first, with tf2onnx"},
    {".mlmodel", "perhaps a Core ML model", "export the original model to ONNX"},
    {".pdmodel", "perhaps a PaddlePaddle model",
     "convert it to ONNX first, with paddle2onnx"},
    {".caffemodel", "perhaps a Caffe model", "export the original model to ONNX"},
    {".tflite", "perhaps a TensorFlow Lite model",
     "convert it to ONNX first, with tf2onnx (--tflite)"},
    {".data", "perhaps the external data of a model", "name the .onnx file beside it"},
    {"_data", "perhaps the external data of a model", "name the .onnx file beside it"},
};

static bool explain(const struct file *file, const char *wanted, const char *kind,
                    const char *advice, struct error *err)
{
    error_replace(err, STATUS_MALFORMED, "%s: not %s, but %s: %s", file->path, wanted,
                  kind, advice);
    return true;
}

static const char a_model[] = "an ONNX model", data[] = "external data";

static bool explain_bytes(const struct file *file, struct error *err)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        size_t begin = kinds[i].offset, length = kinds[i].length;
        if (file->size >= begin + length &&
            memcmp(file->data + begin, kinds[i].bytes, length) == 0)
            return explain(file, a_model, kinds[i].kind, kinds[i].advice, err);
    }
    return false;
}

enum { TEXT_SHOWN = 40 };

/* Copies the beginning of the first line, if the file is text. */
static bool first_line(const struct file *file, char line[TEXT_SHOWN + 1])
{
    size_t at = 0, n = 0;
    while (at < file->size && strchr(" \t\r\n", file->data[at]) && file->data[at])
        at++;
    for (; at < file->size && n < TEXT_SHOWN && file->data[at] != '\n'; at++) {
        unsigned char c = file->data[at];
        if (c != '\t' && c != '\r' && (c < 0x20 || c > 0x7E))
            return false;
        line[n++] = c == '\t' || c == '\r' ? ' ' : (char)c;
    }
    line[n] = '\0';
    return n > 0;
}

static bool explain_text(const struct file *file, const char *wanted, struct error *err)
{
    char line[TEXT_SHOWN + 1];
    if (!first_line(file, line))
        return false;
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        if (strncasecmp(line, texts[i].begin, strlen(texts[i].begin)) == 0)
            return explain(file, wanted, texts[i].kind, texts[i].advice, err);
    error_replace(err, STATUS_MALFORMED,
                  "%s: not %s, but a text that begins '%s': download the file again",
                  file->path, wanted, line);
    return true;
}

/* A name proves nothing. It only adds a hint to the error. */
static void explain_suffix(const struct file *file, struct error *err)
{
    size_t length = strlen(file->path);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++) {
        size_t n = strlen(suffixes[i].suffix);
        if (length <= n || strcmp(file->path + length - n, suffixes[i].suffix) != 0)
            continue;
        error_append(err, "; ");
        error_append(err, suffixes[i].kind);
        error_append(err, ": ");
        error_append(err, suffixes[i].advice);
    }
}

void explain_model(const struct file *file, struct error *err)
{
    if (file->size == 0)
        error_replace(err, STATUS_MALFORMED, "%s: empty file: %s", file->path,
                      file->is_stdin ? "the program before it has written nothing"
                                     : "an incomplete download?");
    else if (!explain_bytes(file, err) && !explain_text(file, a_model, err))
        explain_suffix(file, err);
}

bool explain_data(const struct file *file, struct error *err)
{
    return explain_text(file, data, err);
}

bool explain_pointer(const struct file *file, struct error *err)
{
    size_t length = sizeof POINTER - 1;
    return file->size >= length && memcmp(file->data, POINTER, length) == 0 &&
           explain_data(file, err);
}
