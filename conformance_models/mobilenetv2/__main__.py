"""Train the weights in this folder again."""

from __future__ import annotations

from conformance_models import digits, mobilenetv2


def main() -> int:
    """Train and write the weights; prints what was written."""
    model = mobilenetv2.train()
    digits.save_weights(model, mobilenetv2.WEIGHTS)
    print(f"{mobilenetv2.WEIGHTS}: {digits.accuracy(model, digits.dataset().test):.2%} of {digits.HELD_OUT}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
