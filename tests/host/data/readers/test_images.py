"""Folders of pictures: the numbers are those of tf.image, the order is the names', wrong files are named."""

from __future__ import annotations

import json
import os
import struct
import sys
import zlib

import numpy as np
import pytest

from pytest_quantcheck.data import annotated_folder, coco, image_folder, load_data
from pytest_quantcheck.data.lazy import Lazy
from pytest_quantcheck.data.readers.pixels import INTERPOLATIONS, Pixels, _libraries
from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError

pytestmark = pytest.mark.host
pytest.importorskip("PIL", reason="pictures need the extra zoo")


def picture(path, height=20, width=30, *, seed=0, mode="RGB", kind=None):
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    depth = {"RGB": (3,), "RGBA": (4,), "L": ()}[mode]
    values = np.random.default_rng(seed).integers(0, 256, (height, width, *depth), dtype=np.uint8)
    Image.fromarray(values, mode).save(path, kind)
    return path


@pytest.fixture
def folder(tmp_path):
    """Two classes of six pictures each, of different sizes."""
    for at, kind in enumerate(("dog", "cat")):
        for i in range(6):
            picture(tmp_path / "train" / kind / f"{i}.jpg", 20 + i, 30 - i, seed=10 * at + i)
    return tmp_path / "train"


@pytest.mark.parametrize("aspect_ratio", ["fit", "crop", "padding"])
@pytest.mark.parametrize("interpolation", INTERPOLATIONS)
def test_pixels_are_those_of_tf_image(folder, interpolation, aspect_ratio):
    import tensorflow as tf

    file = folder / "cat" / "3.jpg"
    decoded = tf.io.decode_jpeg(file.read_bytes(), channels=3)
    if aspect_ratio == "fit":
        wanted = tf.image.resize(decoded, (24, 16), method=interpolation)
    else:
        wanted = tf.image.resize_with_crop_or_pad(decoded, 24, 16)
    found = Pixels((24, 16), interpolation, aspect_ratio, "rgb", (1 / 127.5, -1)).read([file])[0]
    assert np.array_equal(found, 1 / 127.5 * tf.cast(wanted, tf.float32) - 1)


@pytest.mark.parametrize(("color_mode", "channels"), [("grayscale", 1), ("rgb", 3), ("rgba", 4)])
@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "RGBA"), ("a.png", "L"), ("a.jpg", "RGB"), ("a.bmp", "RGB")]
)
def test_every_colour_mode_reads_every_picture(tmp_path, color_mode, channels, name, mode):
    file = picture(tmp_path / name, mode=mode)
    found = Pixels((20, 30), color_mode=color_mode, rescale=(1, 0)).read([file])
    assert found.shape == (1, 20, 30, channels)
    if channels == 4 and mode != "RGBA":
        assert (found[0, ..., 3] == 255).all()


def test_labels_are_the_folders_and_part_of_each_class_is_held_out(folder):
    data = load_data("images:train?size=8&rescale=1/127.5,-1&split=1/3", folder.parent)
    assert data.classes == ("cat", "dog")
    assert data.purpose.name == "classification"
    assert data.input_range == (-1, 1)
    assert isinstance(data.test.x, Lazy)
    assert np.bincount(data.test.y).tolist() == [2, 2]
    assert sorted(data.test.names + data.calibration.names)[::6] == ["cat/0.jpg", "dog/0.jpg"]
    assert all(data.classes[y] == n[:3] for y, n in zip(data.test.y, data.test.names, strict=True))
    again = image_folder(folder, size=8, split=1 / 3)
    assert again.test.names == data.test.names
    assert image_folder(folder, size=8, split=1 / 3, seed=1).test.names != data.test.names


def test_classes_give_the_order_and_a_second_folder_may_test(folder):
    picture(folder.parent / "test" / "dog" / "x.png")
    data = image_folder(
        folder, size=(8, 9), test=folder.parent / "test", classes=["dog", "cat"], color_mode="rgb"
    )
    assert data.classes == ("dog", "cat")
    assert (data.test.y.tolist(), data.calibration.y[0], data.test.x.shape) == ([0], 1, (1, 8, 9, 3))


def test_pictures_without_a_class_have_no_label(tmp_path):
    for i in range(4):
        picture(tmp_path / f"{i}.png", seed=i)
    data = image_folder(tmp_path, size=8, split=0)
    assert (data.test.y, data.purpose.name, len(data.test)) == (None, "agreement", 4)


