/* The pipeline: read, fold, choose, plan, upgrade, emit, write the skeleton, fill,
 * commit, report. The other calls are here, too. */
#include "nibble.h"
#include "compare/comparison.h"
#include "core/truncation.h"
#include "onnx/write.h"
#include "options.h"
#include "public_error.h"
#include "report/html_page.h"
#include "report/report_files.h"
#include "stages.h"
#include "upgrade/upgrade.h"

#include <stdlib.h>
#include <string.h>

/* Opens the output only once, since it may be a pipe. Later passes empty it. */
static bool open_output(struct run *run, const char *path, struct error *err)
{
    if (run->store.output)
        return store_reset(&run->store, err);
    return store_open(&run->store, path, run->model, &run->storing, err) &&
           store_check_reports(&run->store, run->model, run->reports, err);
}

/* Makes the report before anything is final. A failure afterwards would leave an output
 * behind. */
static bool report(struct run *run, struct nibble_report **out, struct error *err)
{
    run->facts.codes_stored = run->findings.codes;
    *out = NULL;
    return model_check_files(run->model, err) &&
           ((*out = report_make(run->model, &run->plan, run->results, &run->facts)) ||
            error_memory(err)) &&
           alternatives_report(&run->alternatives, &run->plan, run->results, *out, err);
}

static bool prepare_reports(struct run *run, const struct nibble_report *made,
                            struct error *err)
{
    if (!report_files_any(run->reports))
        return true;
    char *text = nibble_report_json(made);
    bool ok = report_files_prepare(run->reports, text, err);
    free(text);
    return ok;
}

/* Whether the output differs from the model: something is stored in another way. */
static bool has_changed(const struct run *run)
{
    return run->plan.quantized > 0 || run->plan.as_float16 > 0 ||
           run->findings.codes > 0 || run->facts.compute.float16 > 0;
}

/* Everything that may fail comes first, then the renames. */
static bool commit(struct run *run, struct nibble_report *made, struct error *err)
{
    uint64_t size;
    if (!store_prepare(&run->store, &size, err) || !stage_verify(run, err))
        return false;
    made->bytes_after = has_changed(run) ? size : made->bytes_before;
    return prepare_reports(run, made, err) &&
           store_publish(&run->store, run->reports, err);
}

/* Whether new nodes and names take more than the weights save. If so, small weights stay
 * float in the next pass: those that save less than the mean cost of a weight. In the
 * end, all do. */
static bool is_too_large(struct run *run)
{
    uint64_t saved = 0, *least = &run->planning.least_gain;
    run->size = model_size(run->model);
    if (run->size <= run->model->bytes)
        return false;
    if (run->plan.quantized == 0) {
        bool again = run->plan.as_float16 > 0;
        run->planning.float16 = false;
        return again;
    }
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct plan_item *item = &run->plan.items[i];
        if (item->quantize && !item->copy)
            saved += item->bytes - plan_bytes(item);
    }
    uint64_t mean = (run->size - run->model->bytes + saved) / run->plan.quantized;
    *least = mean > *least * 2 ? mean : *least * 2 + 1;
    return true;
}

static bool write(struct run *run, const char *output, struct error *err)
{
    run->facts.output = output;
    if (!open_output(run, output, err) || !stage_solve(run, err) ||
        !stage_depth(run, err) || !stage_emit(run, err))
        return false;
    run->again = is_too_large(run);
    return run->again ||
           (store_write(&run->store, run->model, run->size, err) && stage_fill(run, err));
}

/* Nothing is quantized, so the output is a copy of the model. It is read again, since
 * folding may have changed it. */
static bool copy(struct run *run, const char *path, const char *output,
                 struct nibble_report **out, struct error *err)
{
    run->facts.output = output;
    if (!report(run, out, err))
        return false;
    stages_end(run);
    if (!stage_read(run, path, err) || !open_output(run, output, err) ||
        !store_copy(&run->store, run->model, err) || !model_check_files(run->model, err))
        return false;
    return commit(run, *out, err);
}

