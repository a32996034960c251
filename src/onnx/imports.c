/* Opset imports. Knows no version and no operator. */
#include "onnx/imports.h"
#include "onnx/node.h"

#include <string.h>

struct imports imports_of_model(const struct model *model)
{
    return (struct imports){&model->proto->opset_import, &model->proto->n_opset_import};
}

struct imports imports_of_function(Onnx__FunctionProto *function)
{
    return (struct imports){&function->opset_import, &function->n_opset_import};
}

Onnx__OperatorSetIdProto *imports_find(struct imports imports, const char *domain)
{
    for (size_t i = 0; i < *imports.count; i++)
        if (domain_same((*imports.list)[i]->domain, domain))
            return (*imports.list)[i];
    return NULL;
}

bool imports_add(struct model *model, struct imports imports, const char *domain,
                 int64_t version)
{
    Onnx__OperatorSetIdProto *import = arena_alloc(model->arena, sizeof *import);
    void *added = import;
    size_t at = domain_is_standard(domain) ? 0 : *imports.count;
    if (!import)
        return false;
    onnx__operator_set_id_proto__init(import);
    import->domain = arena_string(model->arena, domain);
    import->has_version = true;
    import->version = version;
    return import->domain &&
           list_insert(model, imports.list, imports.count, at, &added, 1);
}

int64_t model_opset(const struct model *model)
{
    const Onnx__OperatorSetIdProto *import = imports_find(imports_of_model(model), "");
    return import ? import->version : 0;
}
