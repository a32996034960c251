"""Makes the models of this folder: float.onnx, and what other tools make of it. Each tool
is run in an environment of its own, where pip has installed it and onnx:

    python make.py float
    python make.py quantize-rs     # pip install quantization-rs
    python make.py nncf            # pip install nncf onnxruntime
    python make.py modelopt        # pip install nvidia-modelopt[onnx]
    python make.py quark           # pip install amd-quark onnxruntime"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
FLOAT = HERE / "float.onnx"
SHAPE = (1, 3, 12, 12)


def feeds():
    rng = np.random.default_rng(1)
    return [{"image": rng.standard_normal(SHAPE).astype(np.float32)} for _ in range(4)]


def make_float():
    """Convolutions of three kinds, a Gemm of each kind and MatMuls."""
    rng = np.random.default_rng(0)
    weights = {
        "conv.weight": (16, 3, 5, 5),
        "conv.bias": (16,),
        "depthwise.weight": (16, 1, 9, 9),
        "up.weight": (16, 16, 3, 3),
        "gemm.weight": (32, 64),
        "gemm.bias": (32,),
        "plain.weight": (32, 64),
        "first.weight": (64, 64),
        "second.weight": (64, 32),
    }
    tensors = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) * 0.2, name)
        for name, shape in weights.items()
    ]
    tensors.append(numpy_helper.from_array(np.array([1, 64], np.int64), "shape"))
    nodes = [
        ("Conv", ["image", "conv.weight", "conv.bias"], {"pads": [2] * 4, "strides": [2, 2]}),
        ("Relu", [], {}),
        ("Conv", ["depthwise.weight"], {"pads": [4] * 4, "group": 16}),
        ("Relu", [], {}),
        ("ConvTranspose", ["up.weight"], {"pads": [1] * 4}),
        ("Relu", [], {}),
        ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [3, 3]}),
        ("Reshape", ["shape"], {}),
        ("Gemm", ["gemm.weight", "gemm.bias"], {"transB": 1}),
        ("Relu", [], {}),
        ("Gemm", ["plain.weight"], {}),
        ("Relu", [], {}),
        ("MatMul", ["first.weight"], {}),
        ("Relu", [], {}),
        ("MatMul", ["second.weight"], {}),
    ]
    made, value = [], "image"
    for i, (op_type, inputs, attributes) in enumerate(nodes):
        inputs = inputs if value in inputs else [value, *inputs]
        value = "scores" if i == len(nodes) - 1 else f"{op_type.lower()}_{i}"
        made.append(helper.make_node(op_type, inputs, [value], f"node_{i}", **attributes))
    graph = helper.make_graph(
        made,
        "small",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 32])],
        tensors,
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), FLOAT)


def make_quantize_rs():
    import quantize_rs

    for name, options in {
        "int8-channels": {"bits": 8, "per_channel": True},
        "int4-widened": {"bits": 4, "per_channel": True},
        "int4": {"bits": 4, "native_int4": True, "symmetric": True},
    }.items():
        target = HERE / f"quantize-rs-{name}.onnx"
        quantize_rs.quantize(str(FLOAT), str(target), min_elements=500, **options)


def make_nncf():
    import nncf

    data = nncf.Dataset(feeds())
    onnx.save(nncf.quantize(onnx.load(FLOAT), data), HERE / "nncf-int8.onnx")
    for mode in ("INT8_ASYM", "INT4_SYM", "INT4_ASYM"):
        four = {"ratio": 1.0, "group_size": 32, "all_layers": True} if "4" in mode else {}
        model = nncf.compress_weights(
            onnx.load(FLOAT), mode=getattr(nncf.CompressWeightsMode, mode), **four
        )
        onnx.save(model, HERE / f"nncf-{mode.lower().replace('_', '-')}.onnx")


def make_modelopt():
    from modelopt.onnx.quantization import quantize

    for mode in ("int8", "int4_rtn_dq"):
        quantize(
            str(FLOAT),
            quantize_mode=mode,
            op_types_to_quantize=["Conv", "ConvTranspose", "Gemm", "MatMul"],
            calibration_data=feeds()[0],
            calibration_eps=["cpu"],
            high_precision_dtype="fp32",
            output_path=str(HERE / f"modelopt-{mode.replace('_', '-')}.onnx"),
        )


def make_quark():
    from quark.onnx import ModelQuantizer
    from quark.onnx.quantization.config import Config, get_default_config

    class Reader:
        def __init__(self):
            self.left = feeds()

        def get_next(self):
            return self.left.pop() if self.left else None

    for name in ("XINT8", "INT16_CNN_DEFAULT", "MATMUL_NBITS", "UINT8_DYNAMIC_QUANT", "BF16"):
        config = get_default_config(name)
        ModelQuantizer(Config(global_quant_config=config)).quantize_model(
            str(FLOAT), str(HERE / f"quark-{name.lower().replace('_', '-')}.onnx"), Reader()
        )


if __name__ == "__main__":
    globals()[f"make_{sys.argv[1].replace('-', '_')}"]()
