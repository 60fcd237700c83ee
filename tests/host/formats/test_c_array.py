"""Models in C source: what exporters write is read, anything else is told, nothing takes for ever."""

from __future__ import annotations

import time

import numpy as np
import pytest

from pytest_quantcheck.cli import main
from pytest_quantcheck.demo.artefacts import CONFIGURATIONS, DATA, FLOAT_MODEL
from pytest_quantcheck.errors import ModelError
from pytest_quantcheck.formats.c_array import model_in, read_model_file
from pytest_quantcheck.models.load import load
from pytest_quantcheck.quantizers.artefact import read_artefact

pytestmark = pytest.mark.host

FLOAT = (DATA / FLOAT_MODEL).read_bytes()
INTEGERS = (DATA / f"digits-{CONFIGURATIONS[0].id}.tflite").read_bytes()


def numbers(content: bytes, form: str = "0x{:02x}", row: int = 12) -> str:
    words = [form.format(value) for value in content]
    return ",\n  ".join(", ".join(words[i : i + row]) for i in range(0, len(words), row))


def xxd(content: bytes, name: str = "model_tflite") -> str:
    return (
        f"unsigned char {name}[] = {{\n  {numbers(content)}\n}};\nunsigned int {name}_len = {len(content)};\n"
    )


FORMS = {
    "xxd": xxd(INTEGERS),
    "tflm": '#include "model.h"\nalignas(8) const unsigned char g_model[] = {' + numbers(INTEGERS) + "};\n"
    f"const int g_model_len = {len(INTEGERS)};",
    "declared": f"const unsigned char m[{len(INTEGERS)}] __attribute__((aligned(16))) = "
    f"{{{numbers(INTEGERS)},}};",
    "signed": "const int8_t m[] = {" + ",".join(str(np.int8(np.uint8(v))) for v in INTEGERS) + "};",
    "octal": "const uint8_t m[] = {" + numbers(INTEGERS, "0{:o}") + "};",
    "suffix": "const uint8_t m[] = {" + numbers(INTEGERS, "0x{:X}U") + "};",
    "namespace": 'namespace ei { extern "C" {\nconst uint8_t m[] = {' + numbers(INTEGERS) + "};\n} }",
    "attribute": "[[gnu::aligned(16)]] static const unsigned char m[] = {" + numbers(INTEGERS) + "};",
    "others": 'const char* names[] = {"a", "b"};\nint sizes[3] = {1, 2, 300};\nvoid f() { g(); }\n'
    + xxd(INTEGERS),
    "comments": "/* {0x00} */ // m[] = {1}\n" + xxd(INTEGERS).replace("\n  0x", " // [3]\n  /* x */ 0x", 3),
    "twice": xxd(INTEGERS, "a") + xxd(INTEGERS, "b"),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_exporters_write_is_read(form):
    assert model_in(FORMS[form]) == INTEGERS


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "arrays: none"),
        ("int main() { return 0; }", "arrays: none"),
        ("unsigned char x[] = {1, 2, 3};", r"arrays: x \(3 bytes\)"),
        ("unsigned char x[] = {};", r"x \(0 bytes\)"),
        (xxd(INTEGERS).replace("0x1c", "SIZE", 1), "where 'SIZE' is no byte"),
        (xxd(INTEGERS).replace("0x1c", "0x1c00", 1), "no byte"),
        (xxd(INTEGERS).replace("0x1c", "system(1)", 1), "no byte"),
        (xxd(INTEGERS).replace("0x1c", "0x1c\n#if 1", 1), "no byte"),
        (xxd(INTEGERS).replace("0x1c", "09", 1), "no byte"),
        (xxd(INTEGERS).replace("[]", f"[{len(INTEGERS) + 1}]"), "declares"),
        (xxd(INTEGERS)[: len(INTEGERS)], "does not end"),
        ("/* " + xxd(INTEGERS), "a comment does not end"),
        (xxd(INTEGERS, "a") + xxd(FLOAT, "b"), "2 arrays hold models: a, b"),
        ('unsigned char x[] = "\\x1c\\x00";', "arrays: none"),
    ],
)
def test_what_holds_no_one_model_is_told(text, words):
    with pytest.raises(ModelError, match=words):
        model_in(text)


@pytest.mark.parametrize(
    "piece",
    ["{", "}", "{}", "/*", "//\n", "a[]={", "a[", "[", "a", "a[]=", "{;", "a[]={1},", "0x1c,", "\0", "/**/"],
)
def test_hostile_source_takes_time_in_proportion(piece):
    start = time.process_time()
    with pytest.raises(ModelError):
        model_in(piece * (2_000_000 // len(piece)))
    assert time.process_time() - start < 20


def test_random_damage_is_told_or_gives_bytes():
    text = bytearray(xxd(INTEGERS).encode())
    generator = np.random.default_rng(0)
    for _ in range(100):
        damaged = bytearray(text)
        for place in generator.integers(0, len(text), 3):
            damaged[place] = generator.integers(256)
        try:
            assert model_in(damaged.decode("latin-1"))[4:8] == b"TFL3"
        except ModelError:
            continue


def test_a_model_is_taken_as_c_wherever_one_is_taken(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "model.h").write_text(xxd(INTEGERS))
    (tmp_path / "net.cc").write_text(xxd(FLOAT))
    assert load("net.cc", base=tmp_path).tflite == FLOAT
    assert read_artefact(tmp_path / "model.h").artefact == INTEGERS
    assert main(["check", "model.h", "--target", "esp32c3"]) == 0
    np.save("x.npy", np.zeros((2, 8, 8, 1), np.int8))
    assert main(["compare", "model.h", "--a", "integer", "--b", "tflm", "--inputs", "x.npy"]) == 0
    assert main(["quantize", "net.cc", "-o", "out.tflite"]) == 0
    (tmp_path / "empty.cpp").write_text("int x;")
    capsys.readouterr()
    for arguments in (
        ["check", "empty.cpp", "--target", "esp32c3"],
        ["quantize", "empty.cpp", "-o", "o.tflite"],
    ):
        assert main(arguments) == 2
        assert "empty.cpp: no array of bytes in it is a .tflite model" in capsys.readouterr().err


def test_any_other_file_is_read_as_it_is(tmp_path):
    (tmp_path / "m.tflite").write_bytes(FLOAT)
    assert read_model_file(tmp_path / "m.tflite") == FLOAT


def test_an_array_of_another_length_than_its_file_says_is_refused() -> None:
    told = xxd(INTEGERS).replace(f"= {len(INTEGERS)};", "= 9999;")
    with pytest.raises(ModelError, match=f"declares 9999 bytes and holds {len(INTEGERS)}"):
        model_in(told)
