"""SavedModels of which some write files when loaded or run; TensorFlow makes them in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def make(folder: Path, canary: Path) -> list[Path]:
    """Write a SavedModel per kind into ``folder``; the hostile ones would make the file ``canary``."""
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    subprocess.run(
        [sys.executable, __file__, str(folder), str(canary)],
        check=True,
        env=environment,
        capture_output=True,
        timeout=600,
    )
    canary.unlink(missing_ok=True)  # tracing ran it once
    return sorted(folder.iterdir())


def _write(folder: Path, canary: str) -> None:
    import tensorflow as tf
    from tensorflow.python.trackable.resource import TrackableResource

    bodies = {
        "plain": lambda self: None,
        "write": lambda self: tf.io.write_file(canary, "x"),
        "read": lambda self: tf.io.read_file("/etc/hostname"),
        "print": lambda self: tf.print("x", output_stream=f"file://{canary}"),
        "python": lambda self: tf.py_function(lambda: Path(canary).touch() or 0.0, [], tf.float32),
        "save": lambda self: tf.raw_ops.SaveV2(
            prefix=canary, tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
        ),
        "branch": lambda self: tf.cond(
            self.weight[0] > 0, lambda: (tf.io.write_file(canary, "x"), 1.0)[1], lambda: 0.0
        ),
        "map": lambda self: tf.data.Dataset.range(2).cardinality(),
    }

    class Module(tf.Module):
        def __init__(self, body):
            super().__init__()
            self.weight, self.body = tf.Variable([1.0, 2.0]), body

        @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32)])
        def __call__(self, x):
            self.body(self)
            return x * self.weight

    class Table(TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

        @tf.function(input_signature=[])
        def _initialize(self):
            tf.io.write_file(canary, "x")

        def _destroy_resource(self):
            pass

    for name, body in bodies.items():
        tf.saved_model.save(Module(body), str(folder / name))
    module = Module(bodies["plain"])
    module.table = Table()
    tf.saved_model.save(module, str(folder / "initialiser"))


if __name__ == "__main__":
    _write(Path(sys.argv[1]), sys.argv[2])
