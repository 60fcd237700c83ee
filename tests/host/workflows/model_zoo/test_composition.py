"""Composition by Hydra: overrides, defaults lists, sweeps, ``${...}``; time stands still, nothing is left."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path

import pytest
from hydra import version
from hydra.core.hydra_config import HydraConfig

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.workflows.model_zoo.composition import Composed, compose, is_sweep

pytestmark = pytest.mark.host

NOW = datetime(2024, 2, 29, 13, 14, 15)
BASE = """\
general:
  project_name: sounds
  model_path: model.h5
quantization:
  granularity: per_channel
hydra:
  run:
    dir: ./out/${now:%Y_%m_%d_%H_%M_%S}
"""


def composed(folder: Path, text: str = BASE, *overrides: str, multirun: bool = False) -> tuple[Composed, ...]:
    (folder / "c.yaml").write_text(text)
    return compose(folder / "c.yaml", overrides, multirun=multirun, now=NOW)


def refused(folder: Path, text: str, *overrides: str) -> str:
    with pytest.raises(UsageError) as caught:
        composed(folder, text, *overrides)
    return str(caught.value)


def test_the_run_folder_is_what_hydra_makes_of_it(tmp_path: Path) -> None:
    (job,) = composed(tmp_path)
    assert job.run_dir == "out/2024_02_29_13_14_15"
    (job,) = composed(tmp_path, "general: {}\n")
    assert job.run_dir == "experiments_outputs/2024_02_29_13_14_15"
    (job,) = composed(tmp_path, BASE, "hydra.run.dir=elsewhere/${general.project_name}/${hydra:job.name}")
    assert job.run_dir == "elsewhere/sounds/c"


def test_references_within_the_file_and_to_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("QC_TEST_DATA", "/data")
    text = (
        BASE + "dataset:\n  training_path: ${oc.env:QC_TEST_DATA}/train\n  test_path: ${QC_TEST_DATA}/test\n"
    )
    text += "  name: ${general.project_name}-${.seed}\n  seed: 5\n"
    text += "evaluation:\n  npy_in_name: ${oc.env:QC_NONE,inputs}\n"
    (job,) = composed(tmp_path, text)
    assert job.values["dataset"] == {
        "training_path": "/data/train", "test_path": "/data/test", "name": "sounds-5", "seed": 5
    }  # fmt: skip
    assert job.values["evaluation"] == {"npy_in_name": "inputs"}
    assert "hydra" not in job.values


def test_an_override_replaces_and_adds_keys_of_known_sections(tmp_path: Path) -> None:
    (job,) = composed(
        tmp_path, BASE, "operation_mode=chain_qb", "quantization.granularity=per_tensor", "dataset.seed=7"
    )
    assert job.values["operation_mode"] == "chain_qb"
    assert job.values["quantization"] == {"granularity": "per_tensor"}
    assert job.values["dataset"] == {"seed": 7}
    assert str(job.place("quantization", "granularity")) == "override 'quantization.granularity=per_tensor'"
    assert str(job.place("general", "model_path")) == "c.yaml:3"
    assert str(job.place("general", "nothing")) == "c.yaml:1"
    (job,) = composed(tmp_path, BASE, "~general.project_name")
    assert job.values["general"] == {"model_path": "model.h5"}


def test_a_defaults_list_takes_other_files(tmp_path: Path) -> None:
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "flowers.yaml").write_text("name: flowers\nseed: 3\n")
    (tmp_path / "dataset" / "birds.yaml").write_text("\nname: birds\n")
    text = "defaults:\n- dataset: flowers\n- _self_\ngeneral: {}\n"
    (job,) = composed(tmp_path, text)
    assert job.values["dataset"] == {"name": "flowers", "seed": 3}
    assert str(job.place("dataset", "seed")) == "dataset/flowers:2"
    (job,) = compose(tmp_path / "c.yaml", ["dataset=birds"], now=NOW)
    assert job.values["dataset"] == {"name": "birds"}
    (tmp_path / "dataset" / "birds.yaml").write_text("name: !!python/name:os.system\n")
    with pytest.raises(UsageError, match="dataset/birds:1: the tag !!python/name:os"):
        compose(tmp_path / "c.yaml", ["dataset=birds"], now=NOW)


def test_a_sweep_gives_a_job_for_each_combination(tmp_path: Path) -> None:
    swept = ("quantization.granularity=per_channel,per_tensor", "dataset.seed=range(1,3)")
    jobs = composed(tmp_path, BASE, *swept, "hydra.sweep.dir=sweep", multirun=True)
    found = [(j.values["quantization"]["granularity"], j.values["dataset"]["seed"], j.run_dir) for j in jobs]
    assert found == [
        ("per_channel", 1, "sweep/0"), ("per_channel", 2, "sweep/1"),
        ("per_tensor", 1, "sweep/2"), ("per_tensor", 2, "sweep/3"),
    ]  # fmt: skip
    assert is_sweep(swept)
    assert not is_sweep(["dataset.class_names=[a,b]", "general.project_name='a,b'"])
    assert "add --multirun" in refused(tmp_path, BASE, swept[0])
    with pytest.raises(UsageError, match="intervals have no end"):
        composed(tmp_path, BASE, "dataset.seed=interval(0,1)", multirun=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("general:\n  a: ${oc.env:QC_NONE}\n", "c.yaml:2: general.a: the environment variable QC_NONE is"),
        ("general:\n  a: x/${QC_NONE}\n", "c.yaml:2: general.a: the environment variable QC_NONE is not"),
        ("general:\n  a: ${general.b}\n  b: ${.a}\n", "c.yaml:2: general.a refers to itself"),
        ("general:\n  a: ${dataset.b}\n", "c.yaml:2: general.a: "),
        ("general:\n  a: ${oc.create:x}\n", "resolver 'oc.create' is not known; allowed: now, oc.env, hydra"),
        ("general:\n  a: ${now:${b}}\n", "c.yaml:2: general.a: '${now:${b}}': a ${...} within another"),
        ("general: {}\nhydra:\n  searchpath: [pkg://antigravity]\n", "c.yaml:3: hydra.searchpath is refused"),
        ("general: {}\nhydra:\n  rum: {dir: x}\n", "c.yaml:3: "),
        ("defaults: [../../secret]\ngeneral: {}\n", "c.yaml: In 'c.yaml': Could not load '../../secret'"),
    ],
)  # fmt: skip
def test_references_and_settings_that_are_refused(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in refused(tmp_path, text)
    assert "antigravity" not in sys.modules


def test_references_cannot_grow_without_bounds(tmp_path: Path) -> None:
    doubling = "".join(f"  a{n + 1}: ${{.a{n}}}${{.a{n}}}\n" for n in range(60))
    assert "more than 100000 characters" in refused(tmp_path, "general:\n  a0: lol\n" + doubling)
    chain = "".join(f"  a{n + 1}: ${{.a{n}}}\n" for n in reversed(range(150)))
    assert "ends a chain of over 100" in refused(tmp_path, "general:\n" + chain + "  a0: x\n")


def test_time_stands_still_and_hydra_is_left_as_it_was(tmp_path: Path) -> None:
    before = version.VersionBase.instance().version_base, HydraConfig.instance().cfg
    first, second = composed(tmp_path), composed(tmp_path)
    assert first[0].run_dir == second[0].run_dir
    assert (version.VersionBase.instance().version_base, HydraConfig.instance().cfg) == before


def test_a_file_whose_name_is_unusual(tmp_path: Path) -> None:
    for name in ("my config.yaml", "ünicode.yml", "a.b.c.yaml"):
        (tmp_path / name).write_text(BASE)
        (job,) = compose(tmp_path / name, now=NOW)
        assert job.values["general"]["project_name"] == "sounds"
