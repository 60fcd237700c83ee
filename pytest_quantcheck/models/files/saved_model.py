"""What a SavedModel would do, read from its protobuf: nothing in it runs before it has been looked at.

TensorFlow runs parts of a SavedModel as soon as it loads it (initialisers, restoring), and anything that is
reachable from there or from a signature may hold operators that read, write and remove files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.files import check_regular, open_regular
from pytest_quantcheck.models.files.kind import SAVED_MODEL
from pytest_quantcheck.models.files.saved_model_operators import (
    ARITHMETIC,
    CONTROL,
    RESTORING,
    SAVING,
    STATEFUL,
)

MAX_BYTES = 1 << 30  # of a whole folder
MAX_FILES = 10_000
VARIABLES = "variables"
_OTHERS = ARITHMETIC | STATEFUL | CONTROL
_WAY_OUT = "Export the network alone, without preprocessing: model.export(folder), or save it as .keras"
_INITIALISERS = ("_initialize", "_create_resource", "_destroy_resource")


def files_of(folder: Path) -> list[Path]:
    """Every file of a SavedModel folder, sorted; links to files are files, links to folders are not followed.

    Raises ``ModelError`` for what is no regular file, and for more files or bytes than a model has.
    """
    found: list[Path] = []
    size = 0
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        size += check_regular(path)
        found.append(path)
        if len(found) > MAX_FILES or size > MAX_BYTES:
            raise ModelError(
                f"{folder} has more than {MAX_FILES} files or {MAX_BYTES >> 20} MiB; a SavedModel of a "
                "network for microcontrollers is far smaller. Export the model alone into an empty folder"
            )
    return sorted(found)


def copy_needed(folder: Path, target: Path) -> Path:
    """Copy graph and variables to ``target``, and nothing else: no assets, no other forms of graph."""
    files = files_of(folder)
    (target / VARIABLES).mkdir(parents=True)
    for path in files:
        inside = path.relative_to(folder)
        if inside == Path(SAVED_MODEL) or inside.parent == Path(VARIABLES):
            with open_regular(path) as source, (target / inside).open("wb") as copy:
                while piece := source.read(1 << 20):
                    copy.write(piece)
    return target


def check(proto: Any, path: str) -> None:
    """Refuse the ``SavedModel`` message of ``path`` if it could do more than compute.

    Raises ``ModelError`` that names the operators or objects.
    """
    for graph in proto.meta_graphs:
        _check_objects(graph.object_graph_def, path)
        _check_operators(graph, path)


def _check_objects(objects: Any, path: str) -> None:
    """Objects that TensorFlow sets up while loading: look-up tables, files they are filled from, savers."""
    for node in objects.nodes:
        kind = node.WhichOneof("kind")
        if kind in ("resource", "asset"):
            what = "a resource with an initialiser" if kind == "resource" else "a file that it reads"
            raise ModelError(
                f"{path} holds {what}, such as a look-up table: TensorFlow runs it when it loads the "
                f"model. {_WAY_OUT}"
            )
        names = [child.local_name for child in node.children]
        if found := [name for name in names if name in _INITIALISERS]:
            raise ModelError(f"{path} holds the initialiser {found[0]}, which runs on loading. {_WAY_OUT}")
        if node.saveable_objects or node.registered_saver:
            raise ModelError(f"{path} holds an object that restores itself by code of its own. {_WAY_OUT}")


def _check_operators(meta_graph: Any, path: str) -> None:
    graph = _Graph(meta_graph.graph_def)
    saver = meta_graph.saver_def
    saving = graph.reached([saver.save_tensor_name])
    restoring = graph.reached([saver.restore_op_name])
    running = graph.reached(_running(meta_graph))
    bad: set[str] = set()
    for name, kinds in graph.kinds():
        allowed = _OTHERS | graph.functions.keys()
        if name in saving and name not in restoring | running:
            allowed |= SAVING
        if name in restoring and name not in saving | running:
            allowed |= RESTORING
        bad |= kinds - allowed
    if bad:
        raise ModelError(
            f"{path} holds operators that could run code or touch files, or that no network needs: "
            f"{', '.join(sorted(bad))}. {_WAY_OUT}"
        )


def _running(meta_graph: Any) -> Iterator[str]:
    """Names of the tensors and operators that loading or a call runs, restoring apart."""
    for signature in meta_graph.signature_def.values():
        for tensor in (*signature.inputs.values(), *signature.outputs.values()):
            yield tensor.name
            yield from (each.name for each in tensor.composite_tensor.components)
            coo = tensor.coo_sparse
            yield from (coo.values_tensor_name, coo.indices_tensor_name, coo.dense_shape_tensor_name)
    for collection in meta_graph.collection_def.values():
        yield from collection.node_list.value


class _Graph:
    """Nodes and functions by name, and what is reached from where. A function is called ``()name``."""

    def __init__(self, graph: Any) -> None:
        self.functions = {each.signature.name: each for each in graph.library.function}
        self.nodes = {node.name: node for node in graph.node}
        self._all_nodes = list(graph.node)
        self._all_functions = list(graph.library.function)

    def kinds(self) -> Iterator[tuple[str, set[str]]]:
        """Name and operators of every node and every function, also of those that share a name."""
        for node in self._all_nodes:
            yield node.name, {node.op}
        for function in self._all_functions:
            yield f"(){function.signature.name}", {node.op for node in function.node_def}

    def reached(self, names: Iterable[str]) -> set[str]:
        """Everything that runs when the tensors or operators called ``names`` are asked for."""
        waiting, found = [_node_of(name) for name in names], set[str]()
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            if name.startswith("()"):
                function = self.functions.get(name[2:])
                for node in function.node_def if function is not None else ():
                    waiting += self._called(node)
            elif name in self.nodes:
                node = self.nodes[name]
                waiting += [_node_of(each) for each in node.input]
                waiting += self._called(node)
        return found

    def _called(self, node: Any) -> list[str]:
        """The functions that a node calls: by its attributes, or by its very name."""
        names = [node.op] if node.op in self.functions else []
        for value in node.attr.values():
            names += [value.func.name] if value.HasField("func") else []
            names += [each.name for each in value.list.func]
        return [f"(){name}" for name in names]


def _node_of(tensor: str) -> str:
    """``^name`` and ``name:0`` are the node ``name``."""
    return tensor.removeprefix("^").partition(":")[0]
