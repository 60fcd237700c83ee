"""Mutants of Python source, from its syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Any

from tests.mutants.edit import Edit, Mutant

_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
}
_SHIFTS: dict[type[ast.operator], type[ast.operator]] = {ast.LShift: ast.RShift, ast.RShift: ast.LShift}
_COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
_SWAPS = {
    "min": "max",
    "max": "min",
    "minimum": "maximum",
    "maximum": "minimum",
    "floor": "ceil",
    "trunc": "floor",
    "rint": "trunc",
    "any": "all",
    "all": "any",
}
_LONGEST = 100  # characters of context in a name


def mutants(source: str, file: str) -> Iterator[Mutant]:
    """All mutants of a module: one operator, number, condition, call or statement each.

    Left alone are annotations, decorators, messages of exceptions, and code that only types run.
    """
    return _Module(source, file).mutants()


class _Module:
    def __init__(self, source: str, file: str) -> None:
        self._source, self._file = source, file
        self._tree = ast.parse(source)
        lines = source.splitlines(keepends=True)
        self._line_starts = [0, *accumulate(len(line) for line in lines)]
        self._lines = lines
        self._parents = {
            child: parent for parent in ast.walk(self._tree) for child in ast.iter_child_nodes(parent)
        }

    def mutants(self) -> Iterator[Mutant]:
        for node in _computing(self._tree):
            if isinstance(node, ast.expr):
                yield from self._expression(node)
            elif isinstance(node, ast.stmt):
                yield from self._statement(node)

    def _expression(self, node: ast.expr) -> Iterator[Mutant]:
        if isinstance(node, ast.BinOp):
            for kind, table in (("arithmetic", _ARITHMETIC), ("shift", _SHIFTS)):
                if type(node.op) in table:
                    yield self._changed(node, kind, node, "op", table[type(node.op)]())
        elif isinstance(node, ast.Compare):
            for i, op in enumerate(node.ops):
                for other in _COMPARISONS.get(type(op), ()):
                    ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
                    yield self._changed(node, "comparison", node, "ops", ops)
        elif isinstance(node, ast.BoolOp):
            other_op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
            yield self._changed(node, "condition", node, "op", other_op)
        elif isinstance(node, ast.UnaryOp) and not isinstance(node.op, ast.UAdd):
            kind = "condition" if isinstance(node.op, ast.Not) else "sign"
            yield self._replaced(node, kind, ast.unparse(node.operand))
        elif isinstance(node, ast.Constant):
            yield from self._constant(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, (ast.Name, ast.Attribute)):
            field = "id" if isinstance(node.func, ast.Name) else "attr"
            name = getattr(node.func, field)
            if name in _SWAPS:
                yield self._changed(node, "function", node.func, field, _SWAPS[name])
        elif isinstance(node, ast.IfExp):
            yield self._replaced(node.test, "condition", f"not ({ast.unparse(node.test)})")

    def _constant(self, node: ast.Constant) -> Iterator[Mutant]:
        around = self._parents[node]
        while isinstance(around, ast.Slice):
            around = self._parents[around]
        context = around if isinstance(around, ast.expr) and self._length(around) < _LONGEST else node
        if isinstance(node.value, bool):
            yield self._changed(context, "condition", node, "value", not node.value)
        elif isinstance(node.value, (int, float)):
            for step in (1, -1):
                yield self._changed(context, "constant", node, "value", node.value + step)

    def _statement(self, node: ast.stmt) -> Iterator[Mutant]:
        if isinstance(node, (ast.If, ast.While)):
            yield self._replaced(node.test, "condition", f"not ({ast.unparse(node.test)})")
        elif isinstance(node, ast.AugAssign):
            for kind, table in (("arithmetic", _ARITHMETIC), ("shift", _SHIFTS)):
                if type(node.op) in table:
                    yield self._changed(node, kind, node, "op", table[type(node.op)]())
        if self._can_be_dropped(node):
            yield self._replaced(node, "dropped statement", "pass")

    def _can_be_dropped(self, node: ast.stmt) -> bool:
        """Whether a module without this statement still compiles and finds its names."""
        if isinstance(node, (ast.AugAssign, ast.Raise)):
            return True
        if isinstance(node, ast.Expr):
            return isinstance(node.value, ast.Call)
        function = self._function(node)
        if not isinstance(node, ast.Assign) or function is None:
            return False
        before = {arg.arg for arg in [*function.args.args, *function.args.kwonlyargs]}
        for other in ast.walk(function):
            if isinstance(other, ast.Assign) and other.lineno < node.lineno:
                before |= {n.id for t in other.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        names = {n.id for t in node.targets for n in ast.walk(t) if isinstance(n, ast.Name)}
        return names <= before

    def _changed(self, context: ast.AST, kind: str, node: ast.AST, field: str, value: Any) -> Mutant:
        """The mutant in which one field of a node has another value."""
        old = getattr(node, field)
        setattr(node, field, value)
        try:
            text = ast.unparse(context)
        finally:
            setattr(node, field, old)
        return self._replaced(context, kind, text)

    def _replaced(self, node: ast.AST, kind: str, text: str) -> Mutant:
        start, end = self._span(node)
        edit = Edit(start, end, f"({text})" if isinstance(node, ast.expr) else text)
        original = " ".join(ast.unparse(node).split())
        return Mutant(self._file, self._name(node), kind, original, " ".join(text.split()), edit)

    def _span(self, node: Any) -> tuple[int, int]:
        return self._offset(node.lineno, node.col_offset), self._offset(node.end_lineno, node.end_col_offset)

    def _offset(self, line: int, column: int) -> int:
        """Characters before a position whose column counts bytes of UTF-8."""
        text = self._lines[line - 1].encode()[:column].decode()
        return self._line_starts[line - 1] + len(text)

    def _length(self, node: ast.AST) -> int:
        start, end = self._span(node)
        return end - start

    def _function(self, node: ast.AST) -> ast.FunctionDef | None:
        return next((n for n in self._above(node) if isinstance(n, ast.FunctionDef)), None)

    def _name(self, node: ast.AST) -> str:
        names = [n.name for n in self._above(node) if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
        return ".".join(reversed(names)) or "module"

    def _above(self, node: ast.AST) -> Iterator[ast.AST]:
        while node in self._parents:
            node = self._parents[node]
            yield node


_SKIPPED_FIELDS = {"annotation", "returns", "decorator_list", "exc"}
_SKIPPED_NODES: tuple[type[ast.AST], ...] = (ast.JoinedStr, ast.Import, ast.ImportFrom, ast.Assert)


def _computing(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below that computes something when the module is used."""
    for field, value in ast.iter_fields(node):
        if field in _SKIPPED_FIELDS:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, _SKIPPED_NODES) or _for_types(child):
                continue
            yield child
            yield from _computing(child)


def _for_types(node: ast.AST) -> bool:
    is_type: Callable[[ast.expr], bool] = lambda e: "TYPE_CHECKING" in ast.unparse(e)  # noqa: E731
    if isinstance(node, ast.If):
        return is_type(node.test)
    return isinstance(node, ast.Subscript) and ast.unparse(node.value) in {"Literal", "Callable"}
