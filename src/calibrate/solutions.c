/* Solutions. Weights of the same inputs are one job: their moments are factored once. A
 * job is one thread's, so that the result does not depend on their number. */
#include "calibrate/solutions.h"
#include "core/arena.h"
#include "core/pages.h"
#include "core/parallel.h"
#include "plan/bias_site.h"

#include <stdlib.h>
#include <string.h>

/* An item to solve. */
struct task {
    struct task *next; /* of the same job */
    struct plan_item *item;
    struct solve_weight weight;
    struct solution *solution;
    bool bias;
};

/* Weights that share their moments: the sums of all sites that they are used at. */
struct job {
    const struct sums *sums;   /* of the only site; */
    const struct sums **sites; /* NULL, or those to be added up */
    size_t site_count;
    struct task *tasks, *last;
    bool centered;
};

struct solving {
    struct plan *plan;
    const struct statistics *statistics;
    const struct solutions_options *options;
    struct solutions *solutions;
    struct arena *arena;
    struct use **uses; /* by item: those of equal items, too */
    struct job *jobs;
    size_t job_count;
    struct map by_key;
    struct error *errors, *err; /* by worker */
    int outer, inner;           /* threads for jobs, and for the tiles of one job */
};

/* ---- jobs -------------------------------------------------------------- */

/* What the uses of an item have in common. */
struct gathered {
    const struct sums **sites; /* in the order of their uses, each once */
    size_t count;
    struct site_matrix matrix;
    bool bias; /* all can be corrected, by the same vector */
    const char *key;
};

static bool add_site(struct solving *s, struct gathered *g, const struct sums *sums)
{
    for (size_t i = 0; i < g->count; i++)
        if (g->sites[i] == sums)
            return true;
    g->sites[g->count++] = sums;
    g->key = arena_printf(s->arena, "%s%s\n", g->key, sums->key);
    return g->key != NULL;
}

static bool same_matrix(const struct site_matrix *a, const struct site_matrix *b)
{
    return a->groups == b->groups && a->outputs == b->outputs && a->inputs == b->inputs &&
           a->group_stride == b->group_stride && a->output_stride == b->output_stride &&
           memcmp(a->offsets, b->offsets, a->inputs * sizeof *a->offsets) == 0;
}

/* False where some use was not observed, or sees the weight as another matrix. */
static bool gather_uses(struct solving *s, const struct plan_item *item,
                        const struct use *uses, struct gathered *g)
{
    for (const struct use *use = uses; use; use = use->next) {
        struct site site;
        struct site_matrix matrix;
        struct bias_site bias;
        if (!site_make(s->arena, item, use, &site, &matrix))
            return false;
        const struct sums *sums = statistics_find(s->statistics, site.key);
        if (!sums || !sums->second || sums->groups != site.groups ||
            sums->inputs != site.inputs)
            return false;
        if (g->count == 0)
            g->matrix = matrix;
        if (!same_matrix(&g->matrix, &matrix) || !add_site(s, g, sums))
            return false;
        g->bias &= bias_site(item, use, &bias);
    }
    return g->count > 0;
}

static size_t count_uses(const struct use *use)
{
    size_t count = 0;
    for (; use; use = use->next)
        count++;
    return count;
}

static struct job *job_of(struct solving *s, const struct gathered *g)
{
    const char *key = arena_printf(s->arena, "%d%s", g->bias, g->key);
    struct job *job = key ? map_get(&s->by_key, key) : NULL;
    if (job || !key)
        return job;
    job = &s->jobs[s->job_count++];
    *job = (struct job){.sums = g->sites[0],
                        .sites = g->count > 1 ? g->sites : NULL,
                        .site_count = g->count,
                        .centered = g->bias};
    return map_put(&s->by_key, key, job) ? job : NULL;
}

static bool add_task(struct solving *s, struct plan_item *item, const struct gathered *g)
{
    const struct site_matrix *m = &g->matrix;
    struct task *task = arena_alloc(s->arena, sizeof *task);
    bool suits;
    if (!task)
        return false;
    *task = (struct task){
        .item = item,
        .bias = g->bias,
        .weight = {.scheme = item->scheme,
                   .source = {item->source->data, data_type_real(item->data_type)},
                   .shape = item->shape,
                   .groups = m->groups,
                   .outputs = m->outputs,
                   .inputs = m->inputs,
                   .group_stride = m->group_stride,
                   .output_stride = m->output_stride,
                   .offsets = m->offsets}};
    if (!solve_suits(&task->weight, &suits))
        return false;
    if (!suits)
        return true; /* as without data */
    struct job *job = job_of(s, g);
    if (!job)
        return false;
    task->solution = &s->solutions->list[s->solutions->count++];
    if (job->last)
        job->last->next = task;
    else
        job->tasks = task;
    job->last = task;
    return true;
}

static bool add_item(struct solving *s, struct plan_item *item, const struct use *uses)
{
    struct gathered g = {.bias = true, .key = ""};
    g.sites = arena_array(s->arena, count_uses(uses) + 1, sizeof *g.sites);
    bool found = g.sites && gather_uses(s, item, uses, &g);
    g.bias &= g.count == 1;
    if (found && !add_task(s, item, &g))
        return error_memory(s->err);
    return !arena_exhausted(s->arena) || error_memory(s->err);
}

