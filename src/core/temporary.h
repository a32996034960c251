/* Temporary files. Those beside an output are locked while their process lives. So a
 * later run tells what a killed process left behind, and removes it. */
#ifndef NIBBLE_CORE_TEMPORARY_H
#define NIBBLE_CORE_TEMPORARY_H

#include "core/error.h"

#include <sys/types.h>

/* Makes an unlinked file in $TMPDIR, open for reading and writing. Returns -1 on failure,
 * with an error. */
int temporary_unnamed(struct error *err);

/* Makes and opens FOLDER/.NAME.PID-N.tmp for the output FOLDER/NAME. Follows no link.
 * Sets *made to its path, which the caller frees. Returns -1 on failure, with an error.
 */
int temporary_beside(const char *path, mode_t mode, char **made, struct error *err);

/* Removes such files of this output, unless a process has them open. */
void temporary_clean(const char *path);

#endif
