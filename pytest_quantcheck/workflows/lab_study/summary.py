"""``summary.md``: a table of all tasks, and the lab's questions answered from it, each with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from pytest_quantcheck.report.markdown import line, plain
from pytest_quantcheck.verdict.metrics.paired import Paired, paired
from pytest_quantcheck.verdict.metrics.tally import LARGEST_MATRIX
from pytest_quantcheck.wording import counted
from pytest_quantcheck.workflows.lab_study.checked import Checked
from pytest_quantcheck.workflows.lab_study.study import Result, Study
from pytest_quantcheck.workflows.lab_study.tasks import FLOAT, NATIVE, ONE_CLASS

SURE = 0.05
"""A paired p-value below it is called a difference, as is the custom; all others may be chance."""
NOTABLE = 1.1
"""A ratio of times below it is within what a PC does by itself."""
HEAD = (
    "task", "calibrated with", "accuracy", "precision", "sensitivity", "G-Mean", "top 5",
    "lost / gained", "p", "mean ms", "median ms", "bytes",
)  # fmt: skip


def summary(study: Study, checked: Sequence[Checked] = ()) -> str:
    """The Markdown text; with ``checked`` also what became of a student's classes."""
    model, data = study.model, study.data
    lines = [f"# Quantization of {plain(model.name)}", ""]
    lines += [f"- Parameters in total: {study.parameters:,}{_folded(study)}"]
    lines += [
        f"- Samples: {len(data.calibration):,} for training and calibration; tested on {study.tested:,} of "
        f"{study.available:,} test samples"
        + (", so all numbers are of this part only" if study.tested < study.available else "")
    ]
    threads = counted(study.threads, "thread")
    lines += [f"- Inference: one sample at a time, {threads}; the first one is not counted"]
    lines += [f"- Left out: {plain(each)}" for each in study.left_out]
    lines += [
        "",
        line(HEAD),
        line(["---"] * len(HEAD)),
        *(line(_cells(each)) for each in study.results),
    ]
    lines += [
        "",
        f"lost / gained: samples that only {FLOAT}, or only this row, recognises; p: how often chance alone "
        "flips samples this unevenly (exact McNemar test).",
        "",
    ]
    for question, answer in _answers(study):
        lines += [f"## {question}", "", *(f"- {each}" for each in answer), ""]
    lines += _classes(study, checked) if checked else []
    for each in study.results:
        name = each.task.name
        lines += [f"## {name}", "", f"[metrics]({name}-metrics.md)", ""]
        if each.quality.classes <= LARGEST_MATRIX:
            lines += [f"![confusion matrix of {name}]({name}-confusion-matrix.png)", ""]
    return "\n".join(lines)


def _classes(study: Study, checked: Sequence[Checked]) -> list[str]:
    """A row for each class of a student's and its task, and what failed."""
    head = ("class", "task", "accuracy", f"accuracy of {plain(study.model.name)} here", "mean ms", "verdict")
    lines = ["## The classes of --tester", "", line(head), line(["---"] * len(head))]
    told = []
    for each in checked:
        ours = study.of(each.task)
        verdict = "failed" if each.row.failed else "not judged" if each.row.outcome == "unjudged" else "ok"
        lines.append(
            line(
                [
                    each.name,
                    each.task,
                    "-" if each.quality is None else f"{each.quality.accuracy:.2%}",
                    "-" if ours is None else f"{ours.quality.accuracy:.2%}",
                    "-" if each.quality is None else f"{each.mean_ms:.3f}",
                    verdict,
                ]
            )
        )
        texts = (*map(str, each.row.criteria), *each.row.findings)
        told += [f"- {each.name}, {each.task}: {plain(text)}" for text in texts]
    return [*lines, "", *told, ""]


def _folded(study: Study) -> str:
    if study.parameters == study.converted_parameters:
        return ""
    return f" in the Keras file, {study.converted_parameters:,} numbers in the converted network"


def _cells(result: Result) -> list[str]:
    found, score, times = result.quality, result.row.scores[0], result.timed.kept_ms
    values = (found.accuracy, found.precision, found.sensitivity, found.gmean, found.top5)
    return [
        result.task.name,
        "-" if result.calibrated is None else counted(result.calibrated, "sample"),
        *(f"{value:.2%}" for value in values),
        f"{len(score.lost)} / {len(score.gained)}",
        "-" if score.p_value is None else f"{score.p_value:.2g}",
        f"{times.mean():.3f}",
        f"{np.median(times):.3f}",
        "-" if result.bytes is None else f"{result.bytes:,}",
    ]


