"""Calibration through the library's own functions, by ctypes."""
import ctypes as c
import json
import os
import tempfile

import numpy as np
import onnx
import onnxruntime as ort

FOLDER = os.path.dirname(os.environ.get("NIBBLE", "build/nibble")) or "."
library = c.CDLL(os.path.join(os.path.abspath(FOLDER), "src", "libnibble.so"))


class Options(c.Structure):
    _fields_ = [
        ("size", c.c_size_t), ("type", c.c_int), ("symmetry", c.c_int), ("granularity", c.c_int),
        ("block_size", c.c_size_t), ("bits_per_weight", c.c_double), ("min_snr", c.c_double),
        ("method", c.c_int), ("scale_type", c.c_int), ("include", c.c_char_p), ("exclude", c.c_char_p),
        ("decode", c.c_int), ("format", c.c_int), ("target", c.c_int), ("wide_embeddings", c.c_bool),
        ("copy_bytes", c.c_uint64), ("min_elements", c.c_size_t), ("freeze", c.c_bool), ("no_upgrade", c.c_bool),
        ("external_data", c.c_bool), ("force", c.c_bool), ("unmeasured", c.c_bool), ("threads", c.c_int),
        ("cpu", c.c_char_p), ("progress", c.c_void_p), ("progress_data", c.c_void_p), ("cancel", c.c_void_p),
        ("guard", c.c_void_p),
        ("calibration", c.c_void_p),
    ]


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("message", c.c_char * 4096)]


class Array(c.Structure):
    _fields_ = [("name", c.c_char_p), ("type", c.c_int), ("dims", c.POINTER(c.c_int64)), ("rank", c.c_size_t),
                ("data", c.c_void_p)]


class Trial(c.Structure):
    _fields_ = [("name", c.c_char_p), ("dims", c.POINTER(c.c_int64)), ("rank", c.c_size_t), ("elements", c.c_uint64),
                ("bias_name", c.c_char_p), ("bias_dims", c.POINTER(c.c_int64)), ("bias_rank", c.c_size_t),
                ("bias_elements", c.c_uint64), ("step", c.c_size_t), ("tensors", c.c_char_p * 2), ("noise", c.c_double)]


GRANULARITIES = {"default": 0, "channel": 1, "tensor": 2, "block": 3}
library.nibble_calibration_tensor.restype = c.c_char_p
library.nibble_calibration_count.restype = c.c_size_t
library.nibble_calibration_is_input.restype = c.c_bool
library.nibble_calibration_runs.restype = c.c_uint64
library.nibble_calibration_trial_count.restype = c.c_size_t
library.nibble_calibration_trial.restype = c.POINTER(Trial)


class Failed(Exception):
    def __init__(self, error):
        super().__init__(error.message.decode(errors="replace"))
        self.status = error.status


def call(function, *arguments):
    error = Error()
    if function(*arguments, c.byref(error)):
        raise Failed(error)


def options(**values):
    made = Options()
    library.nibble_options_init_sized(c.byref(made), c.c_size_t(c.sizeof(made)))
    for name, value in values.items():
        if name == "granularity":
            value = GRANULARITIES[value]
        setattr(made, name, value.encode() if isinstance(value, str) else value)
    return made


def arrays_of(values):
    """(an array of Array, the objects that must stay alive)"""
    made, kept = (Array * len(values))(), []
    for i, (name, value) in enumerate(values.items()):
        value = np.ascontiguousarray(value)
        dims = (c.c_int64 * max(value.ndim, 1))(*value.shape)
        made[i] = Array(name.encode(), onnx.helper.np_dtype_to_tensor_dtype(value.dtype), dims, value.ndim,
                        value.ctypes.data)
        kept += [value, dims]
    return made, kept


def session(path):
    settings = ort.SessionOptions()
    settings.log_severity_level = 3
    settings.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])


