"""Keras models of the caller's own process, and SavedModels."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.models.load import load
from pytest_quantcheck.models.schema import semantic_sha256

pytestmark = [
    pytest.mark.host,
    pytest.mark.usefixtures("keras_is_here"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # Keras with NumPy 2
]


def run_float(content, *inputs):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    for details, array in zip(interpreter.get_input_details(), inputs, strict=True):
        interpreter.set_tensor(details["index"], array)
    interpreter.invoke()
    return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]


def small(slope=0.3, seed=0, shape=(6, 6, 2)):
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    image = layers.Input(shape)
    x = layers.LeakyReLU(slope)(layers.Conv2D(4, 3)(image))
    return keras.Model(image, layers.Dense(3)(layers.Flatten()(x)))


def test_a_keras_model_computes_the_same_as_its_float_tflite():
    model = small()
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype("f4")
    converted = load(model)
    assert converted.input_shapes == ((6, 6, 2),)
    np.testing.assert_allclose(run_float(converted.tflite, x)[0], model(x), rtol=1e-5, atol=1e-6)


def test_no_shape_arithmetic_is_left_in_the_graph():
    """With an open batch size, Keras leaves SHAPE, STRIDED_SLICE and PACK in front of every Flatten."""
    assert not {"SHAPE", "STRIDED_SLICE", "PACK"} & set(load(small()).summary.kinds)


def test_two_inputs_and_two_outputs_keep_their_order_and_names():
    import keras
    from keras import layers

    first, second = layers.Input((3,), name="wide"), layers.Input((2,), name="narrow")
    joined = layers.Concatenate()([first, second])
    model = keras.Model([first, second], [layers.Dense(4)(joined), layers.Dense(1)(joined)])
    a, b = np.ones((1, 3), "f4"), np.full((1, 2), 2, "f4")
    converted = load(model)
    assert [t.name for t in converted.summary.input_tensors] == ["wide", "narrow"]
    assert converted.input_shapes == ((3,), (2,))
    assert converted.output_shapes == ((4,), (1,))
    for ours, theirs in zip(run_float(converted.tflite, a, b), model([a, b]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_layer_names_do_not_change_the_identity_of_a_model():
    """Keras numbers layers by what the process has built before; the same network is made twice."""
    first, second = load(small()), load(small())
    assert first.source_sha256 == second.source_sha256


@pytest.mark.parametrize("other", [{"slope": 0.2}, {"seed": 1}, {"shape": (6, 6, 3)}])
def test_parameters_weights_and_shapes_do(other):
    assert load(small()).source_sha256 != load(small(**other)).source_sha256


def test_autograph_leaves_no_file(tmp_path, monkeypatch):
    """TensorFlow removes them at exit, which never comes for a process that is killed."""
    import tempfile

    model = small()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load(model)
    assert list(tmp_path.glob("__autograph*")) == []


def test_converting_twice_gives_the_same_bytes(tmp_path, cache):
    path = tmp_path / "net.keras"
    small().save(path)
    first = load(path, cache=cache).tflite
    from pytest_quantcheck.models.conversion.worker import shared_worker

    again = shared_worker().call("keras_file_to_tflite", path=str(path))
    assert again == first


def test_a_keras_file_computes_the_same_as_the_model(tmp_path, cache):
    model = small()
    for name in ("net.keras", "net.h5"):
        model.save(tmp_path / name)
        loaded = load(tmp_path / name, cache=cache)
        assert loaded.semantic_sha256 == load(model).semantic_sha256


def test_open_sizes_are_an_error_that_names_the_input():
    import keras
    from keras import layers

    image = layers.Input((None, None, 3), name="photo")
    model = keras.Model(image, layers.Conv2D(1, 1)(image))
    with pytest.raises(ModelError, match=r"'photo'.*fixed Input shape"):
        load(model)


def test_a_model_without_inputs_is_told_how_to_get_some():
    import keras
    from keras import layers

    class Subclass(keras.Model):
        def call(self, x):
            return x

    for model in (keras.Sequential([layers.Dense(2)]), Subclass()):
        with pytest.raises(ModelError, match=r"keras\.Model\(x, model\(x\)\)"):
            load(model)


def test_integer_inputs_are_an_error():
    import keras
    from keras import layers

    tokens = layers.Input((5,), dtype="int32", name="tokens")
    with pytest.raises(ModelError, match="'tokens' is int32"):
        load(keras.Model(tokens, layers.Embedding(10, 2)(tokens)))


def test_a_custom_layer_in_a_file_is_not_imported(tmp_path, cache):
    import keras
    from keras import layers

    class Doubled(layers.Layer):
        def call(self, x):
            return 2 * x

    path = tmp_path / "custom.keras"
    image = layers.Input((3,))
    model = keras.Model(image, Doubled()(image))
    model.save(path)
    with pytest.raises(ModelError, match="Doubled"):
        load(path, cache=cache)
    assert load(model).output_shapes == ((3,),)  # the object itself is the user's own code, already running


def test_a_saved_model_computes_the_same(tmp_path, cache):
    model = small()
    folder = tmp_path / "saved"
    model.export(folder, verbose=False)
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype("f4")
    loaded = load(folder, cache=cache)
    np.testing.assert_allclose(run_float(loaded.tflite, x)[0], model(x), rtol=1e-5, atol=1e-6)
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_a_saved_model_of_keras_2_with_the_state_of_its_optimizer_loads(tmp_path, cache):
    """TensorFlow without Keras 2 stops at it: '_UserObject' object has no attribute 'add_slot'."""
    import tensorflow as tf
    from tensorflow.core.protobuf import saved_model_pb2

    model, folder = small(), tmp_path / "saved"
    model.export(folder, verbose=False)
    proto = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    nodes = proto.meta_graphs[0].object_graph_def.nodes
    first, second = [i for i, node in enumerate(nodes) if node.WhichOneof("kind") == "variable"][:2]
    optimizer = nodes.add()
    optimizer.user_object.identifier = "optimizer"
    optimizer.slot_variables.add(
        original_variable_node_id=first, slot_name="momentum", slot_variable_node_id=second
    )
    nodes[0].children.add(node_id=len(nodes) - 1, local_name="optimizer")
    (folder / "saved_model.pb").write_bytes(proto.SerializeToString())
    with pytest.raises(AttributeError, match="add_slot"):
        tf.saved_model.load(str(folder))
    x = np.random.default_rng(0).normal(size=(1, 6, 6, 2)).astype("f4")
    np.testing.assert_allclose(
        run_float(load(folder, cache=cache).tflite, x)[0], model(x), rtol=1e-5, atol=1e-6
    )


def test_a_saved_model_that_touches_files_is_refused(tmp_path, cache):
    import tensorflow as tf

    class Reader(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, 2), tf.float32)])
        def __call__(self, x):
            tf.io.write_file(str(tmp_path / "touched"), "x")
            return x * 2

    tf.saved_model.save(Reader(), str(tmp_path / "saved"))
    with pytest.raises(ModelError, match="WriteFile"):
        load(tmp_path / "saved", cache=cache)
    assert not (tmp_path / "touched").exists()


def test_the_semantic_hash_sees_operator_options_of_every_kind():
    """LEAKY_RELU's slope is an option of the operator, not a tensor."""
    first, second = load(small(0.3)).tflite, load(small(0.2)).tflite
    assert semantic_sha256(first) != semantic_sha256(second)
