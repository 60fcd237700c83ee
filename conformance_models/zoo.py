"""The trained models of the source systems' kinds, by name."""

from __future__ import annotations

MODELS = ("audio_events", "persons", "pets", "keywords", "images", "anomalies", "activity", "mnist_gemm")
"""With weights and a card each."""
