"""SavedModels that do more than compute: named and refused before TensorFlow's loader has seen them."""

from __future__ import annotations

import os

import numpy as np
import pytest

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.conversion.converter import saved_model_to_tflite
from pytest_quantcheck.models.files import saved_model

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow", reason="extra tensorflow")


@pytest.fixture
def watched(tmp_path):
    """A folder whose files must stay as they are."""
    folder = tmp_path / "watched"
    folder.mkdir()
    (folder / "keep").write_text("keep")
    yield folder
    assert [(p.name, p.read_text()) for p in folder.iterdir()] == [("keep", "keep")]


def module(tf, body):
    class Module(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = tf.Variable([1.0, 2.0])

        @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32)])
        def __call__(self, x):
            body(self)
            return x * self.weight

    return Module()


def read_file(tf, folder):
    return lambda _: tf.io.read_file(str(folder / "keep"))


def write_file(tf, folder):
    return lambda _: tf.io.write_file(str(folder / "new"), "x")


def print_to_a_file(tf, folder):
    return lambda _: tf.print("x", output_stream=f"file://{folder / 'new'}")


def call_python(tf, folder):
    def run():
        (folder / "new").write_text("x")
        return np.float32(0)

    return lambda _: tf.py_function(run, [], tf.float32)


def save_a_checkpoint(tf, folder):
    return lambda self: tf.raw_ops.SaveV2(
        prefix=str(folder / "new"), tensor_names=["a"], shape_and_slices=[""], tensors=[tf.constant(1.0)]
    )


def remove_a_checkpoint(tf, folder):
    return lambda self: tf.raw_ops.MergeV2Checkpoints(
        checkpoint_prefixes=[str(folder / "keep")],
        destination_prefix=str(folder / "new"),
        delete_old_dirs=True,
    )


def restore_a_checkpoint(tf, folder):
    return lambda self: tf.raw_ops.RestoreV2(
        prefix=str(folder / "keep"), tensor_names=["a"], shape_and_slices=[""], dtypes=[tf.float32]
    )


def list_files(tf, folder):
    return lambda _: tf.io.matching_files(str(folder / "*"))


def map_a_file(tf, folder):
    return lambda _: tf.raw_ops.ImmutableConst(
        dtype=tf.float32, shape=[1], memory_region_name=str(folder / "keep")
    )


def keep_a_queue(tf, folder):
    return lambda _: tf.raw_ops.FIFOQueueV2(component_types=[tf.float32])


def within_a_branch(tf, folder):
    inner = write_file(tf, folder)

    def body(self):
        def yes():
            inner(self)
            return 1.0

        tf.cond(self.weight[0] > 0, yes, lambda: 0.0)

    return body


