"""Mutants of C source, from its tokens: no parser is needed, what does not compile is not counted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.mutants.edit import Edit, Mutant

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|\\\n)
  | (?P<comment>/\*.*?\*/|//[^\n]*)
  | (?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<directive>^[ \t]*\#[ \t]*(?!define)(?:\\\n|[^\n])*)
  | (?P<define>^[ \t]*\#[ \t]*define[ \t]+\w+(?:\([^)]*\))?)
  | (?P<name>[A-Za-z_]\w*)
  | (?P<number>\d(?:[\w.]|[eE][+-])*)
  | (?P<operator>->|<<=|>>=|\+\+|--|<<|>>|<=|>=|==|!=|&&|\|\||[-+*/%&|^]=|.)
    """,
    re.VERBOSE | re.DOTALL | re.MULTILINE,
)
_BINARY = {
    "+": ("arithmetic", ("-",)),
    "-": ("arithmetic", ("+",)),
    "*": ("arithmetic", ("+",)),
    "/": ("arithmetic", ("*",)),
    "%": ("arithmetic", ("/",)),
    "&": ("arithmetic", ("|",)),
    "|": ("arithmetic", ("&",)),
    "<<": ("shift", (">>",)),
    ">>": ("shift", ("<<",)),
    "<": ("comparison", ("<=", ">=")),
    "<=": ("comparison", ("<", ">")),
    ">": ("comparison", (">=", "<=")),
    ">=": ("comparison", (">", "<")),
    "==": ("comparison", ("!=",)),
    "!=": ("comparison", ("==",)),
    "&&": ("condition", ("||",)),
    "||": ("condition", ("&&",)),
    "+=": ("arithmetic", ("-=",)),
    "-=": ("arithmetic", ("+=",)),
    "*=": ("arithmetic", ("+=",)),
    "|=": ("arithmetic", ("&=",)),
    "<<=": ("shift", (">>=",)),
    ">>=": ("shift", ("<<=",)),
    "++": ("arithmetic", ("--",)),
    "--": ("arithmetic", ("++",)),
}
_UNARY = {"-": "sign", "~": "sign", "!": "condition"}
_NAMES = {
    "INT8_MIN": ("constant", "INT8_MAX"),
    "INT8_MAX": ("constant", "INT8_MIN"),
    "INT16_MIN": ("constant", "INT16_MAX"),
    "INT16_MAX": ("constant", "INT16_MIN"),
    "INT32_MIN": ("constant", "INT32_MAX"),
    "INT32_MAX": ("constant", "INT32_MIN"),
    "true": ("condition", "false"),
    "false": ("condition", "true"),
}
# a cast that keeps fewer bits, or extends by the other sign
_CASTS = {
    "int8_t": "uint8_t",
    "uint8_t": "int8_t",
    "int16_t": "uint16_t",
    "uint16_t": "int16_t",
    "int32_t": "int16_t",
    "uint32_t": "uint16_t",
    "int64_t": "int32_t",
    "uint64_t": "uint32_t",
}
_NEVER_DEFINED = {"__ARM_FEATURE_DSP"}  # on the machines that run the tests
_CONTEXT = 5  # tokens on each side of a change in its name


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int
    function: str
    """Where it is; empty outside of functions and macros."""


def mutants(source: str, file: str) -> Iterator[Mutant]:
    """All mutants of the functions and macros of a file: one operator, number or cast each.

    Left alone are comments, directives, declarations outside of functions, the sizes of arrays, and
    code for processors that do not run the tests.
    """
    tokens = list(_tokens(source))
    for i, token in enumerate(tokens):
        if not token.function:
            continue
        for kind, text in _changes(tokens, i):
            left = tokens[max(0, i - _CONTEXT) : i]
            right = tokens[i + 1 : i + 1 + _CONTEXT]
            before, after = _trimmed(source, left, right, token)
            edit = Edit(token.start, token.start + len(token.text), text)
            original = f"{before}{token.text}{after}"
            yield Mutant(file, token.function, kind, original, f"{before}{text}{after}", edit)


