/* The stages of the pipeline, and what they share. Each is one call into the folder of
 * its name. nibble.c runs them. */
#ifndef NIBBLE_STAGES_H
#define NIBBLE_STAGES_H

#include "alternatives.h"
#include "calibrate/solutions.h"
#include "choose.h"
#include "emit/emit.h"
#include "fill/fill.h"
#include "nibble.h"
#include "onnx/store.h"
#include "report/report.h"

/* One pass through the pipeline, and what is kept from pass to pass. */
struct run {
    struct nibble_options options; /* a copy, with the size that this library knows */
    struct plan_options planning;
    struct store_options storing;
    struct fill_options filling;
    struct plan_findings findings;    /* kept from pass to pass */
    struct choices choices;           /* kept from pass to pass */
    struct alternatives alternatives; /* kept from pass to pass */
    struct solutions solutions;       /* of the plan */

    struct file *input; /* opened only once, since it may be a pipe */
    struct model *model;
    struct graph_index index;
    struct plan plan;
    struct item_tensors *tensors; /* of the plan; NULL if nothing was emitted */
    struct fill_result *results;  /* of the plan; NULL if nothing was filled */
    uint64_t size;                /* of the model once the plan is emitted, as one file */
    struct store store;
    struct output *reports[STORE_REPORTS];
    struct report_facts facts;
    bool again; /* another pass is needed: something can't be as planned */
};

/* Opens the model if that was not done yet, and reads it. */
bool stage_read(struct run *run, const char *path, struct error *err);

/* Converts the model to float16, if the options ask for that. */
bool stage_compute(struct run *run, struct error *err);

/* Folds chains of constants that end in weights. */
bool stage_fold(struct run *run, struct error *err);

/* Chooses a type for each weight, if the options leave that open. */
bool stage_choose(struct run *run, struct error *err);
bool stage_plan(struct run *run, struct error *err);

/* Sets `again` if chains of constants were folded in vain, because their weights stay
 * float. The next pass leaves those chains as they are. */
bool stage_unfold(struct run *run, struct error *err);

/* Raises the model if needed. Then plans again, since the graph has changed. */
bool stage_upgrade(struct run *run, struct error *err);

/* Decides which constants that stay float are stored as float16. */
bool stage_float16(struct run *run, struct error *err);

/* Solves for codes that suit the activations, if these are known. */
bool stage_solve(struct run *run, struct error *err);

/* Finds the depth of the graph, which the report's estimate wants. It is that of the
 * graph before stage_emit. */
bool stage_depth(struct run *run, struct error *err);
bool stage_emit(struct run *run, struct error *err);

/* Sets `again` if weights could not be quantized as planned. If nothing was emitted, this
 * only measures the plan. */
bool stage_fill(struct run *run, struct error *err);

/* Reads the prepared output again, if the options ask for that, and compares it with what
 * was to be written. */
bool stage_verify(struct run *run, struct error *err);

/* Frees what belongs to one pass. */
void stages_end(struct run *run);

#endif
