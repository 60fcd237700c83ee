"""Runs in the environment of esp-ppq: what its own classes read from an ``.espdl`` file, as JSON.

``python read.py FILE``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from esp_ppq.parser.espdl.FlatBuffers.Dl import Model

HEADER_BYTES = 16


def main(path: Path) -> None:
    graph = Model.Model.GetRootAs(path.read_bytes()[HEADER_BYTES:], 0).Graph()
    nodes = [graph.Node(i) for i in range(graph.NodeLength())]
    kinds = ("Initializer", "TestInputsValue", "TestOutputsValue")
    print(
        json.dumps(
            {
                "nodes": [
                    [
                        node.OpType().decode(),
                        [node.Input(i).decode() for i in range(node.InputLength())],
                        [node.Output(i).decode() for i in range(node.OutputLength())],
                    ]
                    for node in nodes
                ],
                "tensors": [
                    tensor(getattr(graph, kind)(i))
                    for kind in kinds
                    for i in range(getattr(graph, f"{kind}Length")())
                ],
            }
        )
    )


def tensor(given: Any) -> list[Any]:
    units = [given.RawData(i).BytesAsNumpy().tobytes() for i in range(given.RawDataLength())]
    exponents = [int(given.Exponents(i)) for i in range(given.ExponentsLength())]
    shape = [int(given.Dims(i)) for i in range(given.DimsLength())]
    return [given.Name().decode(), shape, exponents, b"".join(units).hex()]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
