/* nibble compare. The library compares weights. With --data nibble-compare of the Python
 * package runs the models. */
#include "cli/commands.h"
#include "cli/guard.h"
#include "cli/helper.h"
#include "cli/terminal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool print(const struct settings *s, const struct nibble_comparison *comparison)
{
    if (s->quiet || is_standard(s->json) || is_standard(s->page))
        return true;
    char *text = nibble_comparison_text(comparison, terminal_columns(stdout));
    if (!text)
        message("out of memory while writing the report");
    bool ok = text && fputs(text, stdout) >= 0;
    free(text);
    return ok;
}

/* True if all weights reach --min-snr. The first one is the worst. */
static bool passes(const struct settings *s, const struct nibble_comparison *comparison)
{
    const struct nibble_weight_error *worst =
        comparison->weight_count > 0 ? comparison->weights[0] : NULL;
    bool found = worst && worst->found;
    if (s->gate_snr <= 0 || (!found && comparison->unchanged > 0) ||
        (found && worst->snr_db >= s->gate_snr))
        return true;
    if (found)
        message("%s has %.1f dB, and --min-snr asks for %g", worst->name, worst->snr_db,
                s->gate_snr);
    else
        message("no weight was found in both models, so --min-snr can't be checked");
    return false;
}

int command_compare(const struct settings *s)
{
    struct nibble_comparison *comparison = NULL;
    struct nibble_error error = {0};
    struct nibble_options options = settings_options(s);
    if (s->data)
        return helper_run("nibble-compare", s);
    if (!has_folder(s->json) || !has_folder(s->page))
        return EXIT_FAILED;
    options.cancel = signals_catch();
    options.guard = guard_install();
    enum nibble_status status =
        nibble_compare(s->model, s->quantized, &options, &comparison, &error);
    signals_die();
    if (status != NIBBLE_STATUS_OK)
        return failed(&error);
    int result = !print(s, comparison)   ? EXIT_FAILED
                 : passes(s, comparison) ? EXIT_DONE
                                         : EXIT_STRICT;
    nibble_comparison_free(comparison);
    return result;
}
