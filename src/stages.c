/* The stages: what each takes from the run, and what it leaves there. */
#include "stages.h"
#include "calibration.h"
#include "compare/verification.h"
#include "core/truncation.h"
#include "fill/narrowed.h"
#include "onnx/imports.h"
#include "options.h"
#include "plan/depth.h"
#include "plan/float16.h"
#include "plan/fold.h"
#include "plan/threshold.h"
#include "upgrade/upgrade.h"

static void drop_plan(struct run *run)
{
    plan_free(&run->plan);
    run->tensors = NULL;
    run->results = NULL;
}

void stages_end(struct run *run)
{
    solutions_free(&run->solutions);
    drop_plan(run);
    graph_index_free(&run->index);
    model_free(run->model);
    run->model = NULL;
}

bool stage_read(struct run *run, const char *path, struct error *err)
{
    if (!run->input)
        run->input = options_open_model(&run->options, path, err);
    run->model = run->input ? model_load(run->input, err) : NULL;
    if (!run->model)
        return false;
    if (run->options.calibration &&
        !calibration_check(run->options.calibration, run->model, err))
        return false;
    if (!store_check_reports(&run->store, run->model, run->reports, err))
        return false;
    run->facts.model = path;
    run->facts.command = run->options.command;
    run->facts.top = run->options.top;
    run->facts.ir_before = run->model->proto->ir_version;
    run->facts.opset_before = run->facts.opset_after = model_opset(run->model);
    return true;
}

bool stage_compute(struct run *run, struct error *err)
{
    return run->options.compute == NIBBLE_COMPUTE_MODEL ||
           compute_float16(run->model, run->options.io == NIBBLE_IO_FLOAT16,
                           &run->facts.compute, err);
}

static bool index_graph(struct run *run, struct error *err)
{
    graph_index_free(&run->index);
    return graph_index(run->model, &run->index, err);
}

bool stage_fold(struct run *run, struct error *err)
{
    bool changed;
    if (!index_graph(run, err))
        return false;
    plan_set_threshold(&run->planning, &run->index, run->options.min_elements);
    return fold_constants(run->model, &run->index, &run->planning, &run->findings,
                          &changed, err) &&
           (!changed || index_graph(run, err));
}

bool stage_choose(struct run *run, struct error *err)
{
    const struct choose_input input = {.options = &run->options,
                                       .model = run->model,
                                       .index = &run->index,
                                       .planning = &run->planning,
                                       .filling = &run->filling,
                                       .findings = &run->findings};
    if (run->options.hints && !alternatives_measure(&run->alternatives, &input, err))
        return false;
    if (!choices_wanted(&run->options) || run->planning.choices)
        return true;
    if (!choices_make(&run->choices, &input, err))
        return false;
    run->planning.choices = &run->choices.by_key;
    return true;
}

bool stage_plan(struct run *run, struct error *err)
{
    drop_plan(run);
    if (!plan_make(run->model, &run->index, &run->planning, &run->plan, err) ||
        (!run->planning.fixed && !plan_note_fixed(&run->findings, &run->plan, err)))
        return false;
    run->planning.fixed = &run->findings.fixed;
    return true;
}

bool stage_unfold(struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct plan_item *item = &run->plan.items[i];
        if (!item->quantize &&
            !plan_note_unfolded(&run->findings, item, &run->again, err))
            return false;
    }
    return true;
}

/* Raises opset and IR version to what the plan's forms need. */
static bool raise(struct run *run, int64_t opset, struct error *err)
{
    int64_t ir = plan_ir(&run->plan);
    drop_plan(run);
    graph_index_free(&run->index);
    if (run->facts.opset_before < opset) {
        if (run->options.no_upgrade)
            return error_set(
                err, STATUS_UNSUPPORTED,
                "%s: needs opset %lld and has %lld, and --no-upgrade forbids to "
                "raise it",
                run->model->file->path, (long long)opset,
                (long long)run->facts.opset_before);
        if (!model_upgrade(run->model,
                           opset > UPGRADE_TARGET_MIN ? opset : UPGRADE_TARGET_MIN, err))
            return false;
    }
    return model_raise_ir(run->model, ir, err);
}