/* The uses of each item and of those that are stored with it. */
static bool collect_uses(struct solving *s)
{
    struct plan *plan = s->plan;
    s->uses = arena_array(s->arena, plan->count + 1, sizeof *s->uses);
    for (size_t i = plan->count; s->uses && i-- > 0;) {
        const struct plan_item *item = &plan->items[i];
        size_t head = item->same ? (size_t)(item->same - plan->items) : i;
        for (const struct use *use = item->use; item->quantize && use; use = use->next) {
            struct use *copy = arena_alloc(s->arena, sizeof *copy);
            if (!copy)
                return error_memory(s->err);
            *copy = *use;
            copy->next = s->uses[head];
            s->uses[head] = copy;
        }
    }
    return s->uses || error_memory(s->err);
}

static bool make_jobs(struct solving *s)
{
    struct plan *plan = s->plan;
    s->jobs = arena_array(s->arena, plan->count + 1, sizeof *s->jobs);
    s->solutions->list = calloc(plan->count + 1, sizeof *s->solutions->list);
    if (!s->jobs || !s->solutions->list)
        return error_memory(s->err);
    for (size_t i = 0; i < plan->count; i++) {
        struct plan_item *item = &plan->items[i];
        if (item->quantize && !item->same && !item->solution &&
            !add_item(s, item, s->uses[i]))
            return false;
    }
    return true;
}

/* ---- the work ---------------------------------------------------------- */

static bool join_sites(const struct job *job, struct sums *sums, struct error *err)
{
    *sums = (struct sums){.groups = job->sums->groups, .inputs = job->sums->inputs};
    for (size_t i = 0; i < job->site_count; i++)
        if (!sums_join(sums, job->sites[i], err))
            return false;
    return true;
}

static bool solve_groups(const struct solving *s, const struct job *job,
                         const struct sums *sums, struct error *err)
{
    const struct solver solver = {s->options->algebra, s->options->kernels, s->inner};
    for (size_t g = 0; g < sums->groups; g++) {
        struct moments moments = sums_moments(sums, g);
        struct factor factor;
        if (cancelled(s->options->cancel, err) ||
            !factor_make(solver.algebra, &moments, job->centered, &factor, err))
            return false;
        bool ok = true;
        for (const struct task *task = job->tasks; ok && task; task = task->next)
            ok = solve_group(&solver, &task->weight, g, &factor, task->solution, err);
        factor_free(&factor);
        if (!ok)
            return false;
    }
    return true;
}

/* The pages of a weight, which has been read. */
static bool give_back(const struct payload *source, struct error *err)
{
    struct pages pages = {0};
    if (!source->file)
        return true;
    pages_read(&pages, source->file, source->data, source->size);
    pages_end(&pages);
    return file_check(source->file, err);
}

static bool do_job(void *context, size_t index, int worker)
{
    const struct solving *s = context;
    const struct job *job = &s->jobs[index];
    struct error *err = &s->errors[worker];
    struct sums joined = {0};
    const struct sums *sums = job->sites ? &joined : job->sums;
    bool ok = true;
    for (const struct task *task = job->tasks; ok && task; task = task->next)
        ok =
            solution_make(&task->weight, task->bias, task->solution) || error_memory(err);
    if (ok && job->sites)
        ok = join_sites(job, &joined, err);
    ok = ok && solve_groups(s, job, sums, err);
    for (const struct task *task = job->tasks; ok && task; task = task->next) {
        task->item->solution = task->solution;
        ok = give_back(task->item->source, err);
    }
    free(joined.first);
    free(joined.second);
    return ok;
}

/* Each job has a matrix of its own. Where these are too large to have one for each
 * thread, or jobs are few, a job has all threads. */
static void set_threads(struct solving *s)
{
    const double room = 128 << 20;
    int all = algebra_threads(s->options->algebra,
                              parallel_threads(s->options->threads, SIZE_MAX));
    double largest = 1;
    for (size_t i = 0; i < s->job_count; i++) {
        double n = (double)s->jobs[i].sums->inputs;
        largest = n * n * 8 > largest ? n * n * 8 : largest;
    }
    bool each = s->job_count >= (size_t)all && largest * all <= room;
    s->outer = each ? all : 1;
    s->inner = each ? 1 : all;
}

static bool do_jobs(struct solving *s)
{
    set_threads(s);
    s->errors = calloc((size_t)s->outer, sizeof *s->errors);
    if (!s->errors)
        return error_memory(s->err);
    bool ok = parallel_for(s->job_count, s->outer, do_job, s);
    for (int i = 0; !ok && i < s->outer; i++)
        if (s->errors[i].status != STATUS_OK)
            error_set(s->err, s->errors[i].status, "%s", s->errors[i].message);
    free(s->errors);
    return ok;
}

bool solutions_make(struct plan *plan, const struct statistics *statistics,
                    const struct solutions_options *options, struct solutions *solutions,
                    struct error *err)
{
    struct solving s = {.plan = plan,
                        .statistics = statistics,
                        .options = options,
                        .solutions = solutions,
                        .arena = arena_create(ARENA_NO_CAP),
                        .err = err};
    *solutions = (struct solutions){0};
    bool ok = s.arena || error_memory(err);
    ok = ok && collect_uses(&s) && make_jobs(&s) && do_jobs(&s);
    for (size_t i = 0; ok && i < plan->count; i++)
        if (plan->items[i].same)
            plan->items[i].solution = plan->items[i].same->solution;
    map_free(&s.by_key);
    arena_destroy(s.arena);
    if (!ok)
        solutions_free(solutions);
    return ok;
}

void solutions_free(struct solutions *solutions)
{
    for (size_t i = 0; i < solutions->count; i++)
        solution_free(&solutions->list[i]);
    free(solutions->list);
    *solutions = (struct solutions){0};
}
