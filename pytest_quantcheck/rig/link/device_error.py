"""The device's refusal of a request."""

from __future__ import annotations

from pytest_quantcheck.errors import RigFault
from pytest_quantcheck.rig.messages.numbers import STATUS_TEXT, Status, kind_name


class DeviceError(RigFault):
    """The device answered ERROR: ``status``, its ``detail`` and the ``request`` say to what."""

    def __init__(self, request: int, status: int, detail: int) -> None:
        text = STATUS_TEXT[Status(status)] if status in STATUS_TEXT else f"unknown status {status}"
        super().__init__("protocol", f"the device refused {kind_name(request)}: {text} (detail {detail})")
        self.request = request
        self.status = status
        self.detail = detail
