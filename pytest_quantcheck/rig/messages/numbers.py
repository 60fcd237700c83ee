"""The numbers of the link: kinds of frames, statuses, capabilities, places, data types.

``firmware/LINK.md`` is normative.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag

PROTOCOL = 1
PAYLOAD_MAX = 1024
REPLY = 0x80
SLOT_HEADER_BYTES = 64


class Kind(IntEnum):
    """Frame types: requests, and what a device may send by itself."""

    HELLO = 0x01
    BEGIN = 0x02
    DATA = 0x03
    COMMIT = 0x04
    SELECT = 0x05
    DESCRIBE = 0x06
    RUN = 0x07
    READ = 0x08
    BAUD = 0x09
    ECHO = 0x0A
    FAULT = 0x0B
    LOOP = 0x0C
    COUNTER = 0x0D
    STORE = 0x0E
    REBOOT = 0x0F
    BANNER = 0xFD
    BUSY = 0xFE
    ERROR = 0xFF


def kind_name(kind: int) -> str:
    """A frame type for people: ``RUN``, ``RUN reply``, ``type 0x42``."""
    if kind in list(Kind):
        return Kind(kind).name
    if kind ^ REPLY in list(Kind):
        return f"{Kind(kind ^ REPLY).name} reply"
    return f"type {kind:#04x}"


class Status(IntEnum):
    """``qc_status_t`` of ``firmware/include/qc_status.h``."""

    OK = 0
    MAGIC = 1
    VERSION = 2
    SIZE = 3
    CRC = 4
    BOUNDS = 5
    ALIGN = 6
    TYPE = 7
    SHAPE = 8
    PARAM = 9
    UNSUPPORTED = 10
    NO_MEMORY = 11
    NO_MODEL = 12
    STATE = 13
    ARGUMENT = 14
    PROTOCOL = 15
    UNKNOWN = 16


STATUS_TEXT = {
    Status.MAGIC: "not a device image",
    Status.VERSION: "the image's format version is not supported by this firmware",
    Status.SIZE: "a size, count or length is out of range",
    Status.CRC: "stored and recomputed CRC-32 differ",
    Status.BOUNDS: "an offset points outside its section",
    Status.ALIGN: "an offset is not aligned",
    Status.TYPE: "an unknown value of an enumeration",
    Status.SHAPE: "shapes of an operator do not fit together",
    Status.PARAM: "an operator's parameter is out of range",
    Status.UNSUPPORTED: "valid, but this runtime cannot do it",
    Status.NO_MEMORY: "the board's RAM is too small",
    Status.NO_MODEL: "no such image is on the board",
    Status.STATE: "the request does not fit the device's state",
    Status.ARGUMENT: "a field of the request is out of range",
    Status.PROTOCOL: "another protocol version",
    Status.UNKNOWN: "a request this firmware does not know",
}


class Capability(IntFlag):
    """``QC_CAP_*`` of ``firmware/include/qc_runtime.h``."""

    OPERATOR_CRC = 1
    TENSOR_FETCH = 2
    PROFILE = 4
    LOAD = 8
    STATES = 16


class Place(IntEnum):
    """Where the current model lies."""

    NONE = 0
    RAM = 1
    STORE = 2
    BUILTIN = 3


DTYPES = ("int8", "uint8", "int16", "int32", "float32")
"""NumPy names by the value of the ``dtype`` field."""
