"""``make hostile``; what it does is in ``campaign.py``, which its processes can import by name."""

from __future__ import annotations

import sys

from tests.hostile.campaign import main

if __name__ == "__main__":
    sys.exit(main())
