"""Which kind of model a path names: by its suffix, a folder by what lies in it."""

from __future__ import annotations

from pathlib import Path

from pytest_quantcheck.formats.c_array import SUFFIXES

SAVED_MODEL = "saved_model.pb"
_SUFFIXES = {  # the longest first: an archive of MLTK is a .zip
    ".mltk.zip": "mltk",
    ".keras": "keras",
    ".hdf5": "keras",
    ".h5": "keras",
    ".onnx": "onnx",
    ".tflite": "tflite",
    **dict.fromkeys(SUFFIXES, "c"),
}
ALLOWED = (
    ".keras, .h5, .tflite, .onnx, .mltk.zip, C source with a .tflite model in it (.h, .c, .cc, .cpp), a "
    "SavedModel folder, a Keras model, or package.module:function"
)
"""What ``models.load`` takes, as error messages say it."""


def file_kind(path: Path) -> str:
    """``c``, ``keras``, ``mltk``, ``onnx``, ``tflite``, ``saved_model`` (a folder); empty for others."""
    if path.is_dir():
        return "saved_model" if (path / SAVED_MODEL).is_file() else ""
    name = path.name.lower()
    return next((kind for suffix, kind in _SUFFIXES.items() if name.endswith(suffix)), "")
