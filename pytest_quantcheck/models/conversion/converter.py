"""The only module that imports TensorFlow: Keras and SavedModel to float TFLite, float TFLite to integers.

Files are converted in a process of their own (``worker.py``), which calls the functions here; a Keras model
that lives in the caller's process is converted there, where TensorFlow is loaded anyway.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pytest_quantcheck.errors import MissingExtraError, ModelError, QuantizationError
from pytest_quantcheck.files import read_whole
from pytest_quantcheck.formats.tflite import read_tflite_summary
from pytest_quantcheck.models.conversion.fusing import fusable, fused
from pytest_quantcheck.models.conversion.unrolling import unrolled
from pytest_quantcheck.models.equalization import equalize
from pytest_quantcheck.models.files import saved_model
from pytest_quantcheck.models.files.keras_file import safe_copy
from pytest_quantcheck.models.files.kind import SAVED_MODEL
from pytest_quantcheck.models.rewriting import products, rewrite, splits
from pytest_quantcheck.numerics.arrays import Float32


@cache
def tensorflow_version() -> str:
    """The installed version, without importing it. Raises ``MissingExtraError``."""
    for package in ("tensorflow", "tensorflow-cpu", "tensorflow-intel"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(package)
    raise MissingExtraError("tensorflow", "tensorflow", "Converting and quantizing models")


@cache
def keras_version() -> str:
    """The installed version, without importing it; it decides how layers become operators."""
    try:
        return importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError:
        return "none"


@cache
def legacy_keras_version() -> str:
    """Of the package that loads files of Keras 2, as ``keras_version``."""
    try:
        return importlib.metadata.version("tf_keras")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def tensorflow() -> Any:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    try:
        import tensorflow as tf
    except ImportError as error:
        raise MissingExtraError("tensorflow", "tensorflow", "Converting and quantizing models") from error
    return tf


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """TensorFlow prints thirty lines per conversion to both streams; none of them helps."""
    import logging

    logger = logging.getLogger("tensorflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            Path(os.devnull).open("w") as void,
            contextlib.redirect_stdout(void),
            contextlib.redirect_stderr(void),
        ):
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _no_generated_files() -> Iterator[None]:
    """AutoGraph writes a Python file per function and removes it at exit, which a killed one never sees."""
    known = set(sys.modules)
    try:
        yield
    finally:
        for name in set(sys.modules) - known:
            if name.startswith("__autograph_generated_file") and (file := sys.modules[name].__file__):
                Path(file).unlink(missing_ok=True)


def keras_model_to_tflite(model: Any) -> bytes:
    """A Keras model as float TFLite with batch 1. Raises ``ModelError``."""
    tf = tensorflow()
    if not getattr(model, "inputs", None):
        raise ModelError(
            f"the Keras model '{model.name}' has no inputs of its own, because it is not built yet or is a "
            "subclass. Give it some: x = keras.Input(shape); keras.Model(x, model(x))"
        )
    _refuse_precision(model)
    with _silence(), _no_generated_files(), unrolled(model):
        # The model stays out of the converter's hands: passed as a trackable, its weights become variables.
        _, concrete = _traced(model)
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        return splits.used_parts(_convert(converter))


def fused_keras_model(model: Any) -> bytes:
    """A Keras model that ``keras_model_to_tflite`` takes, with its LSTM layers as one operator each
    (``fusing``). Empty where there are none, or the converter does not make them.
    """
    tf = tensorflow()
    layers = fusable(model)
    if not layers:
        return b""
    with (
        tempfile.TemporaryDirectory(prefix="quantcheck-") as folder,
        _silence(),
        _no_generated_files(),
        unrolled(model),
        fused(layers, tf),
    ):
        module = tf.Module()
        module.kept = [v if isinstance(v, tf.Variable) else v.value for v in model.variables]
        try:  # a function is recognised in a SavedModel only, where nothing was inlined
            module.function, concrete = _traced(model)
            tf.saved_model.save(module, folder, signatures=concrete)
            content = _convert(tf.lite.TFLiteConverter.from_saved_model(folder))
        except (ModelError, ValueError):
            return b""
    kinds = [op.kind for op in read_tflite_summary(content).operators]
    whole = kinds.count("UNIDIRECTIONAL_SEQUENCE_LSTM") == len(layers) and "VAR_HANDLE" not in kinds
    return splits.used_parts(content) if whole else b""


def _traced(model: Any) -> tuple[Any, Any]:
    """A function that computes the model, and its concrete form for one sample. Raises ``ModelError``."""
    tf = tensorflow()
    specs = []
    for tensor in model.inputs:
        shape = tuple(tensor.shape[1:])
        if any(n is None for n in shape):
            raise ModelError(
                f"input '{tensor.name}' of Keras model '{model.name}' has the shape {tuple(tensor.shape)}; "
                "a microcontroller needs fixed sizes. Build the model with a fixed Input shape"
            )
        specs.append(tf.TensorSpec((1, *shape), tensor.dtype, name=tensor.name))
    function = tf.function(lambda *x: model(list(x) if len(x) > 1 else x[0], training=False))
    try:
        return function, function.get_concrete_function(*specs)
    except Exception as error:  # layers raise whatever they raise
        raise ModelError(
            f"TensorFlow cannot run the Keras model '{model.name}': {_first_lines(error)}. Repair or "
            "rename the layer that it names"
        ) from error


def _refuse_precision(model: Any) -> None:
    """TFLite has no convolutions in other floats, and TensorFlow says so without naming a layer."""
    for layer in model.layers:
        if getattr(layer, "layers", None):
            _refuse_precision(layer)
        kind = getattr(layer, "compute_dtype", None)
        if kind in ("float16", "bfloat16", "float64"):
            raise ModelError(
                f"layer '{layer.name}' of Keras model '{model.name}' computes in {kind}; quantizing starts "
                "from float32. Build the model again after keras.config.set_dtype_policy('float32'), take "
                "its weights over by set_weights(model.get_weights()), and save that"
            )


def keras_file_to_tflite(path: str) -> bytes:
    """A ``.keras`` or ``.h5`` file as float TFLite with batch 1. Raises ``ModelError``."""
    return keras_model_to_tflite(load_keras(path))


def fused_keras_file(path: str) -> bytes:
    """``fused_keras_model`` of a ``.keras`` or ``.h5`` file."""
    return fused_keras_model(load_keras(path))


def load_keras(path: str) -> Any:
    """The Keras model of a file. Raises ``ModelError``."""
    with tempfile.TemporaryDirectory(prefix="quantcheck-") as folder:
        copy = safe_copy(Path(path), Path(folder))
        tensorflow()
        import keras

        keras.backend.clear_session()  # names count from one, whatever was loaded before
        try:
            with _silence():
                return keras.models.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises whatever its layers raise
            refusal = f"Keras {keras.__version__} cannot load {path}: {_first_lines(error)}"
        return _load_legacy(safe_copy(Path(path), Path(folder), mend=False), refusal)


def _load_legacy(copy: Path, refusal: str) -> Any:
    """With the last Keras 2, what Keras 3 refused as ``refusal`` says."""
    try:
        import tf_keras
    except ImportError as error:
        raise ModelError(
            f"{refusal}. If it is a file of Keras 2: pip install 'pytest-quantcheck[keras2]'"
        ) from error
    tf_keras.backend.clear_session()
    try:
        with _silence():
            return tf_keras.models.load_model(copy, compile=False, safe_mode=True)
    except Exception as error:
        raise ModelError(
            f"{refusal}. Nor can Keras 2 (tf_keras {tf_keras.__version__}): {_first_lines(error)}"
        ) from error


def saved_model_to_tflite(path: str) -> bytes:
    """A SavedModel folder as float TFLite. Raises ``ModelError``."""
    tf = tensorflow()
    from tensorflow.core.protobuf import saved_model_pb2

    with tempfile.TemporaryDirectory(prefix="quantcheck-") as folder:
        copy = saved_model.copy_needed(Path(path), Path(folder) / "saved_model")
        proto = saved_model_pb2.SavedModel()
        try:
            proto.ParseFromString(read_whole(copy / SAVED_MODEL))
        except ModelError:
            raise
        except Exception as error:  # protobuf's DecodeError has no public home
            raise ModelError(f"{path} is not a sound SavedModel ({error})") from error
        saved_model.check(proto, path)
        for graph in proto.meta_graphs:
            for node in graph.object_graph_def.nodes:
                del node.slot_variables[
                    :
                ]  # optimizer state of Keras 2, which TensorFlow cannot restore alone
        (copy / SAVED_MODEL).write_bytes(proto.SerializeToString())
        signature = _signature(path, proto)
        with _silence():
            content = _convert(tf.lite.TFLiteConverter.from_saved_model(str(copy), [signature]))
            if "VAR_HANDLE" not in read_tflite_summary(content).kinds:
                return content
            # What tf.saved_model.save makes of a Keras 3 model: its weights come out as empty variables.
            loaded = tf.saved_model.load(str(copy))  # holds the variables while they are read
            return _convert(tf.lite.TFLiteConverter.from_concrete_functions([loaded.signatures[signature]]))


def _signature(path: str, proto: Any) -> str:
    """The one to convert. Raises ``ModelError`` when there is none, or nothing says which."""
    names = sorted({name for g in proto.meta_graphs for name in g.signature_def if name[:2] != "__"})
    if "serving_default" in names or len(names) == 1:
        return "serving_default" if "serving_default" in names else names[0]
    has = f"the signatures {', '.join(names)}" if names else "no signature"
    raise ModelError(
        f"{path} has {has}; allowed: a single one, or one called serving_default. Save it with "
        "tf.saved_model.save(module, path, signatures=module.function)"
    )


def _convert(converter: Any) -> bytes:
    try:
        return bytes(converter.convert())
    except Exception as error:  # the converter raises its own private type
        if missing := sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error)))):
            raise ModelError(
                f"TFLite has no operator for TensorFlow's {', '.join(missing)}; replace the layer that uses "
                "it, or leave it out of the network"
            ) from error
        raise ModelError(f"TensorFlow's converter refuses the model: {_first_lines(error)}") from error


def calibrate_tflite(content: bytes, samples: Sequence[Float32]) -> bytes:
    """A float flatbuffer with the least and largest value of every tensor, seen over ``samples``.

    ``samples`` holds one (N, ...) array per input. It is the calibrator that ``TFLiteConverter`` runs after
    it has made its own float flatbuffer. What the quantizer has no integer version of is rewritten before
    (``products.as_products``). Raises ``QuantizationError``.
    """
    tensorflow()
    from tensorflow.lite.python.optimize import calibrator

    stateful = read_tflite_summary(content).has_state

    def batches() -> Iterator[list[Float32]]:
        for i in range(len(samples[0])):
            one = [array[i : i + 1] for array in samples]
            if stateful and i:  # or an LSTM would go on where the sample before left it
                running._calibrator.Prepare([list(array.shape) for array in one])
            yield one

    with _refusals("calibrator"):
        content = products.as_products(content)
        running = calibrator.Calibrator(calibrator.add_intermediate_tensors(content))
        return bytes(running.calibrate(batches))


def quantize_calibrated(
    content: bytes, *, scheme: str, input_type: str, output_type: str, per_tensor: bool
) -> bytes:
    """What ``calibrate_tflite`` made, in integers, by the quantizer that ``TFLiteConverter`` runs.

    ``int8`` goes through TensorFlow's MLIR quantizer, ``int16x8`` through its older one, which has no
    per-tensor DEPTHWISE_CONV_2D: there its weights are rewritten. Raises ``QuantizationError``.
    """
    tf = tensorflow()
    kinds = getattr(tf, input_type), getattr(tf, output_type)
    with _refusals("quantizer"):
        if scheme == "int8":
            return _mlir_quantize(content, *kinds, per_tensor)
        rewritten = per_tensor and "DEPTHWISE_CONV_2D" in read_tflite_summary(content).kinds
        made = _quantize_int16(content, *kinds, per_tensor and not rewritten)
        return rewrite.one_scale(made, content) if rewritten else made


def _mlir_quantize(content: bytes, input_type: Any, output_type: Any, per_tensor: bool) -> bytes:
    from tensorflow.lite.python.convert import mlir_quantize

    made = mlir_quantize(
        content,
        disable_per_channel=per_tensor,
        input_data_type=input_type,
        output_data_type=output_type,
        disable_per_channel_for_dense_layers=per_tensor,
    )
    return bytes(made)


def _quantize_int16(content: bytes, input_type: Any, output_type: Any, per_tensor: bool) -> bytes:
    """The statistics are in the file already, so nothing is fed to the quantizer that holds it."""
    from tensorflow.lite.python.optimize import calibrator

    def number(dtype: Any) -> int:
        return int(np.dtype(dtype).num)

    allow_float, dense_per_tensor = False, False
    made = calibrator.Calibrator(content)._calibrator.QuantizeModel(
        number(input_type.as_numpy_dtype),
        number(output_type.as_numpy_dtype),
        allow_float,
        number(np.int16),
        number(np.int64),
        per_tensor,
        dense_per_tensor,
    )
    return bytes(made)


def weights_only(content: bytes, *, scheme: str) -> bytes:
    """A float flatbuffer with smaller weights: ``dynamic`` (int8) or ``float16``.

    Raises ``QuantizationError``.
    """
    tensorflow()
    with _refusals("rewriting"):
        return rewrite.float16(content) if scheme == "float16" else rewrite.dynamic_range(content)


def float32_weights(content: bytes) -> bytes:
    """A float flatbuffer whose float16 constants are float32 (``rewrite.float32``).

    Raises ``QuantizationError``.
    """
    tensorflow()
    with _refusals("rewriting"):
        return rewrite.float32(content)


def optimize_tflite(content: bytes, samples: Sequence[Float32]) -> bytes:
    """``equalize.optimize`` on ``samples``: a line of JSON, the report, and behind it the float flatbuffer.

    The report's ``float_difference`` is the largest change of an output, as a fraction of the largest output.
    """
    with _refusals("interpreter"):
        made, report = equalize.optimize(content, lambda model, tensors: _outputs(model, samples, tensors))
        differences = []
        for before, after in zip(run_float(content, samples), run_float(made, samples), strict=True):
            differences.append(float(np.abs(after - before).max() / (np.abs(before).max() or 1)))
        report["float_difference"] = float(np.max(differences))
    return json.dumps(report).encode() + b"\n" + made


def tflite_outputs(content: bytes, samples: Sequence[Float32]) -> bytes:
    """What a model with float edges, quantized inside or not, answers to ``samples``, as ``.npz``."""
    stored = io.BytesIO()
    with _refusals("interpreter"):
        np.savez(stored, *run_float(content, samples))
    return stored.getvalue()


def run_float(content: bytes, samples: Sequence[Float32]) -> list[Float32]:
    """One (N, ...) array per output of a model with float edges."""
    summary = read_tflite_summary(content)
    return [np.stack(values) for values in zip(*_outputs(content, samples, summary.outputs), strict=True)]


def _outputs(content: bytes, samples: Sequence[Float32], tensors: Sequence[int]) -> Iterator[list[Float32]]:
    """The values of ``tensors``, copied, sample by sample."""
    interpreter = tensorflow().lite.Interpreter(
        model_content=content, experimental_preserve_all_tensors=True, num_threads=1
    )
    interpreter.allocate_tensors()
    inputs = read_tflite_summary(content).inputs
    for i in range(len(samples[0])):
        interpreter.reset_all_variables()
        for tensor, array in zip(inputs, samples, strict=True):
            interpreter.set_tensor(tensor, array[i : i + 1])
        interpreter.invoke()
        yield [interpreter.get_tensor(tensor) for tensor in tensors]


@contextlib.contextmanager
def _refusals(part: str) -> Iterator[None]:
    """Silence, and ``QuantizationError`` for whatever private type is raised."""
    try:
        with _silence():
            yield
    except QuantizationError:
        raise
    except Exception as error:
        raise QuantizationError(f"TensorFlow's {part} refuses the model: {_first_lines(error)}") from error


def _first_lines(error: Exception, limit: int = 600) -> str:
    """Without the traceback that AutoGraph puts in front, and without the colours of Keras."""
    plain = re.sub(r"\x1b\[\d*m", "", str(error))
    parts = [part for part in plain.split("\n\n") if not part.lstrip().startswith(("in user code:", "File "))]
    lines = [line.strip() for part in parts for line in part.splitlines() if line.strip()]
    text = " ".join(lines[:4]) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."
