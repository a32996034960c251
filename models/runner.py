"""Runs models in one runtime, in an environment that has it. elsewhere.py starts it:

    python runner.py RUNTIME [exact] <JOBS >ANSWERS

JOBS is a JSON list of (model, feeds, wanted outputs), each a path; feeds and outputs
are .npz files. An answer is the largest difference relative to the largest wanted
output, or the text of the error. "exact" asks OpenVINO for float activations.
"""

import json
import sys

import numpy as np


def onnxruntime_runner(path, exact):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda feed: session.run(None, feed)


def openvino_runner(path, exact):
    import openvino as ov
    core = ov.Core()
    core.set_property("CPU", {"INFERENCE_NUM_THREADS": 1})
    hints = {"INFERENCE_PRECISION_HINT": "f32"}
    if exact:
        hints["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = "0"
    compiled = core.compile_model(path, "CPU", hints)
    return lambda feed: list(compiled(feed).to_tuple())


def reference_runner(path, exact):
    import onnx.reference
    evaluator = onnx.reference.ReferenceEvaluator(path)
    return lambda feed: evaluator.run(None, feed)


def opencv_runner(path, exact):
    import cv2
    net = cv2.dnn.readNetFromONNX(path)

    def run(feed):
        for name, array in feed.items():
            net.setInput(array, name)
        return list(net.forward(net.getUnconnectedOutLayersNames()))
    return run


def tract_runner(path, exact):
    import tract
    model = tract.onnx().load(path)
    kinds = {"float32": "f32", "int64": "i64"}

    def run(feed):
        arrays = [feed[model.input_name(i)] for i in range(model.input_count())]
        for i, array in enumerate(arrays):
            fact = ",".join([*map(str, array.shape), kinds[str(array.dtype)]])
            model.set_input_fact(i, fact)
        for i in range(model.output_count()):
            model.set_output_fact(i, None)
        outputs = model.into_model().into_runnable().run(arrays)
        return [output.to_numpy() for output in outputs]
    return run


RUNTIMES = {"onnxruntime": onnxruntime_runner, "openvino": openvino_runner,
            "reference": reference_runner, "opencv": opencv_runner, "tract": tract_runner}


def difference(wanted, got):
    wanted, got = wanted.astype(np.float64), np.asarray(got).astype(np.float64)
    if wanted.shape != got.shape:
        return f"shape {got.shape}, not {wanted.shape}"
    return float(abs(wanted - got).max() / max(abs(wanted).max(), 1e-30))


def answer(runner, exact, path, feeds, wanted):
    try:
        with np.load(feeds) as feed, np.load(wanted) as outputs:
            got = runner(path, exact)(dict(feed))
            worst = [difference(outputs[name], array)
                     for name, array in zip(outputs.files, got, strict=True)]
        return max(worst, key=lambda x: float("inf") if isinstance(x, str) else x)
    except Exception as error:  # any error is an answer
        return str(error).strip()[:2000] or repr(error)


def main():
    exact = "exact" in sys.argv[2:]
    answers = [answer(RUNTIMES[sys.argv[1]], exact, *job) for job in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
