"""ONNX Runtime's own int4 quantizer, block 32, symmetric, as its users call it:

    python bench/ort_quantizer.py MODEL.onnx OUT.onnx
    python bench/ort_quantizer.py --try        fails if it is not installed
"""

import os
import sys

import onnx
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer


def main():
    if sys.argv[1:] == ["--try"]:
        return
    model, out = sys.argv[1:]
    quantizer = MatMulNBitsQuantizer(onnx.load(model), block_size=32, is_symmetric=True)
    quantizer.process()
    quantizer.model.save_model_to_file(out, False)
    assert os.path.getsize(out) < os.path.getsize(model) / 4


if __name__ == "__main__":
    main()
