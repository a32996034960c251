/* The commands. Each calls the library once, prints the result and returns the exit
 * status. This file reads no options itself. */
#include "cli/commands.h"
#include "cli/guard.h"
#include "cli/helper.h"
#include "cli/terminal.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- writing the report ----------------------------------------------- */

/* The text goes to standard output. If the model goes there, the text goes to standard
 * error. If another report goes there, no text is written. */
static bool write_text(const struct settings *s, const struct nibble_report *report)
{
    if (s->quiet || is_standard(s->json) || is_standard(s->page))
        return true;
    FILE *out = !s->dry_run && is_standard(s->output) ? stderr : stdout;
    char *text = nibble_report_text(report, terminal_columns(out), s->verbose);
    if (!text)
        message("out of memory while writing the report");
    bool ok = text && fputs(text, out) >= 0;
    free(text);
    return ok;
}

static void warn(const struct settings *s, const struct nibble_report *report)
{
    for (size_t i = 0; i < report->weight_count; i++) {
        const struct nibble_weight *w = report->weights[i];
        if (w->warning)
            message("warning: %s%s%s stays float: %s", w->graph, *w->graph ? "/" : "",
                    w->name, w->reason);
    }
    if (*report->note)
        message("warning: %s: %s", s->model, report->note);
    if (report->quantized == 0 && report->codes_stored == 0)
        message("warning: %s: nothing to quantize%s", s->model,
                *report->output && report->stored_float16 + report->float16_nodes == 0
                    ? ", so the output is the model unchanged"
                    : "");
}

/* ---- commands --------------------------------------------------------- */

/* Wrong options are wrong usage, no matter which part finds them. */
int failed(const struct nibble_error *error)
{
    message_lines(error->message);
    return error->status == NIBBLE_STATUS_INVALID ? EXIT_USAGE : EXIT_FAILED;
}

/* The options of the settings, with progress and cancel connected. */
static struct nibble_options connected(const struct settings *s,
                                       struct progress *progress, const char *verb)
{
    struct nibble_options options = settings_options(s);
    *progress =
        (struct progress){.enabled = !s->quiet && isatty(STDERR_FILENO), .verb = verb};
    options.progress = progress_show;
    options.progress_data = progress;
    options.cancel = signals_catch();
    options.guard = guard_install();
    options.unmeasured = s->quiet && !s->json && !s->page; /* nobody reads the errors */
    return options;
}

/* Tells the user before the work, not after it, that a file can't be written there. */
bool has_folder(const char *path)
{
    struct stat st;
    char folder[4096];
    const char *slash = path ? strrchr(path, '/') : NULL;
    size_t length = slash ? (size_t)(slash - path) : 0;
    if (length == 0 || length >= sizeof folder)
        return true;
    snprintf(folder, sizeof folder, "%.*s", (int)length, path);
    if (stat(folder, &st) == 0)
        return true;
    message("%s: there is no folder '%s': make it, or name another one", path, folder);
    return false;
}

int command_quantize(const struct settings *s)
{
    if (s->data || s->stats.count)
        return helper_run("nibble-quantize", s);
    if (!has_folder(s->json) || !has_folder(s->page) ||
        (!s->dry_run && !has_folder(s->output)))
        return EXIT_FAILED;
    /* Only a page shows the command. JSON alone does not depend on how options are
     * spelled. */
    char *command = s->page ? settings_command(s) : NULL;
    if (s->page && !command) {
        message("out of memory");
        return EXIT_FAILED;
    }
    struct progress progress;
    struct nibble_options options = connected(s, &progress, "quantizing");
    struct nibble_report *report = NULL;
    struct nibble_error error = {0};
    const char *output = s->dry_run ? NULL : s->output;
    options.command = command;
    enum nibble_status status =
        nibble_quantize(s->model, output, &options, &report, &error);
    free(command);
    progress_clear(&progress);
    signals_die();
    if (status != NIBBLE_STATUS_OK)
        return failed(&error);
    warn(s, report);
    bool all_match = remarks_print(s, report);
    bool written = write_text(s, report);
    bool strict = s->strict &&
                  (report->requested_but_float > 0 ||
                   (report->quantized == 0 && report->codes_stored == 0) || !all_match);
    nibble_report_free(report);
    return !written ? EXIT_FAILED : strict ? EXIT_STRICT : EXIT_DONE;
}

/* The same as quantize with --dry-run. */
int command_inspect(const struct settings *s)
{
    struct settings dry = *s;
    dry.dry_run = true;
    return command_quantize(&dry);
}

int command_upgrade(const struct settings *s)
{
    if (!has_folder(s->output))
        return EXIT_FAILED;
    struct progress progress;
    struct nibble_options options = connected(s, &progress, "upgrading");
    struct nibble_error error = {0};
    enum nibble_status status =
        nibble_upgrade(s->model, s->output, s->opset, &options, &error);
    progress_clear(&progress);
    signals_die();
    if (status != NIBBLE_STATUS_OK)
        return failed(&error);
    return EXIT_DONE;
}

/* ---- the table -------------------------------------------------------- */

const struct command commands[] = {
    {"quantize", QUANTIZE, "quantize MODEL -o OUT [options]\nMODEL -o OUT [options]\n",
     "quantize the weights and write a smaller model",
     "Quantizes the weights of an ONNX model and writes the smaller model. MODEL and\n"
     "OUT are .onnx or .onnx.gz files, or - for standard input and output.",
     command_quantize},
    {"inspect", INSPECT, "inspect MODEL [options]\n",
     "show what would be quantized, what would not, and why",
     "Shows which weights of an ONNX model would be quantized, which would not, and\n"
     "why. It takes the options of quantize and writes no model.",
     command_inspect},
    {"upgrade", UPGRADE, "upgrade MODEL -o OUT [--opset N]\n",
     "raise the opset and keep the meaning",
     "Raises the opset of an ONNX model, keeps its meaning, and writes the model.\n"
     "Weights stay as they are.",
     command_upgrade},
    {"compare", COMPARE, "compare FLOAT QUANT [options]\n",
     "show how far a quantized model is from its float model",
     "Finds each weight of FLOAT in QUANT and prints its error, the worst first. Any\n"
     "tool may have made QUANT. --data also runs both models in ONNX Runtime and\n"
     "prints the errors of their outputs.",
     command_compare},
    {"report", REPORT, "report REPORT [REPORT] -o OUT\n",
     "make an HTML page of one or two JSON reports",
     "Makes an HTML page of a report that --json has written. With a second one the\n"
     "page shows both side by side.",
     command_report},
};
const size_t command_count = sizeof commands / sizeof *commands;
