"""What a Keras file holds, read without Keras, so that nothing in it can run before it has been looked at.

Legacy ``.h5`` files are mended in a temporary copy; the user's file is opened for reading only.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, ModelError, QuantcheckError

CODE_LAYERS = ("Lambda",)  # their configuration is marshalled Python bytecode
FRAMEWORK = ("keras", "tf_keras", "tensorflow.keras", "tensorflow.python.keras")
MAX_CONFIG_BYTES = 64 << 20


def safe_copy(path: Path, folder: Path) -> Path:
    """Copy a ``.keras`` or ``.h5`` model to ``folder`` in a form that Keras 3 loads.

    Raises ``ModelError`` when the file holds weights only, code, custom objects, or is damaged.
    """
    target = folder / f"model{path.suffix.lower()}"
    if path.suffix.lower() == ".keras":
        _refuse_code(_zip_config(path), path)
        shutil.copyfile(path, target)
    else:
        config = _h5_config(path)
        _refuse_code(config, path)
        shutil.copyfile(path, target)
        target.chmod(0o600)
        _write_h5_config(target, _mended(config))
    return target


def _zip_config(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "config.json" not in names or "model.weights.h5" not in names:
                raise ModelError(
                    f"{path} is not a Keras model: config.json or model.weights.h5 is missing in it"
                )
            if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
                raise ModelError(f"{path} is not a sound Keras model: its config.json is larger than 64 MiB")
            return json.loads(archive.read("config.json"))
    except QuantcheckError:
        raise
    except Exception as error:  # zipfile, its decoders and json raise a dozen kinds on damaged files
        hint = _other_format(path)
        raise ModelError(f"{path} is not a sound .keras file ({error}){hint}") from error


def _other_format(path: Path) -> str:
    with path.open("rb") as file:
        start = file.read(8)
    if start == b"\x89HDF\r\n\x1a\n":
        return "; it is an HDF5 file, rename it to .h5"
    return "; save it again with model.save('name.keras')"


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "tensorflow", "Reading .h5 models") from error
    return h5py


def _h5_config(path: Path) -> Any:
    try:
        with _h5py().File(path, "r") as file:
            config = file.attrs.get("model_config")
    except (OSError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"{path} is not a sound HDF5 file ({error}); save it again with model.save()"
        ) from error
    if config is None:
        raise ModelError(
            f"{path} holds weights only, no architecture. Build the model in Python, call load_weights(), "
            'and give it as "package.module:function", or save it whole with model.save()'
        )
    try:
        return json.loads(config.decode() if isinstance(config, bytes) else str(config))
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the attribute model_config is not JSON ({error})") from error


def _write_h5_config(path: Path, config: Any) -> None:
    with _h5py().File(path, "r+") as file:
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)
        if "training_config" in file.attrs:
            del file.attrs["training_config"]


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside ``config``."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(item.values())
        elif isinstance(item, list):
            stack.extend(item)


def _refuse_code(config: Any, path: Path) -> None:
    way_out = 'build the model in your own Python and give it as "package.module:function"'
    for item in _objects(config):
        kind = item.get("class_name")
        if kind in CODE_LAYERS or kind == "__lambda__":
            raise ModelError(
                f"{path} holds a {kind} layer, that is Python code, which is not run. "
                f"Replace it by a built-in layer, or, if you trust it, {way_out}"
            )
        module, registered = item.get("module"), item.get("registered_name")
        if kind is None or (module is None and registered is None):
            continue
        package = str(module)
        custom = f"{package}.{kind}" if module else str(registered).replace(">", ".")
        if package != "builtins" and not any(package == f or package.startswith(f + ".") for f in FRAMEWORK):
            raise ModelError(
                f"{path} needs the custom object {custom}, which is not part of Keras; " + way_out
            )


def _mended(config: Any) -> Any:
    """Keras 2 wrote ``groups`` into depthwise layers and ``/`` into names; Keras 3 refuses both.

    It also wrote the one output of a nested model as a list of one; Keras 3 then passes on a list.
    """
    if isinstance(config, list):
        if len(config) >= 3 and isinstance(config[0], str) and all(isinstance(n, int) for n in config[1:3]):
            return [config[0].replace("/", "_"), *(_mended(v) for v in config[1:])]  # a layer reference
        return [_mended(v) for v in config]
    if not isinstance(config, dict):
        return config
    mended = {key: _mended(value) for key, value in config.items()}
    if isinstance(mended.get("name"), str):
        mended["name"] = mended["name"].replace("/", "_")
    for ends in ("input_layers", "output_layers"):
        if isinstance(mended.get(ends), list) and len(mended[ends]) == 1:
            mended[ends] = mended[ends][0]
    if mended.get("class_name") in ("DepthwiseConv1D", "DepthwiseConv2D") and isinstance(
        mended.get("config"), dict
    ):
        mended["config"].pop("groups", None)
    return mended
