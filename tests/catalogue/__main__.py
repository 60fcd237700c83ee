"""``make catalogue``: every fault of the catalogue injected and looked for; who is named for whom."""

from __future__ import annotations

import sys

from tests.catalogue.campaign import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
