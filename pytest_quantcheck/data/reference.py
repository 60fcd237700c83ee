"""``"package.module:function"``: how tests, options and commands name the user's own Python."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path

from pytest_quantcheck.errors import UsageError


def is_reference(text: str) -> bool:
    """True for ``package.module:function``; a Windows path such as ``C:\\model.h5`` is none."""
    return re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", text) is not None


def call_reference(text: str, base: Path | None = None) -> object:
    """Import the module (``base`` is searched first) and call the function without arguments.

    Raises ``UsageError`` when it cannot be found, is no function, or fails.
    """
    if not is_reference(text):
        raise UsageError(f"{text!r} is not of the form package.module:function")
    module_name, _, attributes = text.partition(":")
    folder = str(base) if base is not None else None
    if folder is not None:
        sys.path.insert(0, folder)
    try:
        target: object = importlib.import_module(module_name)
    except ImportError as error:
        raise UsageError(
            f"{text!r}: the module cannot be imported ({error}); it is searched for in {folder or 'sys.path'}"
        ) from error
    finally:
        if folder is not None and folder in sys.path:
            sys.path.remove(folder)
    for attribute in attributes.split("."):
        if not hasattr(target, attribute):
            raise UsageError(f"{text!r}: {module_name} has no {attribute!r}")
        target = getattr(target, attribute)
    if not callable(target):
        raise UsageError(f"{text!r} is not a function; it is called without arguments")
    try:
        result: object = target()
    except TypeError as error:
        raise UsageError(f"{text!r} cannot be called without arguments, or failed: {error}") from error
    return result
