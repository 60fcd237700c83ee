"""Starting one of our modules in a Python process of its own."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = str(Path(__file__).resolve().parents[2])
_PROGRAM = (
    "import sys; sys.path[:] = [entry for entry in sys.path if entry]; "
    "sys.path.insert(0, {root!r}); from {module} import main; sys.exit(main({arguments!r}))"
)


def python_command(module: str, arguments: list[str]) -> list[str]:
    """The command that calls ``main(arguments)`` of ``module``.

    With ``python -m`` a folder ``rigs`` in the working directory would hide ours.
    """
    program = _PROGRAM.format(root=_ROOT, module=module, arguments=arguments)
    return [sys.executable, "-c", program]
