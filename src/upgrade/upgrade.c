/* The upgrade of a whole model: opset imports, IR version, and one walk through each
 * graph and function. Knows no operator. */
#include "upgrade/upgrade.h"
#include "onnx/imports.h"
#include "onnx/traverse.h"
#include "upgrade/walk.h"

#include <stdio.h>
#include <stdlib.h>

/* What a node may grow by, in bytes; real ones stay well below. */
enum { NODE_GROWTH = 4096 };

int64_t upgrade_opset_max(void)
{
    return UPGRADE_TARGET_MAX;
}

/* ---- opset imports -------------------------------------------------- */

static bool is_no_other(void *first, const void *import)
{
    return import == first ||
           !domain_is_standard(((const Onnx__OperatorSetIdProto *)import)->domain);
}

/* "" and "ai.onnx" are one domain: keeps one import of it. */
static bool merge_imports(struct upgrade *upgrade, struct imports imports,
                          const char *where)
{
    Onnx__OperatorSetIdProto *first = imports_find(imports, "");
    for (size_t i = 0; first && i < *imports.count; i++) {
        const Onnx__OperatorSetIdProto *other = (*imports.list)[i];
        if (domain_is_standard(other->domain) && other->version != first->version)
            return error_set(
                upgrade->err, STATUS_UNSUPPORTED,
                "%s: %simports the standard domain twice, at opset %lld and at "
                "%lld",
                upgrade->model->file->path, where, (long long)first->version,
                (long long)other->version);
    }
    if (first)
        list_filter(imports.list, imports.count, is_no_other, first);
    return true;
}

static bool check_source(const struct upgrade *upgrade, int64_t source, const char *where)
{
    if (source >= UPGRADE_SOURCE_MIN && source <= UPGRADE_TARGET_MAX)
        return true;
    return error_set(upgrade->err, STATUS_UNSUPPORTED,
                     "%s: %sopset %lld: nibble knows opsets %d to %d",
                     upgrade->model->file->path, where, (long long)source,
                     UPGRADE_SOURCE_MIN, UPGRADE_TARGET_MAX);
}

static bool no_import(const struct upgrade *upgrade, const char *where)
{
    return error_set(
        upgrade->err, STATUS_UNSUPPORTED,
        "%s: %shas nodes of the standard domain and doesn't import its opset",
        upgrade->model->file->path, where);
}

/* ---- IR version ----------------------------------------------------- */

/* The lowest IR version that goes with an opset. */
static int64_t ir_of_opset(int64_t opset)
{
    static const struct {
        int64_t opset, ir;
    } rows[] = {{22, 10}, {23, 11}, {24, 12}, {27, 13}, {UPGRADE_TARGET_MAX, 14}};
    size_t i = 0;
    while (rows[i].opset < opset)
        i++;
    return rows[i].ir;
}

static bool is_no_initializer(void *names, const void *input)
{
    return !map_get(names, or_empty(((const Onnx__ValueInfoProto *)input)->name));
}

/* Below IR 4 every initializer had to be an input as well, and was constant all the
 * same. From 4 on such an input means that callers may give another value. */
static bool fix_initializers(Onnx__GraphProto *graph, struct error *err)
{
    struct map names = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < graph->n_initializer; i++)
        ok = map_put(&names, or_empty(graph->initializer[i]->name), graph);
    if (ok)
        list_filter(&graph->input, &graph->n_input, is_no_initializer, &names);
    map_free(&names);
    return ok || error_memory(err);
}

bool model_raise_ir(struct model *model, int64_t ir, struct error *err)
{
    Onnx__ModelProto *proto = model->proto;
    if (proto->ir_version >= ir)
        return true;
    bool fixed = proto->ir_version >= 4 || fix_initializers(proto->graph, err);
    proto->has_ir_version = true;
    proto->ir_version = ir;
    return fixed;
}

/* ---- the parts of a model ------------------------------------------- */

static bool raise_main(struct upgrade *upgrade)
{
    struct imports imports = imports_of_model(upgrade->model);
    Onnx__OperatorSetIdProto *import = imports_find(imports, "");
    if (!import && graphs_have_standard(upgrade))
        return no_import(upgrade, "");
    if (!import)
        return imports_add(upgrade->model, imports, "", upgrade->target) ||
               error_memory(upgrade->err);
    int64_t source = import->version;
    if (source >= upgrade->target)
        return true;
    import->version = upgrade->target;
    return walk_graphs(upgrade, source);
}

