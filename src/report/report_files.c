/* Opens and writes the files of a report. store.c publishes them. */
#include "report/report_files.h"
#include "report/html_page.h"

#include <stdlib.h>
#include <string.h>

enum { JSON, PAGE };

bool report_files_open(struct output *files[STORE_REPORTS],
                       const struct nibble_options *options, struct error *err)
{
    const char *const paths[STORE_REPORTS] = {
        [JSON] = options->json, [PAGE] = options->page};
    for (size_t i = 0; i < STORE_REPORTS; i++)
        if (paths[i] && !(files[i] = output_create(paths[i], options->cancel, err)))
            return false;
    if (options->json && options->page &&
        (strcmp(options->json, options->page) == 0 ||
         output_same(files[JSON], files[PAGE])))
        return error_set(err, STATUS_INVALID,
                         "%s: JSON and page would be the same file: name another one",
                         options->page);
    return true;
}

bool report_files_any(struct output *const files[STORE_REPORTS])
{
    return files[JSON] || files[PAGE];
}

bool report_files_prepare(struct output *const files[STORE_REPORTS], const char *json,
                          struct error *err)
{
    char *page = json && files[PAGE] ? html_page(json, NULL, err) : NULL;
    /* What nibble has written itself can be read, if there is memory. */
    if (json && files[PAGE] && !page)
        error_replace(err, STATUS_MEMORY, "out of memory");
    bool ok = (json || error_memory(err)) &&
              (!files[JSON] || output_prepare_text(files[JSON], json, err)) &&
              (!files[PAGE] || (page && output_prepare_text(files[PAGE], page, err)));
    free(page);
    return ok;
}

void report_files_close(struct output *files[STORE_REPORTS])
{
    for (size_t i = 0; i < STORE_REPORTS; i++) {
        output_free(files[i]);
        files[i] = NULL;
    }
}
