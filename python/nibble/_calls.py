"""quantize, inspect and upgrade: each calls the library once."""

from __future__ import annotations

import ctypes
import json
import math
import os
import warnings
from typing import TYPE_CHECKING, Any, Callable, Literal, TypeVar, Union, overload

from . import _config, _library, _models, _options
from ._files import check_report, write_report
from ._work import Progress, Work
from .errors import NibbleWarning, OptionError
from .report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from typing_extensions import Unpack

Path = Union[str, "os.PathLike[str]"]
Model = TypeVar("Model")
TEXT_COLUMNS = 100


@overload
def quantize(
    model: Path | object, output: Path, **options: Unpack[_options.Arguments]
) -> Report: ...
@overload
def quantize(
    model: Model,
    output: None = None,
    *,
    return_report: Literal[True],
    **options: Unpack[_options.Arguments],
) -> tuple[Model, Report]: ...
@overload
def quantize(
    model: Model,
    output: None = None,
    *,
    return_report: Literal[False] = False,
    **options: Unpack[_options.Arguments],
) -> Model: ...
def quantize(
    model: Any,
    output: Path | None = None,
    *,
    return_report: bool = False,
    **options: Unpack[_options.Arguments],
) -> Any:
    """Quantizes the weights of a model to 4 or 8 bits.

    model: the path of a .onnx (its external data beside it) or .onnx.gz file; or bytes,
        an onnx.ModelProto, an onnx_ir.Model, or what torch.onnx.export(..., dynamo=True)
        returns. It is never changed. Give large models by path: they are then read and
        written piece by piece, and never held in memory.
    output: path of the quantized model, replaced in one rename when all is done. Without
        it, the quantized model is returned, as the same kind of object as `model`.
    return_report: return (model, Report) instead of the model alone.
    progress: True for a bar (needs tqdm), or a function of (done, total), in bytes of
        weights; with data, also in runs of the model. It may be called from another thread.

    With data, codes are found that suit real inputs (docs/calibration.md). The model is run
    by ONNX Runtime. A fifth of the runs is held out: the result is measured on them, and
    what data did not make better is quantized without.

    data: some dozen runs or more: a folder of .npz files, an iterable of {input name:
        array}, and what else nibble.data reads. "random[:N]" is for trying things out only:
        made-up inputs ruin some models.
    stats: files of statistics that save_stats has written, in place of data or with it.
    save_stats: a file that statistics are written to, to quantize again without the data.
    until: the goal of a search for the fewest bits: conditions on the outputs, such as
        "snr>=30", "top1(logits)>=0.99" or "cosine>=0.999", joined by commas; or a function
        that takes the path of a quantized model and says whether it will do. The report's
        `reached` says whether it was reached.
    sequential: find codes layer by layer, each on the inputs that the quantized layers
        before it give. It takes a run of all data for each layer, and is kept where it is
        better on the runs that are held out.
    seed: of random data.

    The options have the names and the meaning of the command line's (nibble quantize
    --help):

    type: "int4" (default), "uint4", "int8" or "uint8".
    symmetric, asymmetric: no zero points; fitted zero points.
    per_channel, per_tensor, block_size: what shares a scale. By default weights of MatMul
        and Gemm have blocks of 256 values, others one scale for each output channel.
    method: "search" (default), "rtn" or "exact": how scales are found.
    scale_type: "float32" (default) or "float16".
    float16: store as float16 what stays float, and scales, too, unless scale_type is given.
    compute: "model" (default) or "float16": the type that operators compute in.
    io: "float32" (default) or "float16": inputs and outputs, with compute="float16".
    bits_per_weight: choose type and block size for each weight: the least error within so
        many bits per weight, scales included. With data, the error of the outputs counts.
    min_snr: choose the smallest type and block size that reach so many dB.
    decode: "run" (default), "load", "portable" or "auto": when weights become float.
    format: "qdq" (default), "nbits" or "nbits-int8": MatMulNBits of ONNX Runtime.
    target: the runtime that the model is for: "onnxruntime" (default), "onnxruntime-web",
        "openvino", "generic" (plain DequantizeLinear) or "portable" (any since opset 9).
    embedding_type: "int4" or "int8": of embedding tables, where type has 4 bits.
    copy_below: bytes up to which a shared weight is stored once for each MatMul.
    include, exclude: extended regular expressions over names of weights and of nodes that
        use them; or "op=Gather", "graph=...", "role=head".
    rules: settings for some weights, such as ["op=Gather: type=int8", "/lm_head/: keep"].
        The first one that fits counts (docs/rules.md).
    min_elements: smaller weights stay float (1024, and down to 256 in small models).
    freeze: quantize weights that callers could override, too.
    no_upgrade: refuse a model whose opset would have to be raised.
    no_links: refuse external data behind symbolic links. By default links are followed.
    max_size: the most bytes that a compressed model may have. By default 64 GiB, and 1000
        times the size of the file.
    external_data: put tensors into a data file beside output, whatever the size. Its name
        depends on its contents. A string is a fixed name.
    force: let output be the model itself.
    verify: read the finished output again and check every weight before output is replaced.
    report: a file that the report is written to as an HTML page.
    hints: also measure other block sizes, 8 bits and mixtures: the report's text says what
        they would give. Not with type, block_size and the like, and not with data.
    top: how many weights the report's text lists, the worst first. By default all.
    threads: number of threads. By default one for each CPU.
    cpu: kernels: "scalar", "avx2", "avx512". By default the fastest.
    config: options from a JSON file, as `nibble --print-config` writes it, or from a dict.
    preset: options for a loader: "transformers.js-q4", "genai-int4", the same with "-mixed",
        "transformers.js-q4f16" or "mixed". Other options win over those of config and preset.

    Returns a Report where `output` is given.

    Raises a NibbleError of errors.py: OptionError, ReadError, WriteError,
    MalformedModelError, UnsupportedModelError or OutOfMemoryError. After an exception, a
    KeyboardInterrupt included, there is no output, and an old file of that name is as it
    was. Warns (NibbleWarning) of weights that stay float because of their values, and of
    patterns that match nothing."""
    progress = options.pop("progress", None)
    keywords, asked = _config.expand(options)
    made = _options.make(keywords)
    data, stats = asked.get("data"), asked.get("stats", ())
    save_stats, until = asked.get("save_stats"), asked.get("until")
    sequential, seed = bool(asked.get("sequential")), int(asked.get("seed", 0))
    kind = _models.kind_of(model)
    if output is not None and return_report:
        raise TypeError("return_report goes with a returned model: leave out output")
    if output is None and kind is None:
        raise TypeError(
            "output is missing: name the file that the quantized model goes to, or give "
            "the model as bytes to get bytes back"
        )

    with_data = data is not None or bool(stats)
    if not with_data and (save_stats is not None or until is not None):
        raise OptionError("save_stats and until need data: give some runs of the model")
    if sequential and data is None:
        raise OptionError("sequential needs data: give some runs of the model")

    def call(source: str, target: str, work: Work[Any]) -> Report:
        if not with_data:
            return _quantize(source, target, made, work)
        from ._calibration import Asked, Driver

        asked = Asked(
            data=data,
            stats=(stats,) if isinstance(stats, (str, os.PathLike)) else tuple(stats),
            save_stats=save_stats,
            until=until,
            sequential=sequential,
            seed=seed,
            keywords=keywords,
            progress=work.show,
        )
        return Driver(source, target, asked, work, _quantize).run()

    _check_page(keywords, (model, output))
    result, report = _run(model, kind, output, call, progress)
    given = {
        "data": data,
        "stats": stats,
        "save_stats": save_stats,
        "until": until,
        "sequential": sequential,
        "seed": seed or None,
    }
    if keywords.get("report") is not None:
        report = report._made_by(_options.command(model, output, {**given, **keywords}))
    _write_page(report, keywords, (model, output))
    _warn(report)
    if output is not None:
        return report
    return (result, report) if return_report else result


