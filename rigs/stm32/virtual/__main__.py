"""``python -m rigs.stm32.virtual [FLASH.BIN]``: a virtual board for pyOCD and a terminal, until Ctrl-C."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from pytest_quantcheck.errors import QuantcheckError
from pytest_quantcheck.temporary import OwnFolder
from rigs.stm32.virtual.client import ENVIRONMENT, VirtualBoard


def main(arguments: Sequence[str]) -> int:
    """Start the board, say how to reach it, wait. The optional argument is a file that keeps its flash."""
    if len(arguments) > 1 or arguments[:1] in (["-h"], ["--help"]):
        print("usage: python -m rigs.stm32.virtual [FLASH.BIN]", file=sys.stderr)
        return 2
    try:
        with OwnFolder("board") as logs:
            flash = Path(arguments[0]) if arguments else None
            board = VirtualBoard("virtual-stm32f405", Path(logs), flash)
            try:
                with suppress(KeyboardInterrupt):
                    print(f"console:   pyserial-miniterm --raw socket://127.0.0.1:{board.serial_port}")
                    print(f"for pyOCD: export {ENVIRONMENT}={board.probe_id}={board.control}")
                    print(f"           pyocd flash -u {board.probe_id} -t stm32f405xg FIRMWARE", flush=True)
                    while True:
                        time.sleep(3600)
            finally:
                board.close()
    except QuantcheckError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
