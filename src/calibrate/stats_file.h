/* Files of statistics (docs/calibration.md). */
#ifndef NIBBLE_CALIBRATE_STATS_FILE_H
#define NIBBLE_CALIBRATE_STATS_FILE_H

#include "calibrate/statistics.h"

bool stats_save(const char *path, const struct statistics *statistics, uint64_t identity,
                struct error *err);

/* Adds a file's statistics, all or, with an error, none of them. Refuses those of
 * another model, of other shapes, and values that no statistics can have. */
bool stats_load(const char *path, struct statistics *statistics, uint64_t identity,
                const volatile int *cancel, struct error *err);

#endif