static bool raise_function(struct upgrade *upgrade, Onnx__FunctionProto *function)
{
    struct imports imports = imports_of_function(function);
    const char *where =
        arena_printf(upgrade->model->arena, "function '%s': ", or_empty(function->name));
    if (!where)
        return error_memory(upgrade->err);
    if (!merge_imports(upgrade, imports, where))
        return false;
    Onnx__OperatorSetIdProto *import = imports_find(imports, "");
    if (!import)
        return !function_has_standard(upgrade, function) || no_import(upgrade, where);
    int64_t source = import->version;
    if (!check_source(upgrade, source, where))
        return false;
    if (source >= upgrade->target)
        return true;
    import->version = upgrade->target;
    return walk_function(upgrade, function, source);
}

/* ---- afterwards ----------------------------------------------------- */

static bool is_not_dropped(void *dropped, const void *info)
{
    return !map_get(dropped, or_empty(((const Onnx__ValueInfoProto *)info)->name));
}

/* Nothing may be said of values that no node makes any more. */
static bool forget_region(void *context, struct region *region)
{
    struct upgrade *upgrade = context;
    Onnx__GraphProto *graph = region->graph;
    Onnx__FunctionProto *function = region->function;
    if (graph)
        list_filter(&graph->value_info, &graph->n_value_info, is_not_dropped,
                    &upgrade->dropped);
    else
        list_filter(&function->value_info, &function->n_value_info, is_not_dropped,
                    &upgrade->dropped);
    return true;
}

static void forget_dropped(struct upgrade *upgrade)
{
    const struct visitor forgetting = {.enter = forget_region};
    if (upgrade->dropped.count > 0)
        traverse_model(upgrade->model->proto, &forgetting, upgrade);
}

static bool report(const struct upgrade *upgrade, int64_t source)
{
    const struct refusals *refusals = &upgrade->refusals;
    char more[64] = "";
    if (refusals->count == 0)
        return true;
    if (refusals->listed < refusals->count)
        snprintf(more, sizeof more, "\n  ... and %zu more",
                 refusals->count - refusals->listed);
    return error_set(upgrade->err, STATUS_UNSUPPORTED,
                     "%s: %zu node%s can't be raised from opset %lld to %lld:%s%s",
                     upgrade->model->file->path, refusals->count,
                     refusals->count == 1 ? "" : "s", (long long)source,
                     (long long)upgrade->target, refusals->lines, more);
}

static bool raise_all(struct upgrade *upgrade)
{
    const Onnx__ModelProto *proto = upgrade->model->proto;
    struct imports imports = imports_of_model(upgrade->model);
    int64_t source = model_opset(upgrade->model);
    if (!merge_imports(upgrade, imports, ""))
        return false;
    if (imports_find(imports, "") && !check_source(upgrade, source, ""))
        return false;
    if (source > upgrade->target)
        upgrade->target = source; /* what functions are raised to */
    if (!model_raise_ir(upgrade->model, ir_of_opset(upgrade->target), upgrade->err))
        return false;
    for (size_t i = 0; i < proto->n_functions; i++)
        if (!raise_function(upgrade, proto->functions[i]))
            return false;
    if (!raise_main(upgrade))
        return false;
    forget_dropped(upgrade);
    return report(upgrade, source);
}

bool model_upgrade(struct model *model, int64_t target, struct error *err)
{
    if (target < UPGRADE_TARGET_MIN || target > UPGRADE_TARGET_MAX)
        return error_set(err, STATUS_INVALID,
                         "opset %lld: models can be raised to %d to %d",
                         (long long)target, UPGRADE_TARGET_MIN, UPGRADE_TARGET_MAX);
    struct upgrade *upgrade = calloc(1, sizeof *upgrade);
    if (!upgrade)
        return error_memory(err);
    upgrade->model = model;
    upgrade->err = err;
    upgrade->target = target;
    upgrade->arena = arena_create(ARENA_NO_CAP);
    bool ok =
        (upgrade->arena && survey_open(&upgrade->survey, model)) || error_memory(err);
    if (ok) {
        arena_extend(model->arena, upgrade->survey.nodes * NODE_GROWTH);
        ok = raise_all(upgrade);
    }
    survey_close(&upgrade->survey);
    map_free(&upgrade->dropped);
    arena_destroy(upgrade->arena);
    free(upgrade);
    return ok;
}
