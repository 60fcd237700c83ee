"""Rebuild what the tree holds of the digits: the weights, or with ``--demo`` the demo's artefacts."""

from __future__ import annotations

import argparse

from conformance_models import digits


def main() -> int:
    """Train and write the weights, or quantize for the demo; prints what was written."""
    parser = argparse.ArgumentParser(prog="python -m conformance_models.digits", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="rebuild pytest_quantcheck/demo/data instead")
    if parser.parse_args().demo:
        from conformance_models.digits.demo import write_demo

        for path in write_demo():
            print(path)
        return 0
    model = digits.train()
    digits.save_weights(model)
    print(f"{digits.WEIGHTS}: {digits.accuracy(model, digits.dataset().test):.2%} of {digits.HELD_OUT}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
