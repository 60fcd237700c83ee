"""``quantcheck quantize`` of an MLTK archive: with the archive's settings, into it or into a copy of it."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_quantcheck.cli.files import check_file
from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.models.files.mltk_archive import SUFFIX

if TYPE_CHECKING:
    from pytest_quantcheck.cache import Cache
    from pytest_quantcheck.data.representative import Data
    from pytest_quantcheck.quantizers.quantized_model import QuantizedModel

_INSTEAD = {
    "input_type": "--converter inference_input_type=int8",
    "output_type": "--converter inference_output_type=int8",
    "granularity": "--converter _experimental_disable_per_channel=True",
    "calibration": "--converter representative_dataset_max_samples=100",
}
_HASHES = (("weights", "weights_sha256"), ("parameters", "metadata_sha256"))
_OTHERS = ("quantizer", "scheme", "optimize", "option", "seed", "convergence", "input_range")


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that only an archive of MLTK takes."""
    parser.add_argument(
        "--converter",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="of a .mltk.zip: a tflite_converter setting instead of the archive's, repeatable",
    )
    parser.add_argument(
        "--trust",
        action="store_true",
        help="of a .mltk.zip: run the script in it for settings and data",
    )
    parser.add_argument(
        "--update-archive", action="store_true", help="of a .mltk.zip: write the models into it"
    )


def refuse(args: argparse.Namespace) -> None:
    """Raises ``UsageError`` for options of archives where the model is none."""
    for key in ("converter", "trust", "update_archive"):
        if getattr(args, key):
            raise UsageError(f"--{key.replace('_', '-')} is for archives of MLTK ({SUFFIX}); leave it out")


def quantize_archive(
    args: argparse.Namespace, data: Data | None, cache: Cache
) -> tuple[QuantizedModel, list[str]]:
    """The model, and what was written; nothing, where it fails. Raises ``UsageError``, ``ModelError``."""
    from pytest_quantcheck.quantizers.artefact import write_artefact
    from pytest_quantcheck.workflows.mltk.quantize import make
    from pytest_quantcheck.workflows.mltk.settings import from_text

    path = Path(args.model)
    target = _target(args, path)
    override = dict(from_text(text) for text in args.converter)
    if args.trust:
        print(f"running the script in {path}, as --trust says ...", file=sys.stderr, flush=True)
    made = make(path, override, data=data, trust=args.trust, cache=cache)
    found = made.model.manifest["mltk"]
    lines = [f"{what} SHA-256 {found[key]}" for what, key in _HASHES]
    if target.suffix == ".tflite":
        return made.model, [*lines, f"manifest: {write_artefact(made.model, target)}"]
    left_out = made.write_archive(target)
    lines.append("the archive itself was written" if args.update_archive else f"a copy; {path} is as it was")
    return made.model, [*lines, *(f"left out, for it tells of the old model: {name}" for name in left_out)]


def target_of(args: argparse.Namespace) -> Path:
    """Where the result goes: the archive, ``--output``, or a copy in the present folder."""
    if args.update_archive:
        return Path(args.model)
    return args.output or Path(f"{Path(args.model).name[: -len(SUFFIX)]}-quantized{SUFFIX}")


def _target(args: argparse.Namespace, path: Path) -> Path:
    """Raises ``UsageError`` for options that cannot go together, before the long work begins."""
    for key in (*_INSTEAD, *_OTHERS):
        if getattr(args, key):
            instead = _INSTEAD.get(key, "leave it out, or quantize the .h5 in it")
            raise UsageError(
                f"--{key.replace('_', '-')} with an archive, which has converter settings of its "
                f"own; {instead}"
            )
    if args.update_archive and args.output:
        raise UsageError("--update-archive writes the archive, --output something else; give one")
    target = target_of(args)
    if target.suffix != ".tflite" and not target.name.lower().endswith(SUFFIX):
        raise UsageError(f"--output {target}: give a name that ends in .tflite or {SUFFIX}")
    check_file("--output", target, Path(args.data) if args.data else None)
    if not args.update_archive and target.exists() and path.exists() and target.samefile(path):
        raise UsageError(f"--output {target} is the archive itself; give another name, or --update-archive")
    return target
