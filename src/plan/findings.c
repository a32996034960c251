/* What a pass finds out for the passes after it, under keys that name a weight wherever
 * it stands. */
#include "plan/forms.h"
#include "plan/plan.h"

#include <string.h>

bool plan_findings_open(struct plan_findings *findings, struct error *err)
{
    *findings = (struct plan_findings){.keys = arena_create(ARENA_NO_CAP)};
    return findings->keys || error_memory(err);
}

void plan_findings_close(struct plan_findings *findings)
{
    map_free(&findings->unfit);
    map_free(&findings->wide_scales);
    map_free(&findings->unfolded);
    map_free(&findings->fixed);
    map_free(&findings->folded);
    arena_destroy(findings->keys);
}

const char *plan_key(struct arena *arena, const struct value *value)
{
    const char *path = value->scope->path;
    return arena_printf(arena, "%zu %s %s", strlen(path), path, value->name);
}

bool plan_note(struct plan_findings *findings, const struct plan_item *item,
               enum quant_fit fit, struct error *err)
{
    static const char *const reasons[] = {
        [QUANT_FIT_NOT_FINITE] = "it contains NaN or infinity",
        [QUANT_FIT_SCALE_RANGE] = "its scales do not fit its own float type",
    };
    const char *key = plan_key(findings->keys, item->value);
    bool widen = fit == QUANT_FIT_SCALE_RANGE && plan_is_narrowed(item);
    return (key && map_put(widen ? &findings->wide_scales : &findings->unfit, key,
                           (void *)(uintptr_t)reasons[fit])) ||
           error_memory(err);
}

bool plan_note_unfolded(struct plan_findings *findings, const struct plan_item *item,
                        bool *noted, struct error *err)
{
    if (findings->folded.count == 0)
        return true;
    const char *key = plan_key(findings->keys, item->value);
    if (!key)
        return error_memory(err);
    if (!map_get(&findings->folded, key) || map_get(&findings->unfolded, key))
        return true;
    struct plan_unfolded *found = arena_alloc(findings->keys, sizeof *found);
    const char *reason = arena_printf(findings->keys, "%s", item->reason);
    if (!found || !reason)
        return error_memory(err);
    *found = (struct plan_unfolded){reason, item->requested, item->warning, item->chosen};
    *noted = true;
    return map_put(&findings->unfolded, key, found) || error_memory(err);
}

bool plan_note_fixed(struct plan_findings *findings, const struct plan *plan,
                     struct error *err)
{
    for (size_t i = 0; i < plan->count; i++) {
        const struct plan_item *item = &plan->items[i];
        if (!item->fixed)
            continue;
        const char *key = plan_key(findings->keys, item->value);
        if (!key || !map_put(&findings->fixed, key, (void *)(uintptr_t)item->reason))
            return error_memory(err);
    }
    return true;
}
