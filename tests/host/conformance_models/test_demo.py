"""The demo's files are what the command makes, and can be read without TensorFlow or scikit-learn."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

from conformance_models import digits
from pytest_quantcheck.demo.artefacts import (
    CONFIGURATIONS,
    DATA,
    FLOAT_MODEL,
    demo_dataset,
    demo_models,
    demo_samples,
)
from pytest_quantcheck.formats.read import read_summary
from pytest_quantcheck.quantizers.artefact import manifest_path
from pytest_quantcheck.quantizers.audit.audit import audit

pytestmark = pytest.mark.host


def test_the_samples_are_the_held_out_digits():
    held_out, samples = digits.dataset().test, demo_samples()
    assert samples.names == held_out.names
    assert np.array_equal(samples.x, held_out.x)
    assert np.array_equal(samples.y, held_out.y)
    assert samples.x.dtype == np.float32


def test_every_model_is_what_its_manifest_says():
    models = demo_models()
    assert [m.config for m in models] == list(CONFIGURATIONS)
    assert len({m.id for m in models}) == len(models) >= 4
    for model in models:
        assert {finding.severity for finding in audit(model.artefact, model.config)} <= {"note"}
        assert not model.random_calibration
        assert len(model.manifest["calibration"]["ids"]) == 126
        assert not set(model.manifest["calibration"]["ids"]) & set(demo_samples().names)


def test_the_dataset_holds_the_test_samples_only():
    data = demo_dataset()
    assert (len(data.calibration), len(data.test)) == (0, 540)
    assert data.classes == tuple("0123456789")


def test_reading_them_needs_neither_tensorflow_nor_scikit_learn():
    program = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'sklearn', 'h5py'): sys.modules[name] = None\n"
        "from pytest_quantcheck.demo.artefacts import demo_models, demo_samples\n"
        "print(len(demo_models()), len(demo_samples()))"
    )
    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == ["5", "540"]


def test_the_tree_holds_what_the_command_makes(tmp_path, monkeypatch):
    pytest.importorskip("tensorflow", reason="TensorFlow is not installed: extra tensorflow")
    from conformance_models.digits.demo import write_demo

    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    made = write_demo(tmp_path / "data")
    assert {p.name for p in made} == {p.name for p in DATA.iterdir()}
    for path in made:
        if path.suffix == ".tflite":
            _assert_alike(read_summary(path.read_bytes()), read_summary((DATA / path.name).read_bytes()))
            if path.name != FLOAT_MODEL:
                made_manifest, shipped_manifest = (
                    json.loads(manifest_path(p).read_text()) for p in (path, DATA / path.name)
                )
                for key in ("config", "calibration"):
                    assert made_manifest[key] == shipped_manifest[key]


def _assert_alike(made, shipped):
    """The same network up to the last bits of float32: TensorFlow folds constants with the CPU's own vector
    instructions, so scales differ by a few units in the last place, and a weight on a half by one step.
    """
    assert [str(one) for one in made.operators] == [str(one) for one in shipped.operators]
    for one, other in zip(made.tensors, shipped.tensors, strict=True):
        assert (one.name, one.shape, one.dtype, one.axis) == (
            other.name,
            other.shape,
            other.dtype,
            other.axis,
        )
        np.testing.assert_array_equal(one.zero_points, other.zero_points)
        np.testing.assert_allclose(one.scales, other.scales, rtol=1e-6)
        assert (one.data is None) == (other.data is None)
        if one.data is not None:
            now, then = (np.frombuffer(t.data.tobytes(), t.dtype).astype(np.float64) for t in (one, other))
            most = {"rtol": 1e-5, "atol": 1e-6} if one.dtype == "float32" else {"rtol": 0, "atol": 1}
            np.testing.assert_allclose(now, then, **most)
