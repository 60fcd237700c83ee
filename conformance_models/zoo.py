"""The trained models of the source systems' kinds, by name."""

from __future__ import annotations

MODELS = ("audio_events", "persons", "pets", "keywords", "images", "activity", "mnist_gemm")
"""With weights and a card each."""
WITHOUT_WEIGHTS = ("anomalies",)
"""Ready to be trained by ``python -m conformance_models NAME``; then measured, and named in ``MODELS``."""
