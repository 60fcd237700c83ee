"""Train conformance models again and write their weights: ``python -m conformance_models [NAME...]``."""

from __future__ import annotations

import argparse
import time
from importlib import import_module

from conformance_models import fit
from conformance_models.zoo import MODELS


def main() -> int:
    """Train the models that are named, all by default; prints what was written and how long it took."""
    parser = argparse.ArgumentParser(prog="python -m conformance_models", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(MODELS)}; default: all")
    known = MODELS
    names = parser.parse_args().names or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"there is no {unknown[0]}; allowed: {', '.join(known)}")
    for name in names:
        start, work = time.monotonic(), time.process_time()
        module = import_module(f"conformance_models.{name}")
        model = module.train()
        fit.save(model, module.WEIGHTS)
        size = module.WEIGHTS.stat().st_size
        spent = f"{time.monotonic() - start:.0f} s, {time.process_time() - work:.0f} s of processors"
        print(f"{module.WEIGHTS}: {model.count_params()} parameters, {size} bytes, {spent}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
