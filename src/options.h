/* Options: from the public struct to what each stage wants, checked. */
#ifndef NIBBLE_OPTIONS_H
#define NIBBLE_OPTIONS_H

#include "fill/fill.h"
#include "nibble.h"
#include "onnx/store.h"

/* Copies what the caller gave, of whatever size, or the defaults for NULL. Each of these
 * sets an error of STATUS_INVALID where options make no sense. */
bool options_read(const struct nibble_options *given, struct nibble_options *options,
                  struct error *err);
bool options_planning(const struct nibble_options *options, struct plan_options *planning,
                      struct error *err);
bool options_filling(const struct nibble_options *options, struct fill_options *filling,
                     struct error *err);
struct store_options options_storing(const struct nibble_options *options);

/* Opens the file of a model with the options for files: cancel, guard and no_links. */
struct file *options_open_model(const struct nibble_options *options, const char *path,
                                struct error *err);

void options_free(struct plan_options *planning);

/* What the options ask for in the numbers of a weight. The scale type is not set. */
struct quant_scheme options_scheme(const struct nibble_options *options);

#endif