@pytest.mark.parametrize(
    ("attack", "operator"),
    [
        (read_file, "ReadFile"),
        (write_file, "WriteFile"),
        (print_to_a_file, "PrintV2"),
        (call_python, "EagerPyFunc"),
        (save_a_checkpoint, "SaveV2"),
        (remove_a_checkpoint, "MergeV2Checkpoints"),
        (restore_a_checkpoint, "RestoreV2"),
        (list_files, "MatchingFiles"),
        (map_a_file, "ImmutableConst"),
        (keep_a_queue, "FIFOQueueV2"),
        (within_a_branch, "WriteFile"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_an_operator_that_does_more_than_compute_is_named(tf, tmp_path, watched, attack, operator):
    tf.saved_model.save(module(tf, attack(tf, watched)), str(tmp_path / "saved"))
    with pytest.raises(ModelError, match=rf"\b{operator}\b"):
        saved_model_to_tflite(str(tmp_path / "saved"))


def test_a_resource_that_sets_itself_up_is_refused(tf, tmp_path, watched):
    """TensorFlow runs ``_initialize`` as soon as the model is loaded."""
    from tensorflow.python.trackable.resource import TrackableResource

    class Evil(TrackableResource):
        def _create_resource(self):
            return tf.raw_ops.VarHandleOp(dtype=tf.float32, shape=[])

        @tf.function(input_signature=[])
        def _initialize(self):
            tf.io.write_file(str(watched / "new"), "x")

        def _destroy_resource(self):
            pass

    model = module(tf, lambda _: None)
    model.evil = Evil()
    tf.saved_model.save(model, str(tmp_path / "saved"))
    (watched / "new").unlink(missing_ok=True)
    with pytest.raises(ModelError, match="initialis"):
        saved_model_to_tflite(str(tmp_path / "saved"))


def test_a_look_up_table_is_refused(tf, tmp_path):
    model = module(tf, lambda _: None)
    keys = tf.lookup.KeyValueTensorInitializer(["a"], [1.0])
    model.table = tf.lookup.StaticHashTable(keys, 0.0)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    with pytest.raises(ModelError, match="look-up table"):
        saved_model_to_tflite(str(tmp_path / "saved"))


def changed(tf, folder, change):
    """The SavedModel of a module with one variable, its protobuf changed."""
    from tensorflow.core.protobuf import saved_model_pb2

    tf.saved_model.save(module(tf, lambda _: None), str(folder))
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    change(proto.meta_graphs[0])
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    return str(folder)


def function_of(graph, operator):
    return next(
        f.signature.name
        for f in graph.graph_def.library.function
        if any(node.op == operator for node in f.node_def)
    )


def test_saving_is_not_allowed_where_restoring_runs_it(tf, tmp_path):
    """Every SavedModel holds a function that writes a checkpoint; here loading the model would call it."""

    def change(graph):
        save, restore = function_of(graph, "SaveV2"), function_of(graph, "RestoreV2")
        for node in graph.graph_def.node:
            if node.attr["f"].func.name == restore:
                node.attr["f"].func.name = save

    with pytest.raises(ModelError, match="SaveV2"):
        saved_model_to_tflite(changed(tf, tmp_path / "saved", change))


def test_saving_is_not_allowed_in_the_initialiser(tf, tmp_path):
    def change(graph):
        start = next(node for node in graph.graph_def.node if node.op == "NoOp")
        saving = graph.saver_def.save_tensor_name.partition(":")[0]
        start.input.append(f"^{saving}")

    with pytest.raises(ModelError, match="SaveV2"):
        saved_model_to_tflite(changed(tf, tmp_path / "saved", change))


def test_a_function_that_nothing_calls_is_looked_at_too(tf, tmp_path):
    def change(graph):
        function = graph.graph_def.library.function.add()
        function.signature.name = "asleep"
        function.node_def.add(name="a", op="WriteFile")

    with pytest.raises(ModelError, match="WriteFile"):
        saved_model_to_tflite(changed(tf, tmp_path / "saved", change))


def test_an_operator_that_nobody_knows_is_refused(tf, tmp_path):
    def change(graph):
        graph.graph_def.node.add(name="a", op="NextYearsOperator")

    with pytest.raises(ModelError, match="NextYearsOperator"):
        saved_model_to_tflite(changed(tf, tmp_path / "saved", change))


def test_what_needs_no_reading_is_not_copied(tf, tmp_path):
    tf.saved_model.save(module(tf, lambda _: None), str(tmp_path / "saved"))
    (tmp_path / "saved" / "assets" / "file").write_text("x")
    (tmp_path / "saved" / "saved_model.cpb").write_bytes(b"another form of the graph")
    copy = saved_model.copy_needed(tmp_path / "saved", tmp_path / "copy")
    names = {p.relative_to(copy).as_posix() for p in copy.rglob("*") if p.is_file()}
    assert names == {
        "saved_model.pb",
        "variables/variables.data-00000-of-00001",
        "variables/variables.index",
    }


@pytest.mark.parametrize("where", ["saved_model.pb", "variables/variables.index", "elsewhere"])
def test_a_pipe_in_the_folder_is_an_error_at_once(tf, tmp_path, where):
    folder = tmp_path / "saved"
    tf.saved_model.save(module(tf, lambda _: None), str(folder))
    (folder / where).unlink(missing_ok=True)
    os.mkfifo(folder / where)
    with pytest.raises(ModelError, match="is a pipe"):
        saved_model.files_of(folder)


def test_a_folder_with_more_than_a_model_is_an_error(tmp_path):
    with (tmp_path / "saved_model.pb").open("wb") as file:
        file.truncate(saved_model.MAX_BYTES + 1)
    with pytest.raises(ModelError, match="MiB"):
        saved_model.files_of(tmp_path)


def test_a_plain_module_and_its_variables_still_convert(tf, tmp_path):
    folder = changed(tf, tmp_path / "saved", lambda graph: None)
    assert saved_model_to_tflite(folder)[4:8] == b"TFL3"