class Calibration:
    def __init__(self, model, **values):
        self.handle = c.c_void_p()
        self.model = str(model)
        self.folder = tempfile.TemporaryDirectory()
        self.options = options(**values)
        call(library.nibble_calibration_create, self.model.encode(), c.byref(self.options), c.byref(self.handle))
        self.tensors = [library.nibble_calibration_tensor(self.handle, c.c_size_t(i)).decode()
                        for i in range(library.nibble_calibration_count(self.handle))]
        self.inputs = {t for i, t in enumerate(self.tensors)
                       if library.nibble_calibration_is_input(self.handle, c.c_size_t(i))}
        self.session = None

    def instrumented(self):
        path = os.path.join(self.folder.name, "instrumented.onnx")
        call(library.nibble_calibration_instrument, self.handle, path.encode())
        return path

    def run(self, feed):
        """The arrays of one run."""
        if self.session is None:
            self.session = session(self.instrumented())
        names = [t for t in self.tensors if t not in self.inputs]
        return {**feed, **dict(zip(names, self.session.run(names, feed)))}

    def observe_arrays(self, values):
        arrays, kept = arrays_of(values)
        call(library.nibble_calibration_observe, self.handle, arrays, c.c_size_t(len(arrays)))

    def observe(self, feed):
        self.observe_arrays(self.run(feed))

    def save(self, path):
        call(library.nibble_calibration_save, self.handle, str(path).encode())

    def load(self, path):
        call(library.nibble_calibration_load, self.handle, str(path).encode())

    @property
    def runs(self):
        return library.nibble_calibration_runs(self.handle)

    def quantize(self, output, **values):
        quantize(self.model, output, calibration=self.handle, **values)

    def report(self, output, **values):
        """Quantizes, and returns the report."""
        made, report = options(calibration=self.handle, **values), c.c_void_p()
        error = Error()
        if library.nibble_quantize(self.model.encode(), str(output).encode(), c.byref(made), c.byref(report),
                                   c.byref(error)):
            raise Failed(error)
        library.nibble_report_json.restype = c.c_void_p
        text = library.nibble_report_json(report)
        found = json.loads(c.string_at(text))
        c.CDLL(None).free(c.c_void_p(text))
        library.nibble_report_free(report)
        return found

    def begin_trials(self, output, **values):
        call(library.nibble_calibration_begin_trials, self.handle, c.byref(options(**values)), str(output).encode())
        return [library.nibble_calibration_trial(self.handle, c.c_size_t(i)).contents
                for i in range(library.nibble_calibration_trial_count(self.handle))]

    def attempt(self, index, keep=False):
        """What to feed for the trial."""
        trial = library.nibble_calibration_trial(self.handle, c.c_size_t(index)).contents
        values = np.empty(trial.dims[:trial.rank], np.float32)
        bias = np.empty(trial.bias_dims[:trial.bias_rank] if trial.bias_rank else 0, np.float32)
        call(library.nibble_calibration_try, self.handle, c.c_size_t(index), c.c_bool(keep),
             values.ctypes.data_as(c.c_void_p), bias.ctypes.data_as(c.c_void_p))
        feed = {trial.name.decode(): values}
        if trial.bias_name:
            feed[trial.bias_name.decode()] = bias
        return feed

    def weigh(self, index, noise):
        call(library.nibble_calibration_weigh, self.handle, c.c_size_t(index), c.c_double(noise))

    def observe_step(self, step, before, now):
        (a, kept), (b, also) = arrays_of(before), arrays_of(now)
        call(library.nibble_calibration_observe_step, self.handle, c.c_size_t(step), a, c.c_size_t(len(a)), b,
             c.c_size_t(len(b)))

    def __del__(self):
        if self.handle:
            library.nibble_calibration_free(self.handle)


def quantize(model, output, **values):
    made = options(**values)
    call(library.nibble_quantize, str(model).encode(), str(output).encode(), c.byref(made), None)


def read_statistics(path):
    """{site: (rows, mean [groups, n], covariance [groups, n, n])} and the metadata, read as the
    format says."""
    raw = open(path, "rb").read()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    metadata, sites = header.pop("__metadata__"), {}

    def values(name):
        entry = header[name]
        begin, end = entry["data_offsets"]
        kind = {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
        return np.frombuffer(raw[8 + length:][begin:end], kind).reshape(entry["shape"]).astype(float)

    for name in header:
        if not name.endswith(".mean"):
            continue
        key, mean = name[:-5], values(name)
        n = mean.shape[1]
        covariance = np.zeros((len(mean), n, n))
        upper = np.triu_indices(n)
        for full, packed in zip(covariance, values(key + ".covariance")):
            full[upper] = packed
            full.T[upper] = packed
        sites[key] = values(key + ".rows").item(), mean, covariance
    return sites, metadata