def inspect(
    model: Path | object, *, progress: Progress = None, **options: Unpack[_options.Options]
) -> Report:
    """Tells which weights of a model `quantize` would quantize with these options, which
    not, and why. Writes nothing. Takes and raises what `quantize` does.

    The report's errors (snr_db) are NaN, but not with bits_per_weight or min_snr."""
    keywords, unused = _config.expand(options)
    made = _options.make(keywords)
    if unused:
        warnings.warn(
            f"inspect makes no codes, so it does not use {', '.join(unused)}",
            NibbleWarning,
            stacklevel=2,
        )
    kind = _models.kind_of(model)

    def call(source: str, _target: str, work: Work[Any]) -> Report:
        return _quantize(source, None, made, work)

    _check_page(keywords, (model,))
    report: Report = _run(model, kind, "", call, progress)[1]
    _write_page(report, keywords, (model,))
    return report


@overload
def upgrade(
    model: Path | object,
    output: Path,
    *,
    opset: int = 21,
    external_data: bool | str = False,
    force: bool = False,
    verify: bool = False,
    no_links: bool = False,
    progress: Progress = None,
) -> None: ...
@overload
def upgrade(
    model: Model,
    output: None = None,
    *,
    opset: int = 21,
    external_data: bool | str = False,
    force: bool = False,
    verify: bool = False,
    no_links: bool = False,
    progress: Progress = None,
) -> Model: ...
def upgrade(
    model: Any,
    output: Path | None = None,
    *,
    opset: int = 21,
    external_data: bool | str = False,
    force: bool = False,
    verify: bool = False,
    no_links: bool = False,
    progress: Progress = None,
) -> Any:
    """Raises a model's opset (of the standard domain), with its meaning kept.

    model, output: as for `quantize`. Without output the model is returned.
    opset: 21 to nibble.opset_max().
    external_data, force, verify, no_links: as for `quantize`.

    Raises UnsupportedModelError, which names every node that can't be raised, and what
    else `quantize` raises."""
    made = _options.make(
        {
            "external_data": external_data,
            "force": force,
            "verify": verify,
            "no_links": no_links,
        }
    )
    number = opset.__index__()
    kind = _models.kind_of(model)
    if output is None and kind is None:
        raise TypeError("output is missing: name the file that the raised model goes to")

    def call(source: str, target: str, work: Work[Any]) -> None:
        work.connect(made)
        error = _library.Error()
        status = _library.library().nibble_upgrade(
            os.fsencode(source), os.fsencode(target), number, made, error
        )
        _library.check(status, error)

    result, _ = _run(model, kind, output, call, progress)
    return result if output is None else None