/* A dry run makes the graph, too, to find out how large the output would be. */
static bool rehearse(struct run *run, struct error *err)
{
    bool measured = choices_wanted(&run->options) || run->options.hints;
    if (measured && !stage_fill(run, err))
        return false;
    if (run->again || !has_changed(run))
        return true;
    if ((measured && !stage_depth(run, err)) || !stage_emit(run, err))
        return false;
    run->again = is_too_large(run);
    return true;
}

static bool pass(struct run *run, const char *model, const char *output,
                 struct nibble_report **out, struct error *err)
{
    if (!stage_read(run, model, err) || !stage_compute(run, err) ||
        !stage_fold(run, err) || !stage_choose(run, err) || !stage_plan(run, err) ||
        !stage_unfold(run, err))
        return false;
    if (run->again)
        return true;
    if (!stage_upgrade(run, err) || !stage_float16(run, err))
        return false;
    if (!output)
        return rehearse(run, err) &&
               (run->again ||
                (report(run, out, err) && prepare_reports(run, *out, err) &&
                 store_publish_reports(&run->store, run->model, run->reports, err)));
    if (!has_changed(run))
        return copy(run, model, output, out, err);
    return write(run, output, err) &&
           (run->again || (report(run, out, err) && commit(run, *out, err)));
}

/* ---- the calls ------------------------------------------------------ */

/* If a file was truncated, that is why a call failed, whatever error the zeros in its
 * place have led to. */
static void blame_file(const struct run *run, struct error *err)
{
    struct error changed = {0};
    if (err->status == STATUS_OK || err->status == STATUS_CANCELLED || !run->input)
        return;
    bool same = run->model ? model_check_files(run->model, &changed)
                           : file_check(run->input, &changed);
    if (!same)
        *err = changed;
}

static void run_end(struct run *run)
{
    stages_end(run);
    store_close(&run->store);
    report_files_close(run->reports);
    file_close(run->input);
    choices_free(&run->choices);
    alternatives_free(&run->alternatives);
    plan_findings_close(&run->findings);
    options_free(&run->planning);
}

static bool run_begin(struct run *run, const struct nibble_options *options,
                      struct error *err)
{
    *run = (struct run){0};
    if (!options_read(options, &run->options, err) ||
        !plan_findings_open(&run->findings, err))
        return false;
    run->storing = options_storing(&run->options);
    if (!options_planning(&run->options, &run->planning, err) ||
        !options_filling(&run->options, &run->filling, err))
        return false;
    run->planning.unfit = &run->findings.unfit;
    run->planning.wide_scales = &run->findings.wide_scales;
    run->planning.unfolded = &run->findings.unfolded;
    run->facts.cpu = quant_kernels_name(run->filling.kernels);
    run->facts.planning = &run->planning;
    return report_files_open(run->reports, &run->options, err);
}

enum nibble_status nibble_quantize(const char *model, const char *output,
                                   const struct nibble_options *options,
                                   struct nibble_report **out, struct nibble_error *error)
{
    struct error err = {0};
    struct run run;
    struct nibble_report *made = NULL;
    bool ok = run_begin(&run, options, &err);
    run.filling.measure = out || report_files_any(run.reports);
    run.filling.sample = run.options.unmeasured;
    while (ok) {
        run.again = false;
        run.planning.fixed = NULL;
        run.facts =
            (struct report_facts){.cpu = run.facts.cpu, .planning = &run.planning};
        ok = pass(&run, model, output, &made, &err);
        if (!run.again)
            break;
        stages_end(&run);
    }
    blame_file(&run, &err);
    run_end(&run);
    if (!ok || !out) {
        nibble_report_free(made);
        made = NULL;
    }
    if (out)
        *out = made;
    return public_error(&err, error);
}