def _tokens(source: str) -> Iterator[_Token]:
    """Tokens that the compiler of the tests sees, with the function or macro they are in."""
    depth, function, candidate, macro_end = 0, "", "", 0
    conditions: list[bool] = []
    for match in _TOKEN.finditer(source):
        kind, text = match.lastgroup or "", match.group()
        if kind == "directive":
            _follow(conditions, text)
        if kind in {"space", "comment", "directive"} or not all(conditions):
            continue
        if kind == "define":
            macro_end = _end_of_macro(source, match.start())
            macro = text.split("define", 1)[1].strip()
            if "(" in macro and not depth:
                function = macro.split("(")[0]
            continue
        in_macro = match.start() < macro_end
        if not in_macro and not depth and function:
            function = ""
        if not depth and not in_macro:
            if kind == "name" and source[match.end() :].lstrip().startswith("("):
                candidate = text
            elif text in {";", "="} or text in {"enum", "struct"}:
                candidate = ""
        if text == "{" and not in_macro:
            depth += 1
            if depth == 1:
                function = candidate
        yield _Token(kind, text, match.start(), function)
        if text == "}" and not in_macro:
            depth -= 1
            if not depth:
                function = candidate = ""


def _follow(conditions: list[bool], directive: str) -> None:
    """Keeps track of ``#if``; only macros that are never defined decide, other branches all count."""
    words = directive.replace("#", "").split()
    if words[0] in {"if", "ifdef", "ifndef"}:
        conditions.append(not (words[0] == "ifdef" and words[1] in _NEVER_DEFINED))
    elif words[0] in {"else", "elif"}:
        conditions[-1] = True
    elif words[0] == "endif":
        conditions.pop()


def _end_of_macro(source: str, start: int) -> int:
    match = re.compile(r"(?:\\\n|[^\n])*").match(source, start)
    assert match
    return match.end()


def _changes(tokens: list[_Token], i: int) -> Iterator[tuple[str, str]]:
    token, before = tokens[i], tokens[i - 1]
    after = tokens[i + 1] if i + 1 < len(tokens) else token
    if token.kind == "number":
        if not _is_array_size(tokens, i):
            yield from (("constant", number) for number in _neighbours(token.text))
    elif token.kind == "name":
        if token.text in _NAMES:
            yield _NAMES[token.text]
        elif token.text in _CASTS and before.text == "(" and after.text == ")":
            yield "cast", _CASTS[token.text]
    elif token.kind == "operator":
        if token.text in {"++", "--"} or (_is_binary(tokens, i) and token.text in _BINARY):
            kind, others = _BINARY[token.text]
            yield from ((kind, other) for other in others)
        elif token.text in _UNARY and not _is_binary(tokens, i):
            yield _UNARY[token.text], ""


def _is_binary(tokens: list[_Token], i: int) -> bool:
    """Whether the operator has something on its left; a ``*`` behind a type has not."""
    before = tokens[i - 1]
    if before.kind == "name":
        is_type = before.text.endswith("_t") or before.text in {"void", "char", "int", "const", "return"}
        return not is_type
    if before.text == ")":
        return not _closes_cast(tokens, i - 1)
    return before.kind == "number" or before.text == "]"


def _closes_cast(tokens: list[_Token], i: int) -> bool:
    return tokens[i - 2].text == "(" and tokens[i - 1].text.endswith("_t")


def _is_array_size(tokens: list[_Token], i: int) -> bool:
    """Of a declaration, ``type name[4]``: a larger array is the same program."""
    if tokens[i - 1].text != "[" or i < 3:
        return False
    return tokens[i - 2].kind == "name" and (tokens[i - 3].kind == "name" or tokens[i - 3].text == "*")


def _neighbours(text: str) -> Iterator[str]:
    match = re.fullmatch(r"(0[xX])?([0-9a-fA-F]+?)([uUlL]*)", text)
    if match:
        prefix, digits, suffix = match.group(1) or "", match.group(2), match.group(3)
        value = int(digits, 16 if prefix else 10)
        for other in (value + 1, value - 1):
            yield f"({other}{suffix})" if other < 0 else f"{prefix}{other:{'x' if prefix else 'd'}}{suffix}"


def _trimmed(source: str, left: list[_Token], right: list[_Token], token: _Token) -> tuple[str, str]:
    """The text around a token, not beyond its statement or function."""
    while any(t.text in {";", "{", "}"} or t.function != token.function for t in left):
        left = left[1:]
    for n, t in enumerate(right):
        if t.text in {";", "{", "}"} or t.function != token.function:
            right = right[:n]
            break
    start = left[0].start if left else token.start
    end = right[-1].start + len(right[-1].text) if right else token.start + len(token.text)
    return (
        _flat(source[start : token.start]),
        _flat(source[token.start + len(token.text) : end]),
    )


def _flat(text: str) -> str:
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.DOTALL).replace("\\\n", " ")
    return re.sub(r"\s+", " ", text)
