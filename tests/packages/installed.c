/* A program of somebody else, which uses the installed library: says what would become of
 * a model. */
#include <nibble.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    struct nibble_report *report = NULL;
    struct nibble_error error;
    if (argc != 2 || nibble_quantize(argv[1], NULL, NULL, &report, &error)) {
        fprintf(stderr, "%s\n", argc == 2 ? error.message : "name a model");
        return 1;
    }
    printf("nibble %s: %zu weights\n", nibble_version(), report->quantized);
    nibble_report_free(report);
    return 0;
}
