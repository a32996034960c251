"""nibble makes ONNX models smaller: it quantizes their weights to 4 or 8 bits.

import nibble

report = nibble.quantize("model.onnx", "model.int4.onnx")
print(report)

small = nibble.quantize(onnx_program)      # a model in, a model of the same kind out
"""

from ._calls import inspect, quantize, upgrade
from ._library import opset_max, version
from ._session import ModelError
from .comparison import Comparison, WeightError, compare
from .errors import (
    CancelledError,
    DataError,
    MalformedModelError,
    MissingPackageError,
    NibbleError,
    NibbleWarning,
    OptionError,
    OutOfMemoryError,
    ReadError,
    UnsupportedModelError,
    WriteError,
)
from .metrics import OutputError
from .report import Report, Weight

__all__ = [
    "CancelledError",
    "Comparison",
    "DataError",
    "MalformedModelError",
    "MissingPackageError",
    "ModelError",
    "NibbleError",
    "NibbleWarning",
    "OptionError",
    "OutOfMemoryError",
    "OutputError",
    "ReadError",
    "Report",
    "UnsupportedModelError",
    "Weight",
    "WeightError",
    "WriteError",
    "compare",
    "inspect",
    "opset_max",
    "quantize",
    "upgrade",
    "version",
]
