"""Blocks of MatMul and Gemm where nothing is asked for: they divide the axis where they
can. ONNX Runtime and numpy agree on what comes out.
"""

import pytest

import forms_models as models
from forms_check import check
from forms_models import Operator, node
from oracle import Scheme

WHOLE = [(256, 256), (512, 256), (384, 128), (192, 64), (576, 64), (3136, 64), (96, 32),
         (288, 32), (128, 128), (32, 32)]
PARTIAL = [(200, 256), (1000, 256), (257, 256), (40, 64), (16, 16), (17, 32)]


def consumer(op_type, k):
    if op_type == "MatMul":
        return models.matmul(k, 24)
    return Operator(lambda x, w, y: [node("Gemm", [x, w], y, transB=1)], (24, k), (3, k), 2,
                    kind="fused")


@pytest.mark.parametrize("form", ["run", "nbits"])
@pytest.mark.parametrize("op_type", ["MatMul", "Gemm"])
@pytest.mark.parametrize("k, block", WHOLE + PARTIAL)
def test_default_block(k, block, op_type, form, quantize):
    operator = consumer(op_type, k)
    model = models.as_initializer(operator, models.weight(operator), "float")
    scheme = Scheme(min_elements=16)
    result, left = check(model, models.all_feeds(model, operator), scheme, form, quantize)
    row, = [row for row in result.report["weights"] if row["quantized"]]
    assert row["granularity"] == f"block {block}, axis {op_type == 'Gemm':d}"
    assert left["MatMulNBits"] == 1
