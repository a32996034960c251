/* Runs in which every single allocation fails in its turn. The run must say so, leave no
 * file, no open descriptor and no memory behind; or, where that allocation was no loss,
 * make the same output as ever. */
#ifndef NIBBLE_TESTS_FAILING_RUNS_H
#define NIBBLE_TESTS_FAILING_RUNS_H

#include "failing_heap.h"
#include "nibble.h"
#include "support.h"

struct job {
    const char *name, *input;
    const char *output; /* in a folder with nothing else */
    struct nibble_options options;
    enum nibble_status (*call)(const struct job *, struct nibble_error *);
    bool regcomp; /* glibc's leaks when an allocation in it fails */
};

/* Quantizes the model, if its call is not replaced. */
struct job job_for(const char *name, const Onnx__ModelProto *proto);

enum nibble_status job_quantize(const struct job *job, struct nibble_error *error);
const char *job_folder(void); /* where outputs go */

/* A bit of everything: a body, a function, a Constant node, typed values. */
Onnx__ModelProto *rich_model(void);

void fail_each(const struct job *job);

/* Exit status of a test that can't run, as meson and automake understand it. */
enum { SKIPPED = 77 };

/* To be called first. False where allocations can't be made to fail. */
bool failing_runs_begin(void);

#endif
