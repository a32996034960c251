/* OpenBLAS by the Fortran names of BLAS and LAPACK, whose matrices are stored column by
 * column: a row-major matrix is the transpose of what they see. */
#include "solve/algebra.h"
#include "solve/triangle.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void gemm_fn(const char *transa, const char *transb, const int *m, const int *n,
                     const int *k, const double *alpha, const double *a, const int *lda,
                     const double *b, const int *ldb, const double *beta, double *c,
                     const int *ldc);
typedef void potrf_fn(const char *uplo, const int *n, double *a, const int *lda,
                      int *info);
typedef void triangle_fn(const char *side, const char *uplo, const char *trans,
                         const char *diagonal, const int *m, const int *n,
                         const double *alpha, const double *a, const int *lda, double *b,
                         const int *ldb);
typedef int get_threads_fn(void);
typedef void set_threads_fn(int count);

struct algebra {
    void *library;
    gemm_fn *gemm;
    potrf_fn *potrf;
    triangle_fn *trmm, *trsm;
    get_threads_fn *get_threads;
    set_threads_fn *set_threads;
    get_threads_fn *get_parallel; /* how it was built: 0 is without threads */
    int threads;                  /* as they were before */
};

/* ---- the library ------------------------------------------------------ */

#ifdef NIBBLE_OPENBLAS

/* scipy-openblas32 of PyPI, which the Python package loads before: it lies in a folder
 * that is searched by nobody, but here its name is enough. Then that of the system. */
static const struct library {
    const char *file, *prefix; /* of its functions' names */
} libraries[] = {{"libscipy_openblas.so", "scipy_"}, {NIBBLE_OPENBLAS, ""}};

static bool find(struct algebra *a, const struct library *library, const char *name,
                 void *function, struct error *err)
{
    enum { NAME_MAX_LENGTH = 64 };
    char full[NAME_MAX_LENGTH];
    snprintf(full, sizeof full, "%s%s", library->prefix, name);
    void *address = dlsym(a->library, full);
    memcpy(function, &address, sizeof address); /* C has no cast for it */
    return address || error_set(err, STATUS_UNSUPPORTED,
                                "calibration: %s has no function %s: "
                                "install OpenBLAS (Debian: libopenblas0-pthread)",
                                library->file, full);
}

static bool find_all(struct algebra *a, const struct library *library, struct error *err)
{
    return find(a, library, "dgemm_", &a->gemm, err) &&
           find(a, library, "dpotrf_", &a->potrf, err) &&
           find(a, library, "dtrmm_", &a->trmm, err) &&
           find(a, library, "dtrsm_", &a->trsm, err) &&
           find(a, library, "openblas_get_num_threads", &a->get_threads, err) &&
           find(a, library, "openblas_get_parallel", &a->get_parallel, err) &&
           find(a, library, "openblas_set_num_threads", &a->set_threads, err);
}

static bool load(struct algebra *a, struct error *err)
{
    for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
        a->library = dlopen(libraries[i].file, RTLD_NOW | RTLD_LOCAL);
        if (a->library)
            return find_all(a, &libraries[i], err);
    }
    return error_set(err, STATUS_UNSUPPORTED,
                     "calibration needs OpenBLAS, which is not there: install it (pip "
                     "install scipy-openblas32; Debian: apt-get install "
                     "libopenblas0-pthread)\n%s",
                     dlerror());
}

#else

static bool load(struct algebra *a, struct error *err)
{
    (void)a;
    return error_set(
        err, STATUS_UNSUPPORTED,
        "calibration: this nibble was built without OpenBLAS: build it anew "
        "with OpenBLAS installed (Debian: apt-get install libopenblas-pthread-dev)");
}

#endif

struct algebra *algebra_open(struct error *err)
{
    struct algebra *a = calloc(1, sizeof *a);
    if (!a) {
        error_memory(err);
        return NULL;
    }
    if (!load(a, err)) {
        a->set_threads = NULL;
        algebra_close(a);
        return NULL;
    }
    a->threads = a->get_threads();
    a->set_threads(1);
    return a;
}

void algebra_close(struct algebra *a)
{
    if (a && a->set_threads)
        a->set_threads(a->threads);
    /* The library stays: it can't be unloaded while threads of its own run. */
    free(a);
}

int algebra_threads(const struct algebra *a, int wanted)
{
    return a->get_parallel() == 0 ? 1 : wanted;
}

/* ---- the calls -------------------------------------------------------- */

static const double one = 1;

void algebra_multiply(const struct algebra *algebra, size_t rows, size_t columns,
                      size_t outputs, const double *a, size_t lda, const double *b,
                      double *c)
{
    const int m = (int)outputs, n = (int)columns, k = (int)rows, stride = (int)lda;
    if (rows > 0 && columns > 0 && outputs > 0)
        algebra->gemm("N", "T", &m, &n, &k, &one, b, &m, a, &stride, &one, c, &m);
}

void algebra_gram(const struct algebra *algebra, size_t rows, size_t n, const double *x,
                  double *h)
{
    const int k = (int)rows, stride = (int)n;
    for (size_t first = 0; rows > 0 && first < n; first += TRIANGLE_PANEL) {
        const size_t width = n - first;
        const int m = (int)width,
                  count = (int)(width < TRIANGLE_PANEL ? width : TRIANGLE_PANEL);
        algebra->gemm("N", "T", &m, &count, &k, &one, x + first, &stride, x + first,
                      &stride, &one, h + triangle_panel(n, first), &m);
    }
}

bool algebra_factor(const struct algebra *algebra, size_t n, double *h)
{
    const int order = (int)n;
    int info = 0;
    algebra->potrf("U", &order, h, &order, &info);
    return info == 0;
}

/* With the lower triangle as the transpose of an upper one. */
static void triangle(triangle_fn *call, const char *trans, size_t n, size_t outputs,
                     const double *lower, double *b)
{
    const int m = (int)outputs, order = (int)n;
    call("R", "U", trans, "N", &m, &order, &one, lower, &order, b, &m);
}

void algebra_triangle(const struct algebra *algebra, size_t n, size_t outputs,
                      const double *lower, double *b)
{
    triangle(algebra->trmm, "T", n, outputs, lower, b);
}

void algebra_solve(const struct algebra *algebra, size_t n, size_t outputs,
                   const double *lower, double *b)
{
    triangle(algebra->trsm, "N", n, outputs, lower, b);
    triangle(algebra->trsm, "T", n, outputs, lower, b);
}
