"""Every error this project raises on purpose, so that callers can tell usage, model and rig apart.

Messages are written for a stranger: what was given, what is allowed, what to do.
"""

from __future__ import annotations

import signal


class QuantcheckError(Exception):
    """Base of all errors raised on purpose. ``exit_code`` is what the command line returns."""

    exit_code = 2


class UsageError(QuantcheckError):
    """A wrong option, configuration key, value or combination."""


class CombinationError(UsageError):
    """Each value is known, but together they are impossible. A matrix leaves such a combination out."""


class PluginError(UsageError):
    """A plug-in of some distribution is broken; what does not need it goes on without it."""


class ModelError(QuantcheckError):
    """A model or data file cannot be read, or asks for something that is not supported."""


class UnsupportedOperatorError(ModelError):
    """The model contains an operator, a data type or a parameter outside the supported set."""


class QuantizationError(QuantcheckError):
    """Quantizing failed, or the artefact is not what was asked for."""


class PrerequisiteError(QuantcheckError):
    """A step cannot run because another one, which it needs, has failed."""


class ImageError(QuantcheckError):
    """A device image is malformed or does not fit the device."""


class MissingExtraError(QuantcheckError):
    """An optional package is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs the package '{package}', which is not installed. "
            f'Install it with: pip install "pytest-quantcheck[{extra}]"'
        )
        self.package = package
        self.extra = extra


class ProcessEndedError(QuantcheckError):
    """A process that works for this one was ended from outside. It says nothing about the model."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT, getattr(signal, "SIGKILL", signal.SIGTERM))
    """No crash of a process's own ends with one of these."""

    def __init__(self, title: str, number: int) -> None:
        super().__init__(
            f"the process of {title} was ended by signal {number} ({signal.Signals(number).name}) from "
            "outside: by a person, or by the system because memory ran out. This says nothing about the "
            "model. Run it again, with more free memory or fewer processes (-n)"
        )

    @classmethod
    def applies_to(cls, exit_code: int) -> bool:
        """Whether a process with this exit code (negative: a signal) was ended from outside."""
        return -exit_code in cls.SIGNALS


class RigFault(QuantcheckError):
    """The rig, not the model, is at fault. ``kind`` is the stage that failed; ``board``: a virtual board's
    process has ended, at whatever stage.

    A rig fault ends a test as ERROR, never as a pass, a skip or a failed verdict.
    """

    exit_code = 3
    KINDS = ("lease", "board", "flash", "boot", "link", "protocol", "crash")

    def __init__(self, kind: str, message: str, *, board: str = "", log: str = "") -> None:
        if kind not in self.KINDS:
            raise ValueError(f"unknown fault kind {kind!r}; allowed: {', '.join(self.KINDS)}")
        where = f" on {board}" if board else ""
        tail = f"\nserial log: {log}" if log else ""
        super().__init__(f"{kind} fault{where}: {message}{tail}")
        self.kind = kind
        self.reason = message
        self.board = board
        self.log = log
