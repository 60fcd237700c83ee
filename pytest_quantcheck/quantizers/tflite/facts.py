"""What decides a result of TensorFlow's converter: the cache key of each step."""

from __future__ import annotations

from typing import Any

from pytest_quantcheck.data.representative import Representative
from pytest_quantcheck.models.conversion import converter
from pytest_quantcheck.models.float_model import FloatModel


def facts_of(step: str, model: FloatModel, samples: Representative | None, **more: Any) -> dict[str, Any]:
    """Everything that the result of ``step`` depends on, and nothing else; ``more`` is what the step adds."""
    return {
        "make": step,
        "source": [model.source_sha256, model.semantic_sha256],
        "samples": samples.sha256 if samples else "",
        "tensorflow": converter.tensorflow_version(),
        **more,
    }
