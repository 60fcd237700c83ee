"""Workflow files of a page, read and carried out as far as that goes without the service.

Every ``run`` line is run by bash as GitHub's runner does, in a clone of a repository; of the actions those
that a page uses are played: a checkout clones with the depth asked for, artefacts are copied. What is not
known here, a key or an action, is an ``AssertionError``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

WORKFLOW = {"name", "on", "permissions", "jobs"}
EVENTS = {"push", "pull_request", "schedule", "workflow_dispatch"}
JOB = {"runs-on", "timeout-minutes", "needs", "if", "strategy", "steps"}
STEP = {"uses", "with", "run", "if"}
ACTIONS = {  # the inputs that each takes: https://github.com/actions, action.yml of that version
    "actions/checkout@v6": {"ref", "fetch-depth", "fetch-tags", "lfs", "submodules", "path"},
    "actions/setup-python@v6": {"python-version", "python-version-file", "cache", "cache-dependency-path"},
    "actions/upload-artifact@v6": {"name", "path", "if-no-files-found", "retention-days"},
    "actions/download-artifact@v7": {"name", "path", "pattern", "merge-multiple"},
}
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


def load(text: str) -> dict[str, Any]:
    """A workflow, its structure checked. (YAML 1.1 takes the key ``on`` for a truth value.)"""
    found = {{True: "on"}.get(key, key): value for key, value in yaml.safe_load(text).items()}
    assert {"on", "permissions", "jobs"} <= set(found) <= WORKFLOW, sorted(found)
    assert set(found["on"]) <= EVENTS, found["on"]
    assert found["permissions"] == {"contents": "read"}, "a job of ours writes nothing"
    for name, job in found["jobs"].items():
        assert {"runs-on", "steps", "timeout-minutes"} <= set(job) <= JOB, (name, sorted(job))
        assert set(job.get("needs", ())) < set(found["jobs"]), (name, job["needs"])
        for step in job["steps"]:
            assert set(step) <= STEP, (name, step)
            assert len({"uses", "run"} & set(step)) == 1, (name, step)
            if "uses" in step:
                assert set(step.get("with", ())) <= ACTIONS[step["uses"]], (name, step)
    return found


@dataclass
class Service:
    """Runs the jobs of a workflow; ``artefacts`` are what they uploaded, each a folder."""

    repository: Path
    folder: Path
    environment: Mapping[str, str]
    printed: list[str] = field(default_factory=list)

    def run(self, workflow: Mapping[str, Any], skip: tuple[str, ...] = ()) -> dict[str, bool]:
        """Whether each job passed, by its name and its values of the matrix. Jobs in ``skip`` are lost."""
        passed: dict[str, bool] = {}
        for name, job in workflow["jobs"].items():
            waits = [passed[each] for each in passed if each.split()[0] in job.get("needs", ())]
            assert all(waits) or "!cancelled()" in job.get("if", ""), f"{name} would not run after a failure"
            for values in _matrix(job):
                title = " ".join((name, *values.values()))
                if title not in skip:
                    passed[title] = self._job(title, job, values)
        return passed

    def _job(self, title: str, job: Mapping[str, Any], values: Mapping[str, str]) -> bool:
        work = self.folder / title.replace(" ", "-")
        work.mkdir(parents=True)
        good = True
        for step in job["steps"]:
            condition = _unwrapped(str(step.get("if", "")))
            if good or condition == "!cancelled()":
                good &= self._condition(condition, values) is False or self._step(work, step, values)
        return good

    @staticmethod
    def _condition(text: str, values: Mapping[str, str]) -> bool:
        """``matrix.key == 'value'``, ``!cancelled()``, or nothing."""
        if text in ("", "!cancelled()"):
            return True
        match = re.fullmatch(r"matrix\.(\w+) == '([^']*)'", text)
        assert match, f"if: {text} is not known here"
        return values[match[1]] == match[2]

    def _step(self, work: Path, step: Mapping[str, Any], values: Mapping[str, str]) -> bool:
        if "run" in step:
            return self.command(work, _filled(step["run"], values))
        given = {key: _filled(str(value), values) for key, value in step.get("with", {}).items()}
        action = step["uses"].partition("@")[0]
        if action == "actions/checkout":
            depth = given.get("fetch-depth", "1")
            shallow = [] if depth == "0" else ["--depth", depth, "--no-tags"]
            _git(self.folder, "clone", "-q", *shallow, self.repository.as_uri(), str(work))
        elif action == "actions/upload-artifact":
            target = self.folder / "artefacts" / given["name"]
            for path in given["path"].split():
                assert (work / path).exists(), f"nothing to upload: {path}"
                assert not path.startswith("."), f"hidden files are not uploaded: {path}"
                target.mkdir(parents=True, exist_ok=True)
                copy = shutil.copytree if (work / path).is_dir() else shutil.copy
                copy(work / path, target / path)
        elif action == "actions/download-artifact":
            for found in (self.folder / "artefacts").glob(given["pattern"]):
                shutil.copytree(found, work, dirs_exist_ok=True)
        return True

    def command(self, work: Path, text: str) -> bool:
        """Whether a command passes, as ``bash -eo pipefail`` runs it."""
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", text],
            cwd=work, env=dict(self.environment), capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        self.printed.append(f"$ {text}\n{done.stdout}{done.stderr}")
        return done.returncode == 0


def _matrix(job: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    factors = job.get("strategy", {}).get("matrix", {})
    assert len(factors) <= 1, "one factor is known here"
    for key, entries in factors.items():
        yield from ({key: entry} for entry in entries)
    if not factors:
        yield {}


def _unwrapped(text: str) -> str:
    match = EXPRESSION.fullmatch(text)
    return match[1] if match else text


def _filled(text: str, values: Mapping[str, str]) -> str:
    return EXPRESSION.sub(lambda found: values[found[1].removeprefix("matrix.")], text)


def _git(folder: Path, *arguments: str) -> None:
    subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True)
