"""What the device says of its model: DESCRIBE, SELECT, COMMIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pytest_quantcheck.rig.messages.fields import U16, U32, Choice, Number, Padded, Word
from pytest_quantcheck.rig.messages.message import Message, Repeated
from pytest_quantcheck.rig.messages.numbers import DTYPES, Place


@dataclass(frozen=True)
class TensorInfo(Message):
    """An input or output: NumPy name of the data type, and bytes."""

    dtype: Annotated[str, Word(4, DTYPES)]
    bytes: Annotated[int, Number(4, 1)]


@dataclass(frozen=True)
class ModelInfo(Message):
    """The loaded model as the runtime sees it (LINK.md, DESCRIBE). ``tensors``: inputs, then outputs."""

    arena_bytes: Annotated[int, U32]
    operators: Annotated[int, U32]
    input_count: Annotated[int, U16]
    output_count: Annotated[int, U16]
    tensors: Annotated[tuple[TensorInfo, ...], Repeated(TensorInfo)]

    @classmethod
    def of(
        cls, arena_bytes: int, operators: int, inputs: Sequence[TensorInfo], outputs: Sequence[TensorInfo]
    ) -> ModelInfo:
        """A model with these inputs and outputs."""
        return cls(arena_bytes, operators, len(inputs), len(outputs), (*inputs, *outputs))

    @property
    def inputs(self) -> tuple[TensorInfo, ...]:
        """Its inputs in the model's order."""
        return self.tensors[: self.input_count]

    @property
    def outputs(self) -> tuple[TensorInfo, ...]:
        """Its outputs in the model's order."""
        return self.tensors[self.input_count :]

    def contradiction(self) -> str:
        if len(self.tensors) == self.input_count + self.output_count:
            return ""
        return (
            f"{self.input_count} inputs and {self.output_count} outputs, but {len(self.tensors)} descriptions"
        )


@dataclass(frozen=True)
class SelectAnswer(Message):
    """Where the selected model lies, and its bytes and their CRC-32 computed now (LINK.md, SELECT)."""

    place: Annotated[Place, Padded(Choice(1, Place), 3)]
    image_bytes: Annotated[int, U32]
    image_crc32: Annotated[int, U32]

    def contradiction(self) -> str:
        return "it selected a model and holds none" if self.place == Place.NONE else ""


@dataclass(frozen=True)
class CommitAnswer(Message):
    """CRC-32 over what has arrived (LINK.md, COMMIT)."""

    crc32: Annotated[int, U32]
