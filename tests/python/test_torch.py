"""What torch.onnx.export(..., dynamo=True) returns goes in and comes back. Needs torch."""

import pytest

import nibble

torch = pytest.importorskip("torch", reason="no torch: ONNXProgram was NOT tested")
pytest.importorskip("onnxscript", reason="no onnxscript: ONNXProgram was NOT tested")


@pytest.fixture(scope="module")
def exported():
    """(an ONNXProgram, its inputs)"""
    torch.manual_seed(0)
    layers = torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10)
    inputs = (torch.randn(4, 64),)
    model = torch.nn.Sequential(*layers).eval()
    return torch.onnx.export(model, inputs, dynamo=True, verbose=False), inputs


def test_program(exported):
    program, inputs = exported
    small, report = nibble.quantize(program, type="int8", return_report=True)
    assert type(small) is type(program) and report.quantized == 2
    (wanted,), (got,) = program(*inputs), small(*inputs)
    assert 0 < float((wanted - got).abs().max()) < 0.05
    result = nibble.compare(program, small, data="random:2", latency=False)
    assert len(result.weights) == 2 and result.snr_db > 30


def test_program_as_file(exported, tmp_path):
    program, _ = exported
    small = nibble.quantize(program)
    small.save(tmp_path / "small.onnx")
    assert nibble.compare(program, tmp_path / "small.onnx").snr_db > 15
    assert nibble.quantize(program, tmp_path / "two.onnx").quantized == 2
    raised = nibble.upgrade(program, opset=23)
    assert type(raised) is type(program) and raised.model.opset_imports[""] == 23


def test_its_model(exported):
    program, _ = exported
    assert type(nibble.quantize(program.model)) is type(program.model)
    assert nibble.inspect(program).quantized == 2
