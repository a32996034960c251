/* Tests of the parallel loop: it visits every index once, no worker does two items at a
 * time, and it stops after a failure. */
#include "core/parallel.h"
#include "support.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 5000, WORKERS = 64 };

struct work {
    atomic_int seen[MOST];
    atomic_int on_worker[WORKERS]; /* calls that this worker is running now */
    atomic_bool clash, bad_worker;
    atomic_size_t calls;
    int threads;
    size_t stop_at; /* the index that fails; MOST if none does */
};

static bool visit(void *context, size_t index, int worker)
{
    struct work *work = context;
    atomic_fetch_add(&work->calls, 1);
    if (worker < 0 || worker >= work->threads)
        atomic_store(&work->bad_worker, true);
    else if (atomic_fetch_add(&work->on_worker[worker], 1) != 0)
        atomic_store(&work->clash, true);
    atomic_fetch_add(&work->seen[index], 1);
    if (index % 97 == 0)
        usleep(50);
    if (worker >= 0 && worker < work->threads)
        atomic_fetch_sub(&work->on_worker[worker], 1);
    return index != work->stop_at;
}

static struct work *work_new(int threads, size_t stop_at)
{
    struct work *work = hold(sizeof *work);
    work->threads = threads;
    work->stop_at = stop_at;
    return work;
}

static void test_every_index_once(void **state)
{
    (void)state;
    static const size_t counts[] = {0, 1, 2, 7, 64, 1000, MOST};
    for (int threads = 1; threads <= 17; threads++) {
        for (size_t c = 0; c < COUNT(counts); c++) {
            struct work *work = work_new(threads, MOST);
            assert_true(parallel_for(counts[c], threads, visit, work));
            for (size_t i = 0; i < MOST; i++)
                assert_int_equal(work->seen[i], i < counts[c]);
            assert_false(work->clash);
            assert_false(work->bad_worker);
        }
    }
}

/* No item begins after a failure was seen, and none runs twice. */
static void test_stops(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        struct work *work = work_new(threads, 10);
        assert_false(parallel_for(MOST, threads, visit, work));
        assert_true(atomic_load(&work->calls) < MOST);
        for (size_t i = 0; i < MOST; i++)
            assert_true(work->seen[i] <= 1);
        assert_int_equal(work->seen[10], 1);
    }
    struct work *last =
        work_new(3, MOST - 1); /* a failure of the last item counts, too */
    assert_false(parallel_for(MOST, 3, visit, last));
}

static void test_threads(void **state)
{
    (void)state;
    assert_int_equal(parallel_threads(1, 100), 1);
    assert_int_equal(parallel_threads(8, 100), 8);
    assert_int_equal(parallel_threads(8, 3), 3);
    assert_int_equal(parallel_threads(8, 1), 1);
    assert_int_equal(parallel_threads(8, 0), 1);
    assert_int_equal(parallel_threads(0, 0), 1);
    assert_int_equal(parallel_threads(0, 1), 1);
    assert_true(parallel_threads(0, 1 << 20) >= 1);
    assert_int_equal(parallel_threads(1024, SIZE_MAX), 1024);
}

/* ---- threads that the system refuses ----------------------------------- */

static int allowed = INT_MAX;

/* Stands in for the system's function, as everywhere in this program. */
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                   void *(*function)(void *), void *data)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);
    void *address = dlsym(RTLD_NEXT, "pthread_create");
    memcpy(&real, &address, sizeof real);
    return allowed-- > 0 ? real(thread, attributes, function, data) : EAGAIN;
}

static void test_refused_threads(void **state)
{
    (void)state;
    for (int most = 0; most < 4; most++) {
        struct work *work = work_new(4, MOST);
        allowed = most;
        assert_true(parallel_for(MOST, 4, visit, work));
        allowed = INT_MAX;
        for (size_t i = 0; i < MOST; i++)
            assert_int_equal(work->seen[i], 1);
        assert_false(work->bad_worker);
    }
}

static bool mask_of(void *context, size_t index, int worker)
{
    sigset_t mask;
    (void)index;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    if (worker > 0 && (!sigismember(&mask, SIGTERM) || sigismember(&mask, SIGBUS)))
        atomic_store((atomic_bool *)context, true);
    usleep(100);
    return true;
}

/* Signals go to the threads of the caller, whose mask stays as it was. */
static void test_signals(void **state)
{
    (void)state;
    sigset_t before, after;
    atomic_bool wrong = false;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_true(parallel_for(100, 3, mask_of, &wrong));
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_false(wrong);
    assert_int_equal(sigismember(&before, SIGTERM), sigismember(&after, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_index_once), TEST(test_stops),   TEST(test_threads),
        TEST(test_refused_threads),  TEST(test_signals),
    };
    return RUN(tests);
}
