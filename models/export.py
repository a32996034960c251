"""Exports a trained PyTorch model with both of PyTorch's exporters and checks the files.
fashion_cnn.py and bible_lm.py use it."""

import pathlib

import numpy as np
import onnx
import torch

import feeds

HERE = pathlib.Path(__file__).resolve().parent


def export_both(model, name, example, input_name, axes):
    """Writes NAME_ts17.onnx (TorchScript exporter, opset 17) and NAME_dynamo18.onnx (dynamo,
    opset 18) into this folder. `axes` maps the dynamic axes of the input to their names."""
    model.eval()
    paths = [HERE / f"{name}_ts17.onnx", HERE / f"{name}_dynamo18.onnx"]
    names = dict(input_names=[input_name], output_names=["logits"])
    torch.onnx.export(model, (example,), paths[0], dynamo=False,
                      opset_version=17, **names,
                      dynamic_axes={input_name: axes, "logits": axes})
    torch.onnx.export(model, (example,), paths[1], dynamo=True,
                      opset_version=18, external_data=False, verbose=False,
                      **names,
                      dynamic_shapes=({a: torch.export.Dim(n)
                                       for a, n in axes.items()},))
    _drop_stack_traces(paths[1])
    for path in paths:
        _check(model, path, input_name)
        print(f"{path.name}: {path.stat().st_size:,} bytes")
    return paths


def _drop_stack_traces(path):
    """Removes the dynamo exporter's notes of where in the files of the exporting machine each
    node came from. They are large and of no use elsewhere."""
    proto = onnx.load(path)
    for node in proto.graph.node:
        keep = [p for p in node.metadata_props if "stack_trace" not in p.key]
        del node.metadata_props[:]
        node.metadata_props.extend(keep)
    onnx.save(proto, path)


def _check(model, path, input_name):
    onnx.checker.check_model(str(path), full_check=True)
    session = feeds.session(path)
    for batch in (1, 7):
        feed = feeds.inputs(session, batch)
        got, = session.run(None, feed)
        with torch.no_grad():
            want = model(torch.from_numpy(feed[input_name])).numpy()
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)