enum nibble_status nibble_upgrade(const char *model, const char *output, int64_t opset,
                                  const struct nibble_options *options,
                                  struct nibble_error *error)
{
    struct error err = {0};
    struct run run = {0};
    uint64_t size;
    bool ok = options_read(options, &run.options, &err);
    run.storing = options_storing(&run.options);
    if (!output)
        ok = error_set(&err, STATUS_INVALID, "no output is named");
    if (ok && stage_read(&run, model, &err) && model_upgrade(run.model, opset, &err) &&
        store_open(&run.store, output, run.model, &run.storing, &err) &&
        store_write(&run.store, run.model, model_size(run.model), &err) &&
        model_check_files(run.model, &err) && store_prepare(&run.store, &size, &err) &&
        stage_verify(&run, &err))
        store_publish(&run.store, run.reports, &err);
    blame_file(&run, &err);
    run_end(&run);
    return public_error(&err, error);
}

/* Copies `made` as it is. The store looks at the files of run->model: they stay. */
static bool publish_copy(struct run *run, struct model *made, const char *output,
                         struct error *err)
{
    struct output *const none[STORE_REPORTS] = {NULL};
    uint64_t size;
    if (!store_open(&run->store, output, run->model, &run->storing, err) ||
        !store_copy(&run->store, made, err))
        return false;
    run->store.model = run->model;
    return model_check_files(made, err) && store_prepare(&run->store, &size, err) &&
           store_publish(&run->store, none, err);
}

enum nibble_status nibble_publish(const char *made, const char *model, const char *output,
                                  const struct nibble_options *options,
                                  struct nibble_error *error)
{
    struct error err = {0};
    struct run run = {0};
    struct file *file = NULL;
    struct model *finished = NULL;
    bool ok = options_read(options, &run.options, &err);
    run.storing = options_storing(&run.options);
    if (!output)
        ok = error_set(&err, STATUS_INVALID, "no output is named");
    if (ok && stage_read(&run, model, &err) &&
        (file = options_open_model(&run.options, made, &err)) &&
        (finished = model_load(file, &err)))
        publish_copy(&run, finished, output, &err);
    blame_file(&run, &err);
    run_end(&run);
    model_free(finished);
    file_close(file);
    return public_error(&err, error);
}

bool nibble_guard_handle(const struct nibble_guard *guard, const void *address)
{
    return truncation_handle(&guard->files, address);
}

enum nibble_status nibble_compare(const char *model, const char *quantized,
                                  const struct nibble_options *options,
                                  struct nibble_comparison **comparison,
                                  struct nibble_error *error)
{
    struct error err = {0};
    struct nibble_options own;
    struct output *reports[STORE_REPORTS] = {NULL};
    const char *const names[2] = {model, quantized};
    struct file *files[2] = {NULL};
    *comparison = NULL;
    bool ok = options_read(options, &own, &err) && report_files_open(reports, &own, &err);
    for (int i = 0; ok && i < 2; i++)
        ok = (files[i] = options_open_model(&own, names[i], &err)) != NULL;
    if (ok)
        *comparison = comparison_make(names, files, reports, own.cancel, &err);
    for (int i = 0; i < 2; i++)
        file_close(files[i]);
    report_files_close(reports);
    return public_error(&err, error);
}

static bool write_text(const char *path, const char *text, struct error *err)
{
    struct output *output = output_create(path, NULL, err);
    bool ok =
        output && output_prepare_text(output, text, err) && output_publish(output, err);
    output_free(output);
    return ok;
}

enum nibble_status nibble_page(const char *report, const char *other, const char *output,
                               char **page, struct nibble_error *error)
{
    struct error err = {0};
    char *text = html_page(report, other, &err);
    if (text && output && !write_text(output, text, &err)) {
        free(text);
        text = NULL;
    }
    if (page)
        *page = text;
    else
        free(text);
    return public_error(&err, error);
}

int64_t nibble_opset_max(void)
{
    return upgrade_opset_max();
}

const char *nibble_version(void)
{
    return NIBBLE_VERSION;
}