def compare_weights(model: str, quantized: str, no_links: bool = False) -> dict[str, Any]:
    """What nibble_comparison_json says (docs/compare.md) of the models at two paths."""

    def call(work: Work[str]) -> str:
        library = _library.library()
        options = _options.make({"no_links": no_links})
        work.connect(options)
        error, comparison = _library.Error(), ctypes.c_void_p()
        status = library.nibble_compare(
            os.fsencode(model), os.fsencode(quantized), options, comparison, error
        )
        _library.check(status, error)
        try:
            return _library.take_string(library.nibble_comparison_json(comparison))
        finally:
            library.nibble_comparison_free(comparison)

    found: dict[str, Any] = json.loads(Work(call).run())
    return found


# ---- the calls ------------------------------------------------------------------------


def _quantize(
    source: str, target: str | None, options: _library.Options, work: Work[Any]
) -> Report:
    library = _library.library()
    work.connect(options)
    error, report = _library.Error(), ctypes.c_void_p()
    status = library.nibble_quantize(
        os.fsencode(source),
        None if target is None else os.fsencode(target),
        options,
        report,
        error,
    )
    _library.check(status, error)
    try:
        return Report._from_library(
            _models.without_folder(_library.take_string(library.nibble_report_json(report))),
            _models.without_folder(
                _library.take_string(library.nibble_report_text(report, TEXT_COLUMNS, False))
            ),
        )
    finally:
        library.nibble_report_free(report)


Call = Callable[[str, str, "Work[Any]"], Any]


def _run(
    model: Any,
    kind: _models.Kind | None,
    output: Path | None,
    call: Call,
    progress: Progress,
) -> tuple[Any, Any]:
    """call(source, target, work) on paths, in a thread of its own. Returns the model that
    was written, if no output is named, and what the call returned."""
    target = None if output is None else _models.path_of(output, "output") if output else ""

    def on_paths(work: Work[Any]) -> tuple[Any, Any]:
        if kind is None:
            return None, call(_models.path_of(model, "model"), target or "", work)
        with _models.at_path(model, kind) as source:
            if target is not None:
                return None, call(source, target, work)
            written = os.path.join(os.path.dirname(source), "output.onnx")
            result = call(source, written, work)
            return kind.load(model, written), result

    work: Work[tuple[Any, Any]] = Work(on_paths, progress)
    return work.run()


def _paths(models: Sequence[Any]) -> list[str]:
    return [os.fspath(model) for model in models if isinstance(model, (str, os.PathLike))]


def _check_page(options: Mapping[str, Any], models: Sequence[Any]) -> None:
    if options.get("report") is not None:
        check_report(os.fspath(options["report"]), _paths(models), "report")


def _write_page(report: Report, options: Mapping[str, Any], models: Sequence[Any]) -> None:
    if options.get("report") is not None:
        page = report.to_html() + "\n"
        write_report(os.fspath(options["report"]), page, _paths(models), "report")


def _warn(report: Report) -> None:
    for weight in report.weights:
        if weight.warning:
            warnings.warn(
                f"{weight.name} stays float: {weight.reason}", NibbleWarning, stacklevel=3
            )
    ruined = report.notes if not math.isnan(report.estimated_snr_db) else ()
    for note in filter(None, [*ruined, report._snr_warning()]):
        warnings.warn(note, NibbleWarning, stacklevel=3)
    for pattern in report.unmatched():
        warnings.warn(pattern.message(), NibbleWarning, stacklevel=3)
    if report.reached is False:
        warnings.warn("until was not reached", NibbleWarning, stacklevel=3)
    if report.quantized == 0:
        warnings.warn(
            "nothing to quantize: the model is as it was", NibbleWarning, stacklevel=3
        )
