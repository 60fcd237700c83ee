"""``"package.module:function"``: how tests, options and commands name the user's own Python."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_quantcheck.errors import QuantcheckError, UsageError


def is_reference(text: str) -> bool:
    """True for ``package.module:function``; a Windows path such as ``C:\\model.h5`` is none."""
    return re.fullmatch(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", text) is not None


def call_reference(text: str, base: Path | None = None) -> object:
    """Import the module (from ``base``, else ``sys.path`` or the working folder) and call the function.

    Raises ``UsageError`` when it cannot be found, wants arguments, or fails; errors of this project pass.
    """
    if not is_reference(text):
        raise UsageError(f"{text!r} is not of the form package.module:function")
    with _searched(base):
        function = _find(text, base)
        try:
            result: object = function()
        except QuantcheckError:
            raise
        except (Exception, SystemExit) as error:
            where = _line(error, function)
            raise UsageError(f"{text!r} failed{where}: {type(error).__name__}: {error}") from error
    return result


def _line(error: BaseException, function: Callable[[], object]) -> str:
    """Where in the user's own file it went wrong; nothing for an object that is called, such as a partial."""
    try:
        file = inspect.getsourcefile(inspect.unwrap(function))
    except TypeError:
        return ""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == file]
    return f" at {Path(str(file)).name}:{lines[-1]}" if lines else ""


@contextlib.contextmanager
def _searched(base: Path | None) -> Iterator[None]:
    """``base`` first and the working folder last; what the user's module adds to the path stays."""
    first, last = str(base or Path.cwd()), str(Path.cwd())
    appended = last not in sys.path
    sys.path.insert(0, first)
    if appended:
        sys.path.append(last)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the user's module may have tidied up
            sys.path.remove(first)  # takes the first of equal ones, which is ours
            if appended:
                sys.path.remove(last)


def _find(text: str, base: Path | None) -> Callable[[], object]:
    module_name, _, attributes = text.partition(":")
    try:
        target: object = importlib.import_module(module_name)
    except QuantcheckError:
        raise
    except (Exception, SystemExit) as error:  # the module is the user's: it may raise anything
        raise UsageError(
            f"{text!r}: the module cannot be imported ({type(error).__name__}: {error}); "
            f"it is searched for in {base or Path.cwd()} and sys.path"
        ) from error
    for attribute in attributes.split("."):
        if not hasattr(target, attribute):
            raise UsageError(f"{text!r}: {module_name} has no {attribute!r}")
        target = getattr(target, attribute)
    if not callable(target):
        raise UsageError(f"{text!r} is not a function; it is called without arguments")
    try:
        inspect.signature(target).bind()
    except TypeError as error:
        raise UsageError(f"{text!r} is called without arguments, but: {error}") from error
    except ValueError:  # a function of C that does not tell its signature
        pass
    return target
