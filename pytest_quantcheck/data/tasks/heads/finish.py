"""``Finish``: what the host does with raw outputs before a task reads them, because the file asks for it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pytest_quantcheck.data.tasks.heads.post_process import PostProcess
from pytest_quantcheck.formats import onnx_cut
from pytest_quantcheck.formats.detect import is_onnx, is_tflite
from pytest_quantcheck.formats.tflite_cut import cut_constant_outputs
from pytest_quantcheck.numerics.arrays import Array


@dataclass(frozen=True, eq=False)
class Finish:
    """``constants``: outputs that need no network, such as the anchors of a detector, by their place among
    all outputs; ``post``: the operator ``TFLite_Detection_PostProcess`` at the end.
    """

    constants: dict[int, Array]
    post: PostProcess | None = None

    def __call__(self, outputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """All outputs of the whole file, (N, ...) each, from those of the network."""
        found = list(outputs)
        for place, constant in sorted(self.constants.items()):
            found.insert(place, np.broadcast_to(constant, (len(outputs[0]), *constant.shape)))
        return self.post(tuple(found)) if self.post is not None else tuple(found)

    @classmethod
    def cut_off(cls, content: bytes) -> tuple[bytes, Finish | None]:
        """A ``.tflite`` or ``.onnx`` file without what the host does, and that; anything else as it is, and
        None. Raises ``ModelError`` for damaged files.
        """
        if is_tflite(content):
            return cls._of_tflite(content)
        if is_onnx(content):
            content, values = onnx_cut.cut_constant_outputs(content)
            kept = {place: _of_one_sample(each.astype(np.float32)) for place, each in values.items()}
            return content, cls(kept) if kept else None
        return content, None

    @classmethod
    def _of_tflite(cls, content: bytes) -> tuple[bytes, Finish | None]:
        content, post = PostProcess.cut_off(content)
        content, constants = cut_constant_outputs(content)
        if post is None and not constants:
            return content, None
        values = {}
        for place, tensor in constants.items():
            real = tensor.values.astype(np.float32)
            if len(tensor.scales):
                real = tensor.scales[0] * (real - np.float32(tensor.zero_points[0]))
            values[place] = _of_one_sample(real.reshape(tensor.shape))
        return content, cls(values, post)


def _of_one_sample(constant: Array) -> Array:
    """Without the axis of samples, where there is one."""
    return constant[0] if constant.ndim > 1 and len(constant) == 1 else constant
