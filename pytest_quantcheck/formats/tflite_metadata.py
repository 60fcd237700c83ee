"""The named blobs of a ``.tflite`` file, its *metadata*: read, and set without touching the network.

Setting puts a new root table in front of the file. Its old tables and weights stay as they are, aligned as
before; the last bytes say where they begin, so that setting again replaces what was in front.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping

import flatbuffers  # type: ignore[import-untyped]
import tflite

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.detect import is_tflite
from pytest_quantcheck.formats.tflite import damaged

MAX_ENTRIES = 256
MAX_BYTES = 1 << 24  # of one entry
_MARK = b"\0quantcheck\0"
_TAIL = len(_MARK) + 4
_ALIGNED = 16
_DESCRIPTION, _OPERATOR_CODES, _SUBGRAPHS, _SIGNATURES = 3, 1, 2, 7  # fields of the root table


def read_metadata(content: bytes) -> dict[str, bytes]:
    """Each entry by its name. Raises ``ModelError`` for a damaged file."""
    if not is_tflite(content):
        raise ModelError("not a .tflite file: there is no identifier TFL3 at offset 4")
    try:
        model = tflite.Model.GetRootAs(content, 0)
        if model.Version() != 3:
            raise ModelError(f"TFLite schema version {model.Version()} is not known; 3 is")
        count = model.MetadataLength()
        if count > MAX_ENTRIES:
            raise ModelError(f"the file claims {count} entries of metadata; at most {MAX_ENTRIES} are read")
        return dict(_entry(model, i) for i in range(count))
    except ModelError:
        raise
    except Exception as error:  # whatever following a damaged offset leads to
        raise damaged(content, error) from error


def with_metadata(content: bytes, entries: Mapping[str, bytes]) -> bytes:
    """The same file with ``entries`` added to its metadata, or in the place of entries of these names.

    Raises ``ModelError`` for a damaged file, and for one that keeps weights behind its flatbuffer.
    """
    present, inner = read_metadata(content), _inner(content)
    try:
        original = read_metadata(inner)
        put = {name: data for name, data in present.items() if original.get(name) != data} | dict(entries)
        return _in_front(inner, put)
    except ModelError:
        raise
    except Exception as error:  # as above
        raise damaged(content, error) from error


def _entry(model: tflite.Model, index: int) -> tuple[str, bytes]:
    entry = model.Metadata(index)
    buffer = entry.Buffer()
    if not 0 <= buffer < model.BuffersLength():
        raise ModelError(f"the file's metadata lie in buffer {buffer}, which it does not have")
    found = model.Buffers(buffer)
    if found.DataLength() > MAX_BYTES:
        raise ModelError(f"an entry of metadata has {found.DataLength()} bytes; at most {MAX_BYTES} are read")
    data = b"" if found.DataIsNone() else found.DataAsNumpy().tobytes()
    return (entry.Name() or b"").decode("utf-8", "replace"), data


def _inner(content: bytes) -> bytes:
    """The file as it was before ``with_metadata``, padded."""
    if content[-_TAIL:-4] == _MARK:
        (size,) = struct.unpack("<I", content[-4:])
        if is_tflite(content[len(content) - size : -_TAIL]):
            return content[len(content) - size : -_TAIL]
    return content


def _in_front(inner: bytes, put: Mapping[str, bytes]) -> bytes:
    """A flatbuffer is written from its end: ``inner`` is what has been written when the root table begins."""
    model = tflite.Model.GetRootAs(inner, 0)
    if any(model.Buffers(i).Offset() > 1 for i in range(model.BuffersLength())):
        raise ModelError("the file keeps weights behind its flatbuffer, where parameters would move them")
    padded = inner + bytes(-len(inner) % _ALIGNED)
    size = len(padded) + _TAIL
    builder = flatbuffers.Builder(size)
    builder.Bytes[-size:] = padded + _MARK + struct.pack("<I", size)
    builder.head = len(builder.Bytes) - size
    builder.minalign = _ALIGNED

    def old(place: int) -> int:
        return size - place

    buffers = [old(model.Buffers(i)._tab.Pos) for i in range(model.BuffersLength())]
    metadata = []
    for i in range(model.MetadataLength()):
        if (model.Metadata(i).Name() or b"").decode("utf-8", "replace") not in put:
            metadata.append(old(model.Metadata(i)._tab.Pos))
    for name, data in put.items():
        metadata.append(_new_entry(builder, name, data, buffers))
    made = _vector(builder, buffers), _vector(builder, metadata)
    tflite.ModelStart(builder)
    tflite.ModelAddVersion(builder, model.Version())
    for field in (_OPERATOR_CODES, _SUBGRAPHS, _DESCRIPTION, _SIGNATURES):
        if offset := model._tab.Offset(4 + 2 * field):
            target = model._tab.Indirect(model._tab.Pos + offset)
            builder.PrependUOffsetTRelativeSlot(field, old(target), 0)
    tflite.ModelAddBuffers(builder, made[0])
    tflite.ModelAddMetadata(builder, made[1])
    builder.Finish(tflite.ModelEnd(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def _new_entry(builder: flatbuffers.Builder, name: str, data: bytes, buffers: list[int]) -> int:
    """A buffer with ``data``, put behind ``buffers``, and the entry that names it."""
    builder.StartVector(1, len(data), _ALIGNED)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    content = builder.EndVector()
    tflite.BufferStart(builder)
    tflite.BufferAddData(builder, content)
    buffers.append(tflite.BufferEnd(builder))
    text = builder.CreateString(name)
    tflite.MetadataStart(builder)
    tflite.MetadataAddName(builder, text)
    tflite.MetadataAddBuffer(builder, len(buffers) - 1)
    return int(tflite.MetadataEnd(builder))


def _vector(builder: flatbuffers.Builder, places: list[int]) -> int:
    builder.StartVector(4, len(places), 4)
    for place in reversed(places):
        builder.PrependUOffsetTRelative(place)
    return int(builder.EndVector())