bool stage_upgrade(struct run *run, struct error *err)
{
    int64_t opset = plan_opset(&run->plan);
    if (run->plan.quantized == 0)
        return true;
    if (run->facts.opset_before > upgrade_opset_max())
        return error_set(err, STATUS_UNSUPPORTED,
                         "%s: opset %lld is newer than this nibble, which knows %lld",
                         run->model->file->path, (long long)run->facts.opset_before,
                         (long long)upgrade_opset_max());
    if (!raise(run, opset, err)) {
        if (err->status == STATUS_UNSUPPORTED &&
            run->options.decode != NIBBLE_DECODE_PORTABLE)
            error_append(err, "\n--decode portable needs no higher opset");
        return false;
    }
    run->facts.opset_after = model_opset(run->model);
    return index_graph(run, err) && stage_plan(run, err);
}

bool stage_float16(struct run *run, struct error *err)
{
    return plan_float16(run->model, &run->planning, &run->plan, err);
}

bool stage_solve(struct run *run, struct error *err)
{
    const struct solutions_options solving = {.kernels = run->filling.kernels,
                                              .threads = run->options.threads,
                                              .cancel = run->options.cancel};
    return !run->options.calibration ||
           calibration_solve(run->options.calibration, &run->plan, &solving, true,
                             &run->solutions, err);
}

bool stage_depth(struct run *run, struct error *err)
{
    return !run->filling.measure || run->options.calibration ||
           plan_depth(run->model, &run->index, &run->plan, &run->facts.depth, err);
}

bool stage_emit(struct run *run, struct error *err)
{
    enum { IR_OPTIONAL_INPUTS = 4 }; /* since then, initializers need not be inputs */
    if (run->plan.as_float16 > 0 && !model_raise_ir(run->model, IR_OPTIONAL_INPUTS, err))
        return false;
    return emit_plan(run->model, &run->index, &run->plan, &run->tensors, err);
}

/* Notes weights that could not be quantized as planned, for the next pass. */
static bool note_unfit(struct run *run, struct error *err)
{
    for (size_t i = 0; i < run->plan.count; i++) {
        const struct plan_item *item = &run->plan.items[i];
        const enum quant_fit fit = run->results[i].fit;
        if (!item->quantize || fit == QUANT_FIT_OK)
            continue;
        if (!plan_note(&run->findings, item, fit, err))
            return false;
        run->again = true;
    }
    return true;
}

/* A malformed model may have a weight in a part of an operator that goes with it. */
static bool check_places(const struct run *run, struct error *err)
{
    for (size_t i = 0; run->tensors && i < run->plan.count; i++)
        if (run->tensors[i].codes && !run->tensors[i].codes->output)
            return error_set(err, STATUS_MALFORMED,
                             "%s: weight '%s' is in a graph that no operator has",
                             run->model->file->path, run->plan.items[i].value->name);
    return true;
}

bool stage_fill(struct run *run, struct error *err)
{
    if (!check_places(run, err))
        return false;
    run->facts.measured = run->filling.measure;
    run->facts.sampled = run->filling.sample;
    run->facts.calibrated = run->options.calibration != NULL;
    run->facts.histograms = run->options.histograms;
    if (!fill_plan(&run->plan, run->tensors, &run->filling, &run->results, err) ||
        !note_unfit(run, err))
        return false;
    return !run->tensors || run->again ||
           fill_narrowed(&run->plan, run->tensors, &run->filling, err);
}

bool stage_verify(struct run *run, struct error *err)
{
    const struct verification what = {
        .model = run->model,
        .copied = run->store.copied != NULL,
        .plan = &run->plan,
        .tensors = run->tensors,
        .results = run->filling.measure && !run->filling.sample ? run->results : NULL,
        .cancel = run->options.cancel};
    if (!run->options.verify)
        return true;
    struct file *file = store_reopen(&run->store, err);
    if (file)
        truncation_watch(run->input->watched, file);
    bool ok = file && verify_written(&what, file, err);
    file_close(file);
    return ok;
}
