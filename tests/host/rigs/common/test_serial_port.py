"""What goes wrong while a serial port is opened is one kind of error."""

from __future__ import annotations

import os
import termios
from typing import NoReturn

import pytest
import serial

from rigs.common.serial_port import open_port

pytestmark = pytest.mark.host


def test_an_other_end_that_goes_away_is_a_serial_exception(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object) -> NoReturn:
        raise termios.error(5, "Input/output error")

    ours, theirs = os.openpty()
    port = serial.Serial()
    port.port = os.ttyname(theirs)
    open_port(port)
    port.close()
    monkeypatch.setattr(termios, "tcsetattr", gone)
    with pytest.raises(serial.SerialException, match="Input/output error"):
        open_port(port)
    os.close(ours)
    os.close(theirs)