def _answers(study: Study) -> Iterator[tuple[str, list[str]]]:
    """Each question that the tasks can answer, with its answer."""
    native, single, bad = study.of(NATIVE), study.of(FLOAT), study.of(ONE_CLASS)
    steps = [each for each in study.results if each.task.fraction]
    best = max(steps, key=lambda each: (each.quality.accuracy, -each.task.fraction), default=None)
    if native and single:
        yield "How does the TFLite FP32 model compare with the native model?", _float_answer(native, single)
    if single and best:
        yield (
            "How does the best INT8 model compare with the TFLite FP32 model?",
            [
                f"The best one is {best.task.name}"
                + (" (of equal ones the one with the fewest samples)." if _tied(steps, best) else "."),
                _quality(single, best),
                _speed(single, best) + " That is on this computer; a board has times of its own.",
                _sizes(single, best),
            ],
        )
    if len(steps) > 1:
        yield (
            "Is there a trend in the quality of INT8 models over the size of the calibration set?",
            _trend(steps),
        )
    if bad and best:
        yield (
            "How does the model calibrated with one class compare with the other INT8 models?",
            _one_class(bad, best),
        )


def _float_answer(native: Result, single: Result) -> list[str]:
    furthest = float(np.abs(native.timed.outputs - single.timed.outputs).max())
    return [
        _quality(native, single),
        f"The largest difference of any output value is {furthest:.2g}.",
        _speed(native, single),
    ]


def _quality(first: Result, second: Result) -> str:
    pair = _pair(first, second)
    told = "a difference" if pair.p_value < SURE else "no difference beyond chance"
    return (
        f"Quality: accuracy {second.quality.accuracy:.2%} against {first.quality.accuracy:.2%} of "
        f"{first.task.name}: {pair.lost} of {counted(pair.samples, 'sample')} lost, {pair.gained} gained, "
        f"p = {pair.p_value:.2g}: {told}."
    )


def _speed(first: Result, second: Result) -> str:
    before, after = (float(np.median(each.timed.kept_ms)) for each in (first, second))
    ratio = max(before / after, after / before)
    told = f"{ratio:.2f} times as {'fast' if after < before else 'slow'}"
    if ratio < NOTABLE:
        told = "about the same"
    return f"Performance: {after:.3f} ms against {before:.3f} ms per inference (medians): {told}."


def _sizes(first: Result, second: Result) -> str:
    before, after = first.bytes or 0, second.bytes or 0
    return f"Size: {after:,} bytes against {before:,}: {before / after:.2f} times smaller."


def _tied(steps: list[Result], best: Result) -> bool:
    return sum(each.quality.accuracy == best.quality.accuracy for each in steps) > 1


def _trend(steps: list[Result]) -> list[str]:
    first, last = steps[0], steps[-1]
    values = [each.quality.accuracy for each in steps]
    pair = _pair(first, last)
    if pair.p_value >= SURE:
        told = "The differences are no larger than chance alone makes them: there is no trend to be seen here"
    elif values == sorted(values):
        told = "Yes: more calibration samples give a better model"
    elif pair.gained > pair.lost:
        told = "The largest set gives a better model than the smallest, but not every step is one upwards"
    else:
        told = "Yes, but downwards: more calibration samples give a worse model"
    row = ", ".join(f"{each.quality.accuracy:.2%} with {each.calibrated}" for each in steps)
    return [
        f"{told}.",
        f"Accuracy by calibration samples: {row}.",
        f"From {first.task.name} to {last.task.name} {pair.gained} samples are gained and {pair.lost} lost, "
        f"p = {pair.p_value:.2g}.",
    ]


def _one_class(bad: Result, best: Result) -> list[str]:
    pair = _pair(best, bad)
    if pair.p_value >= SURE or pair.drop <= 0:
        told = "It is not worse, as far as these samples tell"
    else:
        told = f"It is worse by {100 * pair.drop:.2f} percentage points"
    name = bad.task.config.calibration.classes[0] if bad.task.config else ""
    lines = [
        f"{told}: accuracy {bad.quality.accuracy:.2%} against {best.quality.accuracy:.2%} of "
        f"{best.task.name}, {pair.lost} of {counted(pair.samples, 'sample')} lost, {pair.gained} gained, "
        f"p = {pair.p_value:.2g}.",
        f"It was calibrated with {counted(bad.calibrated or 0, 'sample')} of class {plain(name)}. "
        f"{bad.quality.never} of {bad.quality.classes} classes it never names "
        f"({best.task.name}: {best.quality.never}).",
    ]
    if bad.at_ends is not None and best.at_ends is not None:
        lines.append(
            f"Of all input values of the test {bad.at_ends:.2%} lie at the ends of its input's int8 range, "
            f"where all that is larger becomes the same ({best.task.name}: {best.at_ends:.2%})."
        )
    if failed := bad.row.failed:
        lines.append(f"The gate says: {plain('; '.join(failed))}.")
    return lines


def _pair(first: Result, second: Result) -> Paired:
    """Which samples ``second`` loses and gains against ``first``."""
    return paired(first.quality.right, second.quality.right)
