/* What to say of outputs with a low SNR, whether that was estimated or measured. */
#include "core/text_stream.h"
#include "nibble.h"

#include <math.h>

/* Models below this did their work visibly worse. */
static const double least_db = 16;

static const char *help_of(bool measured, bool narrow)
{
    if (measured)
        return narrow
                   ? "More bits help most: --bits-per-weight 5 --scale-type float16, or "
                     "--type int8. More data may, and --sequential"
                   : "Smaller blocks help (--block-size 32), and more data may";
    return narrow
               ? "Calibration with some dozen real inputs helps most (--data). Without "
                 "data, --type int8 does, or --bits-per-weight 6 --scale-type float16"
               : "Calibration with some dozen real inputs helps most (--data). Without "
                 "data, smaller blocks do (--block-size 32)";
}

char *nibble_snr_warning(double snr_db, bool measured, bool narrow)
{
    const char *type = narrow ? "int4" : "int8", *help = help_of(measured, narrow);
    struct text_stream stream;
    if (!text_stream_open(&stream))
        return NULL;
    if (snr_db < least_db) {
        fprintf(stream.out, "%s is likely to ruin this model: its outputs ", type);
        if (measured)
            fprintf(stream.out, "have an SNR of %.0f dB on runs held out. ", snr_db);
        else
            fprintf(stream.out,
                    "are expected to have an SNR near %.0f dB, an estimate from the "
                    "errors of the weights. ",
                    fmax(snr_db, 0));
        fputs(help, stream.out);
    }
    return text_stream_close(&stream);
}
