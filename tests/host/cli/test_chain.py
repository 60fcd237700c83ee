"""``quantcheck chain``: a configuration's steps on the command line, as Hydra's users type it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_quantcheck.cli import main
from tests import zoo_data

pytestmark = pytest.mark.host

CONFIG = """\
general: {project_name: plain, model_path: colours.onnx}
operation_mode: quantization
preprocessing:
  rescaling: { scale: 1/127.5, offset: -1 }
  resizing: { interpolation: nearest, aspect_ratio: fit }
  color_mode: rgb
quantization: {quantizer: onnx_quantizer, quantization_type: PTQ}
hydra: {run: {dir: out}, sweep: {dir: sweep}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a model and ``user_config.yaml``."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    zoo_data.onnx_colours(tmp_path)
    (tmp_path / "user_config.yaml").write_text(CONFIG)
    return tmp_path


def test_the_usual_configuration_runs_and_the_last_line_says_that_no_gate_is_set(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chain"]) == 0
    printed = capsys.readouterr()
    assert printed.err.startswith("quantize ...")
    lines = printed.out.splitlines()
    assert lines[0] == "out: everything that was written"
    assert lines[-2] == "outcome: pass"
    assert lines[-1].startswith("user_config.yaml: no accuracy gate is set; ")
    assert (here / "out" / "quantized_models" / "quantized_model.onnx").is_file()
    assert (here / "out" / "logs" / "quantize.json").is_file()


def test_a_folder_and_a_name_and_a_sweep(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "configs").mkdir()
    (here / "user_config.yaml").rename(here / "configs" / "mine.yaml")
    swept = "quantization.granularity=per_channel,per_tensor"
    assert main(["chain", "-cp", "configs", "-cn", "mine", "-m", swept]) == 0
    assert {path.name for path in (here / "sweep").iterdir()} == {"0", "1"}
    told = capsys.readouterr()
    assert "quantization.granularity=per_tensor: quantize ..." in told.err
    assert told.out.count("quantize (colours-onnx-f32-f32-") == 2


def test_steps_that_need_another_run_alone_and_fail_for_its_reason(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["chain", "user_config.yaml", "operation_mode=chain_qb", "--step", "benchmark"]) == 2
    printed = capsys.readouterr().out
    assert "benchmark" in printed
    assert "quantize" not in printed.splitlines()[2], "the step before it is no row"
    assert "nothing was judged" in printed, "sizes without a budget"
    limits = "+quantcheck.budget={flash_kib: 0.1}"
    assert main(["chain", "user_config.yaml", "operation_mode=chain_qb", limits]) == 1
    assert "KiB of flash exceed the limit of 0.1 KiB" in capsys.readouterr().out
    assert main(["chain", "user_config.yaml", "general.model_path=user_config.yaml"]) == 2
    assert "'user_config.yaml' is no model for quantization" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["none.yaml"], "there is no configuration none.yaml"),
        (["user_config.yaml", "other.yaml"], "other.yaml is no key=value"),
        (["user_config.yaml", "-cn", "x"], "name two configurations; give one"),
        (["--step", "evaluate"], "--step evaluate: no such step; allowed: quantize"),
        (["--vectors", "0"], "--vectors 0 is out of range"),
        (["operation_mode=chain_eq"], "'chain_eq' is not known (did you mean chain_eqe?)"),
        (["quantization.granularity=a,b"], "add --multirun"),
        (["general.model_path=none.onnx"], "'none.onnx': there is no such file"),
    ],
)
def test_what_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], expected: str
) -> None:
    assert main(["chain", *words]) == 2
    assert expected in capsys.readouterr().err
    assert not (here / "out").exists()
