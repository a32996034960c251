/* The files that a report goes to: JSON and an HTML page. */
#ifndef NIBBLE_REPORT_REPORT_FILES_H
#define NIBBLE_REPORT_REPORT_FILES_H

#include "nibble.h"
#include "onnx/store.h"

/* Begins the files that the options ask for. NULL stands for a file that is not asked
 * for. */
bool report_files_open(struct output *files[STORE_REPORTS],
                       const struct nibble_options *options, struct error *err);
bool report_files_any(struct output *const files[STORE_REPORTS]);

/* Makes the files durable under temporary names. `json` is the report. If it
 * is NULL, memory ran out, and the error says so. */
bool report_files_prepare(struct output *const files[STORE_REPORTS], const char *json,
                          struct error *err);

void report_files_close(struct output *files[STORE_REPORTS]);

#endif