def png_bomb(path):
    """A PNG of 60,000 x 60,000 pixels in a few bytes."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: f.write_bytes(b""), "damaged, or no BMP"),
        (lambda f: f.write_bytes(b"<svg/>"), "damaged, or no BMP"),
        (lambda f: f.write_bytes(f.read_bytes()[:800]), "damaged, or no picture that TensorFlow decodes"),
        (png_bomb, "more than the 67108864 pixels"),
        (lambda f: (f.unlink(), os.mkfifo(f)), "is a pipe"),
        (lambda f: (f.unlink(), f.symlink_to("/dev/zero")), "is a device"),
        (lambda f: os.truncate(f, 1 << 33), "at most"),
    ],
)
def test_a_file_that_is_no_picture_is_named(folder, spoil, words):
    spoil(folder / "cat" / "2.jpg")
    data = image_folder(folder, size=8, split=0)
    with pytest.raises(ModelError, match=rf"cat/2\.jpg.*{words}"):
        np.asarray(data.test.x)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", "needs the key size"),
        ("size=0", "1 to 8192"),
        ("size=8,8,8", "height and width"),
        ("size=8&interpolation=cubic", "interpolation='cubic': allowed: bilinear, nearest, bicubic, area"),
        ("size=8&aspect_ratio=stretch", "aspect_ratio='stretch': allowed: fit, crop, padding"),
        ("size=8&color_mode=bgr", "color_mode='bgr': allowed: grayscale, rgb, rgba"),
        ("size=8&rescale=0,1", "scale \\(not 0\\) and offset"),
        ("size=8&classes=cat,bird", "classes=cat, bird, but the folders of .* are cat, dog"),
        ("size=8&test=nowhere", "nowhere is not there; a folder is wanted"),
        ("size=8&split=-1", "split=-1"),
    ],
)
def test_wrong_values_are_named(folder, query, words):
    with pytest.raises(UsageError, match=words):
        load_data(f"images:train?{query}", folder.parent)


def test_a_folder_with_classes_and_loose_files_is_refused(folder):
    picture(folder / "loose.jpg")
    with pytest.raises(UsageError, match=r"such as loose\.jpg; put each file into the folder of its class"):
        image_folder(folder, size=8)


@pytest.mark.parametrize("ending", [".txt", ".tfs"])
def test_boxes_beside_pictures_become_corners(tmp_path, ending):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    rows = np.array([[1, 0.5, 0.25, 0.2, 0.5], [0, 0.9, 0.5, 0.4, 0.2]], np.float32)
    if ending == ".txt":
        (tmp_path / "a.txt").write_text("\n".join(" ".join(map(str, row)) for row in rows) + "\n\n")
    else:
        import tensorflow as tf

        padded = np.vstack([rows, np.zeros((3, 5), np.float32)])
        (tmp_path / "a.tfs").write_bytes(tf.io.serialize_tensor(padded).numpy())
    data = annotated_folder(tmp_path, size=8, split=0, classes=["cat", "dog"])
    wanted = [[0, 0.4, 0.5, 0.6, 1], [0.4, 0.7, 0.6, 1, 0]]  # the second is cut off at the edge
    np.testing.assert_allclose(data.test.y[0], wanted, atol=1e-6)
    assert data.test.y[1, :, 4].tolist() == [-1, -1]
    assert data.purpose.name == "detection"


def test_yolo_keeps_labels_in_a_tree_beside_images(tmp_path):
    picture(tmp_path / "images" / "train" / "a.jpg")
    (tmp_path / "labels" / "train").mkdir(parents=True)
    (tmp_path / "labels" / "train" / "a.txt").write_text("0 0.5 0.5 1 1")
    for root in (tmp_path, tmp_path / "images"):
        assert annotated_folder(root, size=8, split=0).test.y.tolist() == [[[0, 0, 1, 1, 0]]]


@pytest.mark.parametrize("size", [(11, 13), (12, 40), (31, 20), (20, 31)])
def test_boxes_move_with_a_picture_that_is_cut_or_padded(tmp_path, size):
    """A white block in a black picture: its true box is where the block is afterwards."""
    from PIL import Image

    values = np.zeros((20, 30), np.uint8)
    values[8:13, 11:17] = 255
    Image.fromarray(values).save(tmp_path / "a.png")
    (tmp_path / "a.txt").write_text(f"0 {14 / 30} {10.5 / 20} {6 / 30} {5 / 20}")
    data = annotated_folder(tmp_path, size=size, split=0, aspect_ratio="padding", color_mode="grayscale")
    rows, columns = np.nonzero(data.test.x[0][..., 0])
    height, width = size
    found = data.test.y[0, 0, :4] * [height, width, height, width]
    np.testing.assert_allclose(
        found, [rows.min(), columns.min(), rows.max() + 1, columns.max() + 1], atol=1e-9
    )


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("0 0.5 0.5 0.1", "wanted: class x y width height"),
        ("cat 0.5 0.5 0.1 0.1", "wanted: class x y width height"),
        ("0 nan 0.5 0.1 0.1", "wanted: class x y width height"),
        ("0 50 50 10 10", "Are these pixels"),
        ("0 0.5 0.5 0 0.1", "a box 0.5 0.5 0 0.1"),
        ("2 0.5 0.5 0.1 0.1", "the class is 2; allowed: 0 to 1, as classes= names 2"),
        ("-1 0.5 0.5 0.1 0.1", "the class is -1"),
        ("0.5 0.5 0.5 0.1 0.1", "the class is 0.5"),
    ],
)
def test_a_wrong_annotation_is_named_with_its_line(tmp_path, line, words):
    picture(tmp_path / "a.jpg")
    (tmp_path / "a.txt").write_text(f"0 0.5 0.5 0.1 0.1\n\n{line}\n")
    with pytest.raises(ModelError, match=rf"a\.txt, line 3: .*{words}"):
        annotated_folder(tmp_path, size=8, classes=["cat", "dog"])


def document():
    return {
        "images": [
            {"id": 7, "file_name": "sub/b.jpg", "height": 20, "width": 30},
            {"id": 3, "file_name": "a.jpg", "height": 20, "width": 30},
        ],
        "annotations": [
            {"image_id": 7, "category_id": 44, "bbox": [3, 4, 6, 8]},
            {"image_id": 7, "category_id": 1, "bbox": [0.0, 0, 30, 20]},
            {"image_id": 7, "category_id": 1, "bbox": [0, 0, 30, 20], "iscrowd": 1},
        ],
        "categories": [{"id": 44, "name": "cup"}, {"id": 1, "name": "person"}],
    }


def written(path, content):
    picture(path / "a.jpg")
    picture(path / "sub" / "b.jpg", seed=1)
    (path / "a.json").write_text(json.dumps(content))
    return path / "a.json"


def test_coco_boxes_become_corners_and_categories_labels(tmp_path):
    data = coco(tmp_path, written(tmp_path, document()), size=8, split=0)
    assert data.classes == ("person", "cup")
    assert data.test.names == ("a.jpg", "sub/b.jpg")
    assert data.test.y[0, :, 4].tolist() == [-1, -1]
    np.testing.assert_allclose(data.test.y[1], [[0.2, 0.1, 0.6, 0.3, 1], [0, 0, 1, 1, 0]])


def test_coco_takes_some_of_the_categories(tmp_path):
    written(tmp_path, document())
    data = load_data("coco:.?annotations=a.json&size=8&split=0&classes=cup", tmp_path)
    assert data.classes == ("cup",)
    assert data.test.y[:, :, 4].tolist() == [[-1], [0]]


def put(document, *path, value):
    *parents, last = path
    for key in parents:
        document = document[key]
    document[last] = value


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("annotations",), {}, "no lists images, annotations, categories"),
        (("images", 1, "width"), "30", r"images\[1\]: width is 30; wanted: int"),
        (("images", 1, "width"), 0, r"images\[1\]: id 3 of 0 x 20"),
        (("images", 1, "id"), 7, r"images\[1\]: id 7 of 30 x 20 pixels; ids are given once"),
        (("images", 1, "file_name"), "../a.jpg", r"images\[1\]: file_name '../a.jpg' leads out"),
        (("images", 1, "file_name"), "/etc/passwd", "leads out"),
        (("images", 1, "file_name"), "c.jpg", "1 of 2 pictures that are not there, such as .*c.jpg"),
        (("annotations", 1, "bbox"), [0, 0, 1], r"annotations\[1\]: bbox .*; wanted: x, y, width, height"),
        (("annotations", 1, "bbox", 2), None, r"annotations\[1\]: bbox"),
        (("annotations", 1, "image_id"), 9, r"annotations\[1\]: there is no image_id 9"),
        (("annotations", 1, "category_id"), 9, r"annotations\[1\]: there is no category_id 9"),
        (("annotations", 1), 9, r"annotations\[1\]: an object with image_id"),
        (("categories", 1, "id"), 44, "two with one id"),
        (("categories",), [], "no entry"),
    ],
)
def test_a_wrong_coco_file_is_named_with_its_entry(tmp_path, path, value, words):
    content = document()
    put(content, *path, value=value)
    with pytest.raises(ModelError, match=words):
        coco(tmp_path, written(tmp_path, content), size=8)


@pytest.mark.parametrize(("text", "words"), [("{", "is no JSON: .*line 1"), ("[" * 9999, "is no JSON")])
def test_what_is_no_json_is_refused(tmp_path, text, words):
    file = written(tmp_path, document())
    file.write_text(text)
    with pytest.raises(ModelError, match=words):
        coco(tmp_path, file, size=8)


def test_an_unknown_category_is_named(tmp_path):
    file = written(tmp_path, document())
    with pytest.raises(UsageError, match="no category 'dog'; it has person, cup"):
        coco(tmp_path, file, size=8, classes=["dog"])


@pytest.mark.parametrize("package", ["PIL", "tensorflow"])
def test_without_the_packages_it_says_what_to_install(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    _libraries.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r'pip install "pytest-quantcheck\[zoo\]"'):
            image_folder(folder, size=8)
    finally:
        _libraries.cache_clear()
