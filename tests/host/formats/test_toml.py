"""Inventories from strangers: what would cost gigabytes, or end in a traceback, is told in a line."""

from __future__ import annotations

import os
import time

import pytest

from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.toml import MOST_BYTES, read_toml

pytestmark = pytest.mark.host


def write(folder, text):
    path = folder / "boards.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a." * 100_000 + "a = 1", "line 1 has a key of more than 16 dotted parts"),
        ("\n[" + "a . " * 60_000 + "a]", "line 2 has a key of more than 16"),
        ("x = {" + '"a".' * 50_000 + "a = 1}", "dotted parts"),
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "{a=" * 60_000, "nested too deeply"),
        ("a = " + "9" * 10_000, "not sound TOML"),
        ("a = 0x" + "f" * 10_000, "64 bits"),
        ("a = [1, {b = 99999999999999999999}]", "64 bits"),
        ("a" * MOST_BYTES + " = 1", "bytes; at most"),
        (b"a = '\xff'", "not sound TOML"),
        ("a = 1\na = 2", "not sound TOML"),
    ],
    ids=[
        "dotted",
        "header",
        "inline",
        "lists",
        "tables",
        "digits",
        "hex",
        "inner",
        "large",
        "bytes",
        "twice",
    ],
)
def test_a_hostile_file_is_told_at_once(tmp_path, text, words):
    start = time.monotonic()
    with pytest.raises(ModelError, match=words):
        read_toml(write(tmp_path, text))
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("name", ["pipe", "/dev/zero", "folder"])
def test_what_is_no_file_is_told(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ModelError, match="only regular files are read"):
        read_toml(tmp_path / name)


def test_long_words_without_a_dot_are_looked_at_once(tmp_path):
    start = time.monotonic()
    assert len(read_toml(write(tmp_path, "a" * 200_000 + " = 1"))) == 1
    assert len(read_toml(write(tmp_path, "a = '" + "b " * 100_000 + "'"))) == 1
    assert time.monotonic() - start < 5


def test_an_ordinary_file_is_read(tmp_path):
    text = '[[board]]\nname = "a"\nport = "socket://bench-1.lab.example.org:5000"\nbaud = 921600\n'
    assert read_toml(write(tmp_path, text))["board"][0]["baud"] == 921600
