"""What a Keras file holds, read without Keras, so that nothing in it can run before it has been looked at.

Keras is given a temporary copy: the architecture as it was checked, and the weights. The user's file is
opened for reading only.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_quantcheck.errors import MissingExtraError, ModelError, QuantcheckError
from pytest_quantcheck.files import check_regular, open_regular
from pytest_quantcheck.formats.zip_archive import MAX_RATIO, SMALL, open_zip, unpacked
from pytest_quantcheck.models.files.keras_refusals import refuse_object

MAX_CONFIG_BYTES = 64 << 20
MAX_CONFIG_ITEMS = 2_000_000  # Python makes a hundred bytes of each
MAX_FILE_BYTES = 1 << 30
TRAINING = "compile_config"
CONFIG, WEIGHTS = "config.json", "model.weights.h5"
_RESAVE = "save the model again with model.save()"
_HDF5 = b"\x89HDF\r\n\x1a\n"


def safe_copy(path: Path, folder: Path, *, mend: bool = True) -> Path:
    """Copy a Keras model to ``folder`` in a form that Keras 3 loads, or as it was without ``mend``.

    Its content says whether it is an archive or HDF5, and the copy's name then does, too. Raises
    ``ModelError`` when the file holds weights only, code, custom objects, layers that do more than compute,
    references to other files, or is damaged.
    """
    if (size := check_regular(path)) > MAX_FILE_BYTES:
        raise ModelError(f"{path} has {size} bytes; at most {MAX_FILE_BYTES} are read")
    with open_regular(path) as file:
        hdf5 = file.read(len(_HDF5)) == _HDF5 or path.suffix.lower() != ".keras"
    target = folder / ("model.h5" if hdf5 else "model.keras")
    try:
        if hdf5:
            _copy_h5(path, target, mend=mend)
        else:
            _copy_zip(path, target)
    except RecursionError as error:
        target.unlink(missing_ok=True)
        raise ModelError(
            f"{path} is not a sound Keras model: its architecture is nested too deeply"
        ) from error
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    return target


def _copy_zip(path: Path, target: Path) -> None:
    """Write a new archive: of the old one only the two members that were looked at are taken over."""
    weights = target.with_name(WEIGHTS)
    try:
        with open_zip(path) as archive:
            names = archive.namelist()
            if CONFIG not in names or WEIGHTS not in names:
                raise ModelError(f"{path} is not a Keras model: {CONFIG} or {WEIGHTS} is missing in it")
            config = _parsed(_config_of(archive, path))
            _refuse_code(config, path)
            with weights.open("wb") as file:
                for piece in unpacked(archive, archive.getinfo(WEIGHTS), path, MAX_FILE_BYTES):
                    file.write(piece)
        _refuse_h5(weights, path)
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(CONFIG, json.dumps(_untrained(config)))
            archive.write(weights, WEIGHTS)
    except (QuantcheckError, RecursionError):
        raise
    except Exception as error:  # zipfile, its decoders and json raise a dozen kinds on damaged files
        raise ModelError(
            f"{path} is not a sound .keras file ({error}); save it again with model.save('name.keras')"
        ) from error
    finally:
        weights.unlink(missing_ok=True)


def _config_of(archive: zipfile.ZipFile, path: Path) -> bytes:
    member = archive.getinfo(CONFIG)
    if member.file_size > MAX_CONFIG_BYTES:
        raise ModelError(f"{path} is not a sound Keras model: its {CONFIG} is larger than 64 MiB")
    return b"".join(unpacked(archive, member, path, MAX_CONFIG_BYTES))


def _parsed(text: bytes) -> Any:
    """The JSON. Raises ``ValueError``."""
    if len(text) > MAX_CONFIG_BYTES or sum(map(text.count, (b"[", b"{", b","))) > MAX_CONFIG_ITEMS:
        raise ValueError(f"its architecture has more than {MAX_CONFIG_ITEMS} items")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its architecture is nested too deeply") from None


def _copy_h5(path: Path, target: Path, *, mend: bool) -> None:
    config = _h5_config(path)
    _refuse_code(config, path)
    _refuse_h5(path, path)
    with open_regular(path) as source, target.open("wb") as copy:
        shutil.copyfileobj(source, copy)
    unchecked = _untrained(config)  # what _refuse_code does not look at must not reach Keras
    _write_h5_config(target, _mended(unchecked) if mend else unchecked)


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
        return _parsed(config if isinstance(config, bytes) else str(config).encode())
    except ValueError as error:
        raise ModelError(f"{path}: the attribute model_config is not JSON ({error})") from error


def _write_h5_config(path: Path, config: Any) -> None:
    with _h5py().File(path, "r+") as file:
        del file.attrs["model_config"]
        file.attrs["model_config"] = json.dumps(config)
        if "training_config" in file.attrs:
            del file.attrs["training_config"]


def _refuse_h5(path: Path, source: Path) -> None:
    """HDF5 files may take data from other files, and promise more than they hold."""
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            promised, stored = _sizes(h5py, file, source)
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"{source} is not a sound HDF5 file ({error}); save it again with model.save()"
        ) from error
    if promised > MAX_FILE_BYTES or (promised > SMALL and promised > MAX_RATIO * stored):
        raise ModelError(
            f"{source}: its weights unpack from {stored} to {promised} bytes; at most {MAX_FILE_BYTES} and "
            f"{MAX_RATIO} times what is stored are read"
        )


def _sizes(h5py: Any, file: Any, source: Path) -> tuple[int, int]:
    """Bytes that all data sets promise, and those that are stored for them."""
    waiting, seen, promised, stored = [file], set(), 0, 0
    while waiting:
        item = waiting.pop()
        address = h5py.h5o.get_info(item.id).addr
        if address in seen:
            continue
        seen.add(address)
        if isinstance(item, h5py.Group):
            for name in item:
                if not isinstance(item.get(name, getlink=True), h5py.HardLink):
                    raise ModelError(f"{source} links to {name!r} elsewhere; {_RESAVE}")
                waiting.append(item[name])
        elif isinstance(item, h5py.Dataset):
            if item.external or item.is_virtual:
                raise ModelError(f"{source} takes the data of {item.name!r} from another file; {_RESAVE}")
            promised += item.nbytes
            stored += item.id.get_storage_size()
    return promised, stored


def _objects(config: Any) -> Iterator[dict[str, Any]]:
    """Every JSON object inside ``config``, but for those about training."""
    stack = [config]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield item
            stack.extend(value for key, value in item.items() if key != TRAINING)
        elif isinstance(item, list):
            stack.extend(item)


def _refuse_code(config: Any, path: Path) -> None:
    """Only objects of Keras that are known to compute and nothing else."""
    for item in _objects(config):
        if "class_name" in item:
            refuse_object(item, path)


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


def _untrained(config: Any) -> Any:
    """Without losses, metrics and optimisers: they are not needed, and may be the user's own."""
    if isinstance(config, list):
        return [_untrained(value) for value in config]
    if not isinstance(config, dict):
        return config
    return {key: _untrained(value) for key, value in config.items() if key != TRAINING}
