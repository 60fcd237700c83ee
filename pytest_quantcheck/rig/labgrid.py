"""Places of a labgrid farm as locks, taken and given back by labgrid's own client.

The client is a program in an environment of its own, since labgrid's fork of pyserial overwrites pyserial. It
knows the coordinator from ``LG_COORDINATOR``. Its interface to Python is not public; its commands are.
"""

from __future__ import annotations

import ast
import os
import re
import socket
import subprocess
from contextlib import suppress

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig.user import user_name

CLIENT_VARIABLE = "QC_LABGRID_CLIENT"
_SECONDS = 30.0
_HOST_VARIABLE, _USER_VARIABLE = "LG_HOSTNAME", "LG_USERNAME"
_RESOURCE = re.compile(r"^Acquired resource .*:\n((?:[ \t]+.*(?:\n|$))+)", re.MULTILINE)
_SCHEMES = {"raw": "socket", "rfc2217": "rfc2217"}


class Place:
    """A place, by its name. Methods raise ``RigFault`` (lease) when the coordinator does not answer or does
    not know the place, ``UsageError`` without a client.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        host = os.environ.get(_HOST_VARIABLE) or socket.gethostname()
        user = os.environ.get(_USER_VARIABLE) or user_name() or "quantcheck"
        self._us = (host, f"{user}-{os.getpid()}")  # each process for itself
        self._ours = False

    def acquire(self) -> bool:
        """Take it if it is free; whether it was."""
        if self.holder():
            return False
        self._ours = True  # from here on whatever goes wrong may leave us its holder
        try:
            self._ours = self._acquired()
        except BaseException:
            self.release()
            raise
        return self._ours

    def release(self) -> None:
        """Give it back. Harmless when somebody has taken it away: nobody else loses it."""
        ours, self._ours = self._ours, False
        if ours:
            with suppress(RigFault, UsageError):
                self._client("release-from", "/".join(self._us))

    def holder(self) -> str:
        """Who has it, as ``host/user``; empty when it is free."""
        found = re.search(r"^\s*acquired: (.+?)\s*$", self._show(), re.MULTILINE)
        return "" if found is None or found[1] == "None" else found[1]

    def taken_away(self) -> str:
        """What became of a place that was ours; empty while it still is."""
        now = self.holder()
        if self._ours and now == "/".join(self._us):
            return ""
        return f"place {self.name} was taken away from this run; it is " + (
            f"held by {now}" if now else "free"
        )

    def port(self) -> str:
        """The URL of its serial port."""
        for text in _RESOURCE.findall(self._show()):
            with suppress(ValueError, SyntaxError, KeyError, TypeError):
                resource = ast.literal_eval(text.strip())
                if resource["cls"] != "NetworkSerialPort" or not resource["avail"]:
                    continue
                facts = resource["params"]
                return f"{_SCHEMES[facts['protocol']]}://{facts['host']}:{int(facts['port'])}"
        raise self._fault("exports no NetworkSerialPort (protocol raw or rfc2217) that is available now")

    def _acquired(self) -> bool:
        code, said = self._client("acquire")
        if code:
            if "already acquired" in said:  # somebody was faster
                return False
            raise self._fault(f"cannot be acquired: {said}")
        now, us = self.holder(), "/".join(self._us)
        if now not in ("", us):
            raise self._fault(
                f"was acquired as {us} and is held by {now}: somebody took it at once, or the client does "
                f"not keep to {_HOST_VARIABLE} and {_USER_VARIABLE} (a wrapper must pass them on)"
            )
        return bool(now)

    def _show(self) -> str:
        code, said = self._client("show")
        if code:
            raise self._fault(f"is not known to the coordinator: {said}")
        return said

    def _client(self, *command: str) -> tuple[int, str]:
        program = os.environ.get(CLIENT_VARIABLE, "labgrid-client")
        host, user = self._us
        try:
            done = subprocess.run(
                [program, "-p", self.name, *command],
                env={**os.environ, _HOST_VARIABLE: host, _USER_VARIABLE: user},
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except FileNotFoundError as error:
            raise UsageError(
                f"place {self.name} needs labgrid's client {program!r}, which is not there. Install labgrid "
                f"into an environment of its own and name the program in {CLIENT_VARIABLE}"
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._fault(f"cannot be asked for: {error}") from error
        return done.returncode, (done.stdout + done.stderr).strip()

    def _fault(self, what: str) -> RigFault:
        return RigFault("lease", f"labgrid place {self.name} {what}")
