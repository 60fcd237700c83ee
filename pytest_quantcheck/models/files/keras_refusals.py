"""Which objects of a Keras file are refused, and what to do instead."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.files.keras_objects import CLASSES, FUNCTIONS, LAYERS, SYMBOLS

CODE_LAYERS = ("Lambda", "__lambda__")  # their configuration is marshalled Python bytecode
FRAMEWORK = re.compile(r"(keras|tf_keras|tensorflow\.keras|tensorflow\.python\.keras)(\.\w+)*", re.ASCII)
SYMBOL_LAYERS = ("TFOpLambda", "SlicingOpLambda")
"""Keras 2's way to store ``a + b``: a layer that calls a function of TensorFlow by its name."""
SYMBOL_MODULES = ("keras.src.layers.core.tf_op_layer", "tf_keras.src.layers.core.tf_op_layer", "keras.layers")
WAY_OUT = 'build the model in your own Python and give it as "package.module:function"'
_QKERAS = (
    "of QKeras, whose quantizers are Python of its own. Build the same network from Keras's own layers "
    "(Dense for QDense, ReLU for QActivation), take the weights over that "
    "qkeras.utils.model_save_quantized_weights returns, and quantize that"
)
_TFMOT = (
    "of TensorFlow's Model Optimization Toolkit. Take pruning off with tfmot.sparsity.keras.strip_pruning; "
    "a model after quantization-aware training is converted with tf.lite.TFLiteConverter and "
    "optimizations=[tf.lite.Optimize.DEFAULT], and the .tflite file given as it is"
)
TRAINING_PACKAGES = {"qkeras": _QKERAS, "TensorflowModelOptimization": _TFMOT}
_TFMOT_LAYERS = ("QuantizeLayer", "QuantizeWrapper", "QuantizeWrapperV2", "QuantizeAnnotate",
                 "PruneLowMagnitude", "ClusterWeights")  # fmt: skip


def _known_package(kind: str) -> str:
    """What to do about a layer that a package for training in few bits defines; empty for any other."""
    if kind in _TFMOT_LAYERS:
        return _TFMOT
    of_qkeras = kind[:1] == "Q" and (kind[1:] in LAYERS or kind[1:].removesuffix("Batchnorm") in LAYERS)
    return _QKERAS if of_qkeras else ""


def _refuse_symbol(kind: str, config: Any, path: Path) -> None:
    name = config.get("function") if isinstance(config, dict) else None
    if not isinstance(name, str) or name.removeprefix("tf.") not in SYMBOLS:
        raise ModelError(
            f"{path} holds {kind} with TensorFlow's function {str(name)[:80]!r}, which is not among those "
            f"that are called: it may run code or read files. Leave it out, or {WAY_OUT}"
        )


def refuse_object(item: dict[str, Any], path: Path) -> None:
    """Raises ``ModelError`` where the JSON object ``item``, which has a ``class_name``, may do more than
    compute.
    """
    kind, module, registered = item["class_name"], item.get("module"), item.get("registered_name")
    if kind in CODE_LAYERS:
        raise ModelError(
            f"{path} holds a {kind} layer, that is Python code, which is not run. "
            f"Replace it by a built-in layer, or, if you trust it, {WAY_OUT}"
        )
    if not all(isinstance(each, str) for each in (kind, module or "", registered or "")):
        raise ModelError(f"{path} is not a sound Keras model: the class {str(kind)[:80]!r} has no plain name")
    if kind == "function":
        name, known = (
            item.get("config"),
            module == "builtins" or FRAMEWORK.fullmatch(module or "") is not None,
        )
        if known and isinstance(name, str) and name in FUNCTIONS:
            return
        if known:
            raise ModelError(
                f"{path} names the function {str(name)[:80]!r}, which is no activation; {WAY_OUT}"
            )
    if kind in SYMBOL_LAYERS and module in (None, *SYMBOL_MODULES) and registered in (None, kind):
        _refuse_symbol(kind, item.get("config"), path)
        return
    if remedy := TRAINING_PACKAGES.get(str(registered or kind).partition(">")[0]) or _known_package(kind):
        raise ModelError(f"{path} holds the layer {str(kind)[:80]} {remedy}")
    ours = FRAMEWORK.fullmatch(module) if module else registered is None and kind in CLASSES
    if not ours or (module and registered not in (None, kind, f"keras>{kind}")):
        custom = f"{module}.{kind}" if module else str(registered or kind).replace(">", ".")
        raise ModelError(f"{path} needs the custom object {custom}, which is not part of Keras; {WAY_OUT}")
    if kind not in CLASSES:
        raise ModelError(
            f"{path} holds {kind}, which is not among the layers and operations of Keras that are loaded: "
            f"it may run code, load other models or read files. Leave it out, or {WAY_OUT}"
        )
