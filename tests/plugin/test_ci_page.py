"""docs/ci.md: its workflows are sound, and their commands do what the page says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pytest_quantcheck.report.read import read_report
from tests.pages import blocks, reader_environment
from tests.pipelines import Service, load

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "ci.md"
FILES = {block.title: block.text for block in blocks(PAGE)}
WORKFLOWS = {Path(title).stem: text for title, text in FILES.items() if title.startswith(".github/")}
NETS = """
from pytest_quantcheck import Dataset
from pytest_quantcheck.demo.artefacts import demo_dataset, demo_models

def net():
    return demo_models()[0]

def dataset():
    whole = demo_dataset()
    return Dataset(whole.calibration, whole.test.take(range(20)), classes=whole.classes)
"""
TESTS = """
import pytest

pytestmark = pytest.mark.quant(artefact="nets:net", data="nets:dataset")


def test_accuracy(quantized_model, test_vectors, reference, gate):
    gate.check(reference.run(quantized_model, test_vectors), baseline=True)


def test_on_board(board, quantized_model, test_vectors, gate):
    gate.check(board.run(quantized_model, test_vectors))
"""
BOARDS = '[[board]]\nname = "desk-1"\nfamily = "posix"\ntarget = "posix"\nport = "desk"\n'
SHIMS = {  # what the page's commands find in place of programs that would change this machine
    "sudo": 'for package; do case $package in apt-get|install|-*) ;; *) dpkg -s "$package" ;; esac; done',
    "python3": 'test "$*" = "-m venv .venv" && mkdir .venv && ln -s "$(dirname "$0")" .venv/bin',
    "pip": 'test "$1" = install && case $2 in -r) test -s "$3" ;; *) test "$2" = pytest-quantcheck ;; esac',
}


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with two releases: v1.0 with baselines, and v1.1, which is checked out."""
    repository = tmp_path_factory.mktemp("origin")
    (repository / "tests").mkdir()
    for name, text in {
        "tests/nets.py": NETS,
        "tests/test_digits.py": TESTS,
        "boards.toml": BOARDS,
        "requirements.txt": FILES["requirements.txt"],
        ".gitignore": "__pycache__\n.pytest_cache\n",
    }.items():
        (repository / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-q", "-m", "host", "--qc-update-new"]
    environment = reader_environment()
    environment.pop("CI", None)
    subprocess.run(command, cwd=repository, env=environment, check=True, capture_output=True)
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repository, check=True)
    commit(repository, "v1.0")
    commit(repository, "v1.1")
    return repository


def commit(repository: Path, tag: str) -> None:
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]
    for words in (["add", "."], ["commit", "-q", "--allow-empty", "-m", tag], ["tag", tag]):
        subprocess.run([*git, *words], cwd=repository, check=True, capture_output=True)


@pytest.fixture
def service(origin: Path, tmp_path: Path) -> Service:
    """A service with a copy of the repository."""
    shims, repository = tmp_path / "bin", tmp_path / "repository"
    shutil.copytree(origin, repository)
    for folder in (shims, tmp_path / "work"):
        folder.mkdir()
    for name in ("pytest", "quantcheck"):
        (shims / name).symlink_to(Path(sys.executable).parent / name)
    for name, line in SHIMS.items():
        (shims / name).write_text(f"#!/bin/sh\n{line}\n")
        (shims / name).chmod(0o755)
    environment = reader_environment(
        PATH=f"{shims}{os.pathsep}{os.environ['PATH']}", CI="true", COLUMNS="200", GITHUB_ACTIONS="true",
        GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"), QC_CACHE=str(tmp_path / "cache"),
        QC_LEASE_DIR=str(tmp_path / "leases"), PYTEST_XDIST_AUTO_NUM_WORKERS="1",
    )  # fmt: skip
    return Service(repository, tmp_path / "work", environment)


@pytest.mark.host
@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_sound(name: str) -> None:
    workflow = load(WORKFLOWS[name])
    assert workflow["name"] == name
    assert f"`{name}.yml`" in PAGE.read_text()


@pytest.mark.hw
def test_a_release_that_is_worse_than_the_last_one_is_stopped(service: Service) -> None:
    release = load(WORKFLOWS["release"])
    assert service.run(release) == {"gate": True}, service.printed
    worse = NETS + "\nbroken = net\ndef net():\n    from dataclasses import replace\n    made = broken()\n"
    worse += "    weights = bytearray(made.artefact)\n    at = len(weights) // 3\n"
    worse += "    weights[at : at + 300] = bytes(300)\n    return replace(made, artefact=bytes(weights))\n"
    (service.repository / "tests" / "nets.py").write_text(worse)
    commit(service.repository, "v1.2")
    service.folder /= "next"
    service.folder.mkdir()
    assert service.run(release) == {"gate": False}
    assert "baseline accuracy: FAILED: accuracy is worse" in service.printed[-1], service.printed[-1]
    assert "::error file=tests/test_digits.py,line=" in service.printed[-1]
    (row,) = read_report(service.folder / "artefacts" / "gate" / "gate.json").rows
    assert row.outcome == "regression"
    assert "FAILED" in Path(service.environment["GITHUB_STEP_SUMMARY"]).read_text()


@pytest.mark.hw
def test_the_jobs_of_a_push_are_one_verdict_and_a_lost_one_is_noticed(service: Service) -> None:
    tests = load(WORKFLOWS["tests"])
    passed = service.run(tests)
    assert passed == dict.fromkeys(
        ("host", "virtual virtual-esp32c3", "virtual virtual-stm32f405", "verdict"), True
    ), service.printed
    found = read_report(service.folder / "artefacts" / "report" / "all.json")
    assert sorted(row.target for row in found.rows) == ["host", "virtual-esp32c3", "virtual-stm32f405"]
    lost = service.folder / "artefacts" / "report-virtual-stm32f405"
    lost.rename(service.folder / "lost")
    tests["jobs"] = {"verdict": tests["jobs"]["verdict"]}
    service.folder.joinpath("verdict").rename(service.folder / "before")
    assert service.run(tests) == {"verdict": False}
    assert "virtual-stm32f405]: no report has a result of it" in service.printed[-1]


@pytest.mark.hw
@pytest.mark.parametrize("name", ["bench", "nightly"])
def test_the_jobs_of_a_bench_run_on_its_boards(service: Service, name: str) -> None:
    one_worker = WORKFLOWS[name].replace("-n 4", "-n 1")
    assert set(service.run(load(one_worker)).values()) == {True}, service.printed
    rows = read_report(service.folder / "artefacts" / name / f"{name}.json").rows
    assert "desk-1" in {row.board for row in rows}


@pytest.mark.hw
def test_the_commands_for_gitlab(service: Service) -> None:
    pipeline = yaml.safe_load(FILES[".gitlab-ci.yml"])
    jobs = {name: job for name, job in pipeline.items() if isinstance(job, dict) and "script" in job}
    assert set(jobs) == {"host", "gate"}
    assert pipeline["variables"]["GIT_DEPTH"] == "0"
    for job in jobs.values():
        for line in job["script"]:
            assert service.command(service.repository, line), service.printed[-1]
        for path in (*job["artifacts"].get("paths", ()), job["artifacts"]["reports"]["junit"]):
            assert (service.repository / path).is_file()
