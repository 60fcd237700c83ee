"""The sections of a configuration and its modes, by name. Costs nothing to import."""

from __future__ import annotations

OPERATION_MODE = "operation_mode"
SECTIONS = (
    "general",
    "model",
    "dataset",
    "preprocessing",
    "feature_extraction",
    "data_augmentation",
    "training",
    "quantization",
    "evaluation",
    "postprocessing",
    "prediction",
    "benchmarking",
    "deployment",
    "tools",
    "mlflow",
    "hydra",
    "quantcheck",
)
