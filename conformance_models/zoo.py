"""The trained models of the source systems' kinds, by name."""

from __future__ import annotations

MODELS = ("audio_events", "persons", "keywords", "activity", "mnist_gemm")
