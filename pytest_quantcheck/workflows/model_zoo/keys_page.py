"""docs/model-zoo-keys.md: every key of every section, from the sections themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any, get_type_hints

from pytest_quantcheck.workflows.model_zoo.section import alternatives, describe, rule_of
from pytest_quantcheck.workflows.model_zoo.sections.boards import Benchmarking, Deployment, Tools
from pytest_quantcheck.workflows.model_zoo.sections.dataset import AudioDataset, ImageDataset
from pytest_quantcheck.workflows.model_zoo.sections.evaluation import Evaluation, Postprocessing, Prediction
from pytest_quantcheck.workflows.model_zoo.sections.general import General, Model
from pytest_quantcheck.workflows.model_zoo.sections.preprocessing import (
    AudioPreprocessing,
    FeatureExtraction,
    ImagePreprocessing,
)
from pytest_quantcheck.workflows.model_zoo.sections.quantcheck import Mlflow, Quantcheck
from pytest_quantcheck.workflows.model_zoo.sections.quantization import Quantization

PAGES: dict[str, type[Any]] = {
    "general": General,
    "model": Model,
    "dataset (images)": ImageDataset,
    "dataset (audio)": AudioDataset,
    "preprocessing (images)": ImagePreprocessing,
    "preprocessing (audio)": AudioPreprocessing,
    "feature_extraction": FeatureExtraction,
    "quantization": Quantization,
    "evaluation": Evaluation,
    "postprocessing": Postprocessing,
    "prediction": Prediction,
    "benchmarking": Benchmarking,
    "deployment": Deployment,
    "tools": Tools,
    "mlflow": Mlflow,
    "quantcheck": Quantcheck,
}
HEAD = (
    "# Keys of a Model-Zoo configuration\n\n"
    "What [Model-Zoo configurations](model-zoo.md) may say. `operation_mode` names the mode; `hydra` is "
    "Hydra's own section; `training`\nand `data_augmentation` are not read. A key without a default is "
    "needed where its section is. Numbers may be expressions such as\n`1/127.5`. This page is made by "
    "`python -m pytest_quantcheck.workflows.model_zoo.keys_page`.\n"
)


def page() -> str:
    """The whole page."""
    parts = [HEAD]
    for title, kind in PAGES.items():
        rows = "\n".join(_rows(kind, ""))
        parts.append(f"## {title}\n\n| key | takes | default | meaning |\n|---|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def _rows(kind: type[Any], prefix: str) -> Iterator[str]:
    hints = get_type_hints(kind)
    for each in fields(kind):
        nested = next((one for one in alternatives(hints[each.name]) if is_dataclass(one)), None)
        if nested is not None:
            yield from _rows(nested, f"{prefix}{each.name}.")  # type: ignore[arg-type]  # a class
            continue
        rule = rule_of(each)
        meaning = f"decides nothing: {rule.ignored}" if rule.ignored else rule.doc
        meaning = f"refused: {rule.refused}" if rule.refused else meaning
        takes = "nothing" if rule.refused else describe(hints[each.name], rule)
        yield f"| `{prefix}{each.name}` | {takes} | {_default(each)} | {meaning} |"


def _default(each: Field[Any]) -> str:
    if each.default is MISSING:
        return "needed"
    return "" if each.default in (None, ()) else f"`{each.default}`"


if __name__ == "__main__":
    print(page(), end="")
