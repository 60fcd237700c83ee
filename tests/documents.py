"""JSON documents of the project, read as a careful reader would: against the schema that is shipped."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

SCHEMA: dict[str, Any] = json.loads((files("pytest_quantcheck.report") / "schema.json").read_text())


def read(text: str) -> dict[str, Any]:
    """The document in ``text``. Fails where it is not what the schema says, or has NaN in it."""
    document: dict[str, Any] = json.loads(text, parse_constant=_no_number)
    kind = document["schema"].split("-")[1]  # first by itself: the message says more
    Draft202012Validator({"$ref": f"#/$defs/{kind}", "$defs": SCHEMA["$defs"]}).validate(document)
    Draft202012Validator(SCHEMA).validate(document)
    return document


def _no_number(text: str) -> None:
    raise AssertionError(f"{text} is no JSON")
