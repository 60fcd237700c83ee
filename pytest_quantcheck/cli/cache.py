"""``quantcheck cache``: where conversions are kept, how many and how large; ``--prune`` removes old ones."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from pytest_quantcheck.errors import UsageError

MIB = 1 << 20
USUAL_MIB = 512.0


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The options of ``quantcheck cache``."""
    parser = subparsers.add_parser(
        "cache",
        help="say where conversions are kept and how many, or prune them",
        description="Conversions are kept by content. Without options: where, how many, how large. "
        "With --prune the longest unused ones go until the rest is small enough; nothing that is being made "
        "is touched.",
    )
    parser.add_argument("--prune", action="store_true", help="remove what is too old or too much")
    parser.add_argument(
        "--max-mib",
        type=float,
        metavar="MIB",
        help=f"with --prune: keep at most so much (default: {USUAL_MIB:g}; 0 removes everything)",
    )
    parser.add_argument(
        "--max-age-days", type=float, metavar="DAYS", help="with --prune: remove what was unused for longer"
    )
    parser.add_argument(
        "--cache", metavar="DIR", type=Path, help="the folder (default: QC_CACHE, platform's)"
    )


def run(args: argparse.Namespace) -> int:
    """Print, and prune where asked; returns 0."""
    from pytest_quantcheck.cache import Cache

    limits = {"--max-mib": args.max_mib, "--max-age-days": args.max_age_days}
    for option, value in limits.items():
        if value is not None and not args.prune:
            raise UsageError(f"{option} {value:g} has no meaning without --prune; add it")
        if value is not None and not 0 <= value < math.inf:
            raise UsageError(f"{option} {value:g}: allowed: a number from 0")
    cache = Cache(args.cache)
    if cache.root.exists() and not cache.root.is_dir():
        option = "--cache" if args.cache else "QC_CACHE"
        raise UsageError(f"{option} {cache.root}: this is not a folder; name one, or a new one")
    if args.prune:
        most = USUAL_MIB if args.max_mib is None else args.max_mib
        pruned = cache.prune(max_age_days=args.max_age_days, max_bytes=int(most * MIB))
        print(f"removed {pruned.removed} entries, {pruned.removed_bytes / MIB:.1f} MiB")
        if pruned.leftovers:
            print(f"removed {pruned.leftovers} half-written files of processes that were killed")
    entries, size = cache.size()
    print(f"{cache.root}: {entries} entries, {size / MIB:.1f} MiB")
    return 0
