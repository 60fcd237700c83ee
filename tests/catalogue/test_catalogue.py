"""A small part of ``make catalogue``, what holds for every entry, and the page that lists them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from pytest_quantcheck.data.dataset import Samples
from pytest_quantcheck.formats.tflite_writer import TfliteWriter
from pytest_quantcheck.numerics.arrays import Array
from pytest_quantcheck.quantizers.quantized_model import QuantizedModel
from pytest_quantcheck.verdict.causes.catalogue import CATALOGUE
from tests.catalogue import campaign, clean, data, espdl, foreign, integers, rig
from tests.catalogue.campaign import Result, judged
from tests.catalogue.device import Device
from tests.catalogue.page import PAGE, render
from tests.catalogue.variant import CLEAN, FOREIGN, Found, Variant, judge

pytestmark = pytest.mark.host

FEW = (
    "input_truncated",
    "zero_point_ignored",
    "per_channel_scale",
    "truncated_rounding",
    "activation_at_zero",
    "padding_value",
    "bias_saturated",
    "weights_layout",
    "table_index",
    "arena_overlap",
    "not_repeatable",
    "flash_bit",
    "vector_shifted",
    "answers_late",
    "counter_wrapped",
    "wrong_port",
)


def first_of(variants: Sequence[Variant], code: str) -> Variant:
    return next(each for each in variants if each.code == code)


@pytest.mark.parametrize("code", FEW)
def test_an_injected_fault_is_named(code: str) -> None:
    found = first_of([*integers.variants(), *rig.variants()], code).find()
    assert found.detected
    assert code in found.ranking[:2], found.said


@pytest.mark.parametrize("code", ["exponent_sign", "exponent_shift", "half_rounding", "int8_int16"])
def test_a_fault_with_powers_of_two_is_named(code: str) -> None:
    found = first_of(list(espdl.variants()), code).find()
    assert found.detected
    assert code in found.ranking[:2], found.said


def dense(scale: float, dtype: str) -> QuantizedModel:
    rng = np.random.default_rng(0)
    w = TfliteWriter()
    x = w.tensor((1, 12), dtype, scale=scale)
    weights = rng.integers(-127, 128, (6, 12)).astype(np.int8)
    bias = rng.integers(-500, 500, 6).astype(np.int32 if dtype == "int8" else np.int64)
    y = w.fully_connected(x, weights, bias, weight_scale=0.01, scale=scale * 2)
    return QuantizedModel("dense", w.finish([x], [y]))


def given(model: QuantizedModel, size: float, change: Callable[[Array], Array]) -> Found:
    """What is named where ``change`` makes the input's integers of floats of that size."""
    floats = np.random.default_rng(1).normal(0, size, (12, 12)).astype(np.float32)
    prepared = lambda raw, floats, last: raw if floats is None else change(floats)  # noqa: E731
    return judge(model, Samples(floats), [Device(prepared=prepared)])


@pytest.mark.parametrize(
    ("scale", "dtype", "size"),
    [(4.0, "int8", 300.0), (3.9, "int8", 300.0), (1 / 64, "int8", 0.5), (2.0**-34, "int16", 1e-6)],
)
def test_an_input_of_zeros_was_first_of_all_never_written(scale: float, dtype: str, size: float) -> None:
    """What turns every value into 0 explains nothing more; TFLite has no exponents to be mistaken."""
    found = given(dense(scale, dtype), size, lambda floats: 0 * floats)
    assert found.ranking[0] == "vector_old", found.said
    assert not {"exponent_sign", "exponent_shift"} & set(found.ranking), found.ranking


@pytest.mark.parametrize("build", espdl.BUILDS, ids="-".join)
def test_an_input_of_zeros_with_powers_of_two_was_never_written(build: espdl.Build) -> None:
    found = first_of(list(espdl.vectors([build])), "vector_old").find()
    assert found.named == "vector_old", found.said


def test_a_tflite_scale_that_is_a_power_of_two_is_a_scale() -> None:
    found = given(dense(1 / 128, "int8"), 60.0, lambda floats: np.clip(np.rint(floats / 128), -128, 127))
    assert found.ranking == ("input_scale",), found.said


@pytest.mark.parametrize("code", ["label_order", "float_model_quantized", "shared_bias", "open_batch"])
def test_a_fault_of_samples_and_files_is_named(code: str) -> None:
    found = [each for each in data.variants() if each.code == code][-1].find()
    assert code in found.ranking[:2], found.said


def test_a_fault_of_quantizing_is_named_and_another_models_bias_is_not() -> None:
    """In one test: TensorFlow starts once."""
    for code in ("calibration_range", "per_tensor_channels", "argmax_tie"):
        found = first_of(list(data.variants()), code).find()
        assert code in found.ranking[:2], found.said
    lost = first_of(list(data.variants()), FOREIGN).find()
    assert lost.detected
    assert not lost.ranking, lost.said


@pytest.mark.parametrize("variant", list(foreign.variants())[::12], ids=lambda each: each.name)
def test_a_fault_outside_the_catalogue_is_not_named(variant: Variant) -> None:
    found = variant.find()
    assert found.detected
    assert not found.ranking, found.said


@pytest.mark.parametrize("variant", list(clean.variants())[::9], ids=lambda each: each.name)
def test_a_sound_run_is_not_accused(variant: Variant) -> None:
    assert variant.find() == Found(False)


def test_every_entry_traces_to_a_public_report_and_says_what_to_do() -> None:
    assert len(CATALOGUE) >= 40
    for code, entry in CATALOGUE.items():
        assert re.fullmatch(r"[a-z0-9_]+", code)
        assert entry.code == code
        assert all(re.fullmatch(r"[\w.-]+/[\w.-]+#\d+", each) for each in entry.reports)
        assert entry.sentence.endswith(".")
        assert entry.remedy.endswith(".")


def test_every_variant_is_of_an_entry_and_named_once() -> None:
    variants = [(part, each) for part, its in campaign.parts().items() for each in its]
    assert {each.code for _, each in variants} <= {*CATALOGUE, FOREIGN, CLEAN}
    names = [(part, each.code, each.name) for part, each in variants]
    assert len(set(names)) == len(names)


def test_the_campaign_fails_for_a_foreign_fault_that_is_named_and_for_one_that_is_missed() -> None:
    good = [Result("integers", code, "", Found(True, (code,)), 0.0) for code in CATALOGUE for _ in range(3)]
    good += [Result("foreign", FOREIGN, "", Found(True), 0.0)] * 10
    good += [Result("clean", CLEAN, "", Found(False), 0.0)]
    assert all(well for well, _ in judged(good))
    named = Result("foreign", FOREIGN, "", Found(True, ("flash_bit",)), 0.0)
    assert [text for well, text in judged([*good, named]) if not well] == [
        "foreign faults named with confidence: 1 of 11"
    ]
    missed = Result("integers", "flash_bit", "", Found(False), 0.0)
    assert not all(well for well, _ in judged([*good, missed]))
    accused = Result("clean", CLEAN, "", Found(True, ()), 0.0)
    assert not all(well for well, _ in judged([*good, accused]))


def test_the_page_is_the_catalogue() -> None:
    assert PAGE.read_text(encoding="utf-8") == render(), "run python -m tests.catalogue.page"
