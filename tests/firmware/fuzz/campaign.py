"""One fuzz target running under libFuzzer, and what its log says."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.firmware.fuzz.build import build

LARGEST_INPUT = 12_000  # bytes
HEADING = "target    executions  per second           edges  coverage  corpus  findings"
SLOWEST = 10  # seconds of one input: far above what the limit of work allows


@dataclass(frozen=True)
class Result:
    """What a campaign did; ``findings`` are the sanitizers' and the target's own reports."""

    target: str
    executions: int
    per_second: int
    edges: int
    edges_in_all: int
    corpus: int
    findings: list[str]
    artefact: str
    last_words: str

    def row(self) -> str:
        share = f"{self.edges / max(self.edges_in_all, 1):.1%}"
        edges = f"{self.edges} of {self.edges_in_all}"
        return (
            f"{self.target:<8}{self.executions:>12}{self.per_second:>12}{edges:>16}{share:>10}"
            f"{self.corpus:>8}  {len(self.findings)}"
        )


@dataclass
class Campaign:
    """A running libFuzzer process."""

    target: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, target: str, seconds: int, seeds: Path, folder: Path) -> Campaign:
        """Fuzz for so long, beginning with what ``folder/corpus/<target>`` and ``seeds`` hold."""
        corpus, findings = folder / "corpus" / target, folder / "findings" / target
        for needed in (corpus, findings):
            needed.mkdir(parents=True, exist_ok=True)
        log = folder / f"{target}.log"
        command = [
            str(build(target, libfuzzer=True)),
            f"-max_total_time={seconds}",
            f"-max_len={LARGEST_INPUT}",
            f"-timeout={SLOWEST}",
            "-rss_limit_mb=4096",
            "-use_value_profile=1",
            "-print_final_stats=1",
            f"-artifact_prefix={findings}/",
            str(corpus),
            str(seeds),
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        return cls(target, process, log)

    def wait(self) -> Result:
        """Until it ends by itself; killed when the caller is interrupted."""
        try:
            self.process.wait()
        finally:
            self.process.kill()
            self.process.wait()
        return read_log(
            self.target, self.log.read_text(encoding="utf-8", errors="replace"), self.process.returncode
        )


def read_log(target: str, log: str, code: int = 0) -> Result:
    """Figures of a finished campaign. A process that failed without a report is a finding, too."""
    status = re.findall(r"cov: (\d+) ft: \d+ corp: (\d+)/", log)
    edges, corpus = status[-1] if status else ("0", "0")
    findings = re.findall(r"^(?:==\d+== ?ERROR: |SUMMARY: |fuzz: ).*|.*runtime error: .*", log, re.MULTILINE)
    if code and not findings:
        findings = [f"ended with {code}"]
    artefact = re.search(r"Test unit written to (\S+)", log)
    return Result(
        target=target,
        executions=_number(r"stat::number_of_executed_units:\s*(\d+)", log),
        per_second=_number(r"stat::average_exec_per_sec:\s*(\d+)", log),
        edges=int(edges),
        edges_in_all=_number(r"\((\d+) inline 8-bit counters\)", log),
        corpus=int(corpus),
        findings=findings[:1],
        artefact=artefact.group(1) if artefact else "no file",
        last_words="\n".join(log.splitlines()[-40:]) if findings else "",
    )


def _number(pattern: str, log: str) -> int:
    found = re.search(pattern, log)
    return int(found.group(1)) if found else 0
