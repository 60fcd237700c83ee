"""``make fuzz``: every target under libFuzzer for FUZZ_SECONDS, one process each.

What was learned stays in ``build/fuzz/corpus`` and is where the next campaign begins; what was found lies in
``build/fuzz/findings`` and ends the campaign with an error.
"""

from __future__ import annotations

import os
import sys

from tests.firmware.fuzz import seeds
from tests.firmware.fuzz.build import BUILD, TARGETS, has_libfuzzer
from tests.firmware.fuzz.campaign import HEADING, Campaign


def main() -> int:
    seconds = int(os.environ.get("FUZZ_SECONDS", "1800"))
    if not has_libfuzzer():
        print("fuzz: libFuzzer is missing; on Debian: apt-get install clang libclang-rt-dev", file=sys.stderr)
        return 2
    counts = seeds.write(BUILD / "seeds")
    print(f"fuzz: {seconds} s, seeds: " + ", ".join(f"{counts[target]} of {target}" for target in TARGETS))
    campaigns = [Campaign.start(target, seconds, BUILD / "seeds" / target, BUILD) for target in TARGETS]
    results = [campaign.wait() for campaign in campaigns]
    print(HEADING)
    for result in results:
        print(result.row())
    for result in results:
        for finding in result.findings:
            print(f"\n{result.target}: {finding}, kept as {result.artefact}\n{result.last_words}")
    return 1 if any(result.findings for result in results) else 0


if __name__ == "__main__":
    raise SystemExit(main())
