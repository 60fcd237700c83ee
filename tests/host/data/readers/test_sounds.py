"""Folders of recordings: the numbers are librosa's, the labels the CSV file's, wrong files are named."""

from __future__ import annotations

import os
import sys
from dataclasses import replace

import numpy as np
import pytest

from pytest_quantcheck.data import LogMel, Waves, audio_folder, load_data
from pytest_quantcheck.data.readers.waves import libraries
from pytest_quantcheck.data.representative import leaks
from pytest_quantcheck.errors import MissingExtraError, ModelError, UsageError

pytestmark = pytest.mark.host
librosa = pytest.importorskip("librosa", reason="sounds need the extra zoo")
soundfile = pytest.importorskip("soundfile", reason="sounds need the extra zoo")
TOLERANCE = 1e-5  # of the largest value: float32 sums in another order
FAST = Waves(target_rate=8000, max_length=2, min_length=0.5, frame_length=400, hop_length=400)
SMALL = LogMel(patch_length=20, n_mels=16, n_fft=256, hop_length=80, window_length=200, fmax=3800)


def wave(seconds=1.5, rate=8000, seed=0, *, silent=(0.5, 0.9)):
    """A chord and noise, with a silence in it."""
    random = np.random.default_rng(seed)
    time = np.arange(int(seconds * rate)) / rate
    made = sum(np.sin(2 * np.pi * f * time) for f in random.uniform(200, 3000, 3)) / 6
    made = made + random.normal(0, 0.02, len(time))
    made[int(silent[0] * rate) : int(silent[1] * rate)] *= 1e-5
    return made.astype(np.float32)


def written(path, *args, rate=8000, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave(*args, rate=rate, **options), rate, "PCM_16")
    return path


@pytest.fixture
def folder(tmp_path):
    """Nine recordings of three classes, and a CSV file as ESC-50 has it."""
    rows = ["filename,fold,target,category,esc10,src_file,take"]
    for at, kind in enumerate(("dog", "rain", "sneezing") * 3):
        written(tmp_path / "audio" / f"1-{at}.wav", seed=at)
        rows.append(f"1-{at}.wav,1,{at % 3},{kind},True,100{at},A")
    (tmp_path / "meta.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def librosas(file, waves, features):
    """What the STM32 model zoo's scripts do, in librosa's own words."""
    y, rate = librosa.load(file, sr=waves.target_rate, duration=waves.max_length)
    wanted = int(waves.min_length * rate)
    if waves.lengthen == "before" and len(y) < wanted:
        y = np.tile(y, wanted // len(y) + 1)[:wanted]
    loud = librosa.effects.split(
        y, top_db=waves.top_db, frame_length=waves.frame_length, hop_length=waves.hop_length
    )
    y = np.concatenate([y[start:stop] for start, stop in loud])
    if waves.trim_last_second and len(y) >= rate:
        y = y[: len(y) // rate * rate]
    if waves.lengthen == "after" and len(y) < wanted:
        y = np.tile(y, wanted // len(y) + 1)[:wanted]
    mel = librosa.feature.melspectrogram(
        y=y,
        sr=rate,
        n_fft=features.n_fft,
        hop_length=features.hop_length,
        win_length=features.window_length,
        window=features.window,
        center=features.center,
        pad_mode=features.pad_mode,
        power=features.power,
        n_mels=features.n_mels,
        fmin=features.fmin,
        fmax=features.fmax,
        norm=features.norm,
        htk=features.htk,
    )
    if not features.to_db:
        whole = np.log(mel + 1e-4)
    else:
        whole = {1: librosa.amplitude_to_db, 2: librosa.power_to_db}[features.power](mel, ref=np.max)
    length, shared = features.patch_length, int(features.patch_length * features.overlap)
    count = 1 + (whole.shape[1] - length) // (length - shared)
    return np.stack([whole[:, i * (length - shared) :][:, :length] for i in range(count)])


@pytest.mark.parametrize(
    ("waves", "features"),
    [
        ({}, {}),
        ({"target_rate": 6000}, {"fmax": 2800}),
        ({"lengthen": "before", "min_length": 1.9}, {}),
        ({"lengthen": "after", "min_length": 1.9}, {}),
        ({"trim_last_second": True}, {}),
        ({"max_length": 0.6}, {}),
        ({"top_db": 20, "frame_length": 200, "hop_length": 100}, {}),
        ({}, {"to_db": True}),
        ({}, {"to_db": True, "power": 2.0}),
        ({}, {"power": 2.0, "norm": "slaney", "htk": False}),
        ({}, {"center": True, "pad_mode": "reflect"}),
        ({}, {"overlap": 0.5}),
        ({}, {"overlap": 0.0, "window": "hamming"}),
        ({}, {"window_length": 256, "fmax": None}),
    ],
)
@pytest.mark.parametrize("rate", [8000, 11025])
def test_patches_are_librosas(tmp_path, waves, features, rate):
    file = written(tmp_path / "a.flac", rate=rate)
    waves, features = replace(FAST, **waves), replace(SMALL, **features)
    wanted = librosas(file, waves, features)
    found = features.patches(waves.read(file), waves.target_rate, "a")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=TOLERANCE * np.abs(wanted).max(), rtol=0)


def test_channels_are_averaged(tmp_path):
    left, right = wave(seed=1), wave(seed=2)
    soundfile.write(tmp_path / "a.wav", np.column_stack([left, right]), 8000, "FLOAT")
    found = replace(FAST, top_db=None).read(tmp_path / "a.wav")
    np.testing.assert_allclose(found, (left + right) / 2, atol=1e-7)


def test_frames_left_over_make_a_patch_where_it_is_wanted():
    features = replace(SMALL, overlap=0.0)
    y = wave(1.0)[: 200 + 80 * 45 + 56]  # 46 frames: two patches, six frames over
    whole = features.spectrogram(y, 8000)
    assert whole.shape[1] == 46
    assert len(features.patches(y, 8000, "")) == 2
    last = replace(features, include_last_patch=True).patches(y, 8000, "")
    assert len(last) == 3
    assert np.array_equal(last[2], whole[:, 26:])
    exact = wave(1.0)[: 200 + 80 * 39 + 56]
    assert len(replace(features, include_last_patch=True).patches(exact, 8000, "")) == 2


def test_esc_50_clips_are_judged_as_one_and_held_out_together(folder):
    data = audio_folder(
        folder / "audio",
        folder / "meta.csv",
        waves=FAST,
        features=SMALL,
        split=1 / 3,
        classes=["rain", "dog"],
    )
    assert data.classes == ("rain", "dog")
    assert data.purpose.name == "audio_events"
    assert data.test.x.shape[1:] == (16, 20, 1)
    clips = [{name.partition("#")[0] for name in part.names} for part in (data.calibration, data.test)]
    assert (len(clips[0]), len(clips[1]), clips[0] & clips[1]) == (4, 2, set())
    assert {int(y) for y in data.test.y} == {0, 1}
    at = data.test.names.index(min(data.test.names))
    file = folder / "audio" / data.test.names[at].partition("#")[0]
    wanted = SMALL.patches(FAST.read(file), 8000, "")[0]
    assert np.array_equal(data.test.x[at, ..., 0], wanted)


def test_other_classes_make_one_of_their_own(folder):
    data = load_data(
        "audio:audio?csv=meta.csv&classes=dog&other=2&split=0&expand_last_dim=False&waves.target_rate=8000"
        "&waves.frame_length=400&waves.hop_length=400&waves.min_length=.5&waves.max_length=1"
        "&features.patch_length=20&features.n_mels=8&features.fmax=3800",
        folder,
    )
    assert data.classes == ("dog", "other")
    clips = {name.partition("#")[0]: int(y) for name, y in zip(data.test.names, data.test.y, strict=True)}
    assert sorted(clips.values()) == [0, 0, 0, 1, 1, 1, 1]
    assert data.test.x.shape[1:] == (8, 20)


def test_classes_may_be_folders_and_names_may_lack_their_ending(tmp_path):
    for kind in ("dog", "rain"):
        for i in range(3):
            written(tmp_path / "wav" / kind / f"{i}.wav", seed=i)
    data = audio_folder(tmp_path / "wav", waves=FAST, features=SMALL, split=0)
    assert data.classes == ("dog", "rain")
    (tmp_path / "a.csv").write_text("fname;label\ndog/0;bark\nrain/2;drops\n")
    data = audio_folder(
        tmp_path / "wav",
        tmp_path / "a.csv",
        columns=("fname", "label"),
        extension=".wav",
        waves=FAST,
        features=SMALL,
        split=0,
    )
    assert data.classes == ("bark", "drops")
    assert {name.partition("#")[0] for name in data.test.names} == {"dog/0.wav", "rain/2.wav"}


def test_a_test_set_of_its_own_takes_the_classes_of_the_other(folder):
    (folder / "test.csv").write_text("filename,category\n1-1.wav,rain\n")
    data = audio_folder(folder / "audio", folder / "meta.csv", test_csv=folder / "test.csv", waves=FAST,
                        features=SMALL)  # fmt: skip
    assert len({name.partition("#")[0] for name in data.calibration.names}) == 9
    assert set(data.test.y.tolist()) == {1}


def test_clips_of_one_name_are_the_same_clip_only_by_content(folder, tmp_path):
    """A leak is told by what is heard: names say nothing where train and test lie in folders of their own."""
    for number, seed in enumerate((20, 21, 5)):  # the third is one of those that calibrate, by another name
        written(tmp_path / "test" / f"1-{number}.wav", seed=seed)
    data = audio_folder(folder / "audio", test=tmp_path / "test", waves=FAST, features=SMALL)
    assert set(data.test.names) < set(data.calibration.names)
    patches = len(data.test) // 3
    others = [row for row, name in enumerate(data.calibration.names) if "1-5.wav" not in name]
    assert leaks(data.calibration.take(others), data.test, by_id=True) == []
    (found,) = leaks(data.calibration, data.test, by_id=True)
    assert found.sentence.startswith(
        f"{patches} of {len(data.calibration)} calibration samples are test samples too"
    )


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def faster(file):
    content = bytearray(file.read_bytes())
    content[24:28] = (2_000_000_000).to_bytes(4, "little")
    file.write_bytes(content)


def poisoned(file):
    soundfile.write(file, np.array([0, np.nan, 1] * 3000, np.float32), 8000, "FLOAT")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (cut, r"is cut off: its header promises \d+ bytes, it has \d+"),
        (faster, "claims 2000000000 Hz and 1 channels"),
        (poisoned, "not finite"),
        (lambda f: f.write_bytes(b""), "is damaged, or no sound"),
        (lambda f: f.write_bytes(b"RIFF" + bytes(100)), "is damaged, or no sound"),
        (lambda f: soundfile.write(f, np.zeros(0, np.float32), 8000), "holds no sound"),
        (lambda f: soundfile.write(f, wave(0.05), 8000), "makes .* frames, a patch has 20"),
        (lambda f: (f.unlink(), os.mkfifo(f)), "is a pipe"),
        (lambda f: (f.unlink(), f.symlink_to("/dev/zero")), "is a device"),
        (lambda f: f.unlink(), r"meta\.csv, line 6: there is no .*1-4\.wav"),
    ],
)
def test_a_file_that_is_no_sound_is_named(folder, spoil, words):
    spoil(folder / "audio" / "1-4.wav")
    waves = replace(FAST, min_length=0)
    with pytest.raises(ModelError, match=words) as caught:
        audio_folder(folder / "audio", folder / "meta.csv", waves=waves, features=SMALL)
    assert "1-4.wav" in str(caught.value)


def test_of_an_endless_recording_only_the_beginning_is_read(tmp_path):
    content = bytearray(written(tmp_path / "a.wav").read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"
    (tmp_path / "a.wav").write_bytes(content)
    os.truncate(tmp_path / "a.wav", 6 << 30)  # a file of holes
    assert len(replace(FAST, top_db=None).read(tmp_path / "a.wav")) == 2 * 8000


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("../a.wav,dog", r"line 3: '\.\./a\.wav' is no name of a file below"),
        ("/etc/passwd,dog", "line 3: '/etc/passwd' is no name"),
        ("1-0.wav,dog", r"line 3: 1-0\.wav is named in line 2 already"),
        ("1-1.wav,", "line 3: the column category is empty"),
        ("1-1.wav", "line 3: 1 values, the header names 2"),
        ("9.wav,dog", r"line 3: there is no .*9\.wav"),
    ],
)
def test_a_wrong_row_is_named_with_its_line(folder, row, words):
    (folder / "a.csv").write_text(f"filename,category\n1-0.wav,dog\n{row}\n")
    with pytest.raises(ModelError, match=rf"a\.csv, {words}"):
        audio_folder(folder / "audio", folder / "a.csv")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Waves(target_rate=0), "target_rate=0"),
        (lambda: Waves(min_length=3, max_length=2), "min_length=3, max_length=2"),
        (lambda: Waves(lengthen="never"), "lengthen='never': allowed: after, before"),
        (lambda: Waves(top_db=-1), "top_db=-1"),
        (lambda: LogMel(overlap=1), "overlap=1"),
        (lambda: LogMel(window_length=600), "window_length=600 is above n_fft=512"),
        (lambda: LogMel(power=3), "power=3"),
        (lambda: LogMel(norm="None"), "norm='None': allowed: None, 'slaney'"),
        (lambda: LogMel(fmin=8000), "fmin=8000, fmax=7500"),
        (lambda: LogMel(n_mels=0), "n_mels=0"),
        (lambda: LogMel(htk="yes"), "htk='yes': allowed: True, False"),
    ],
)
def test_wrong_settings_are_named(make, words):
    with pytest.raises(UsageError, match=words):
        make()


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("csv=none.csv", r"none\.csv cannot be read: No such file"),
        ("csv=meta.csv&columns=file,category", "no column 'file'; it has filename, fold, target"),
        (
            "csv=meta.csv&classes=cat",
            "no recording is of the class 'cat'; the classes are dog, rain, sneezing",
        ),
        ("csv=meta.csv&waves.rate=1", "unknown key waves.rate; allowed: target_rate, min_length"),
        ("csv=meta.csv&rate=1", "unknown key rate; allowed: csv, test"),
        ("csv=meta.csv&waves.top_db=loud", "a value is of the wrong kind"),
    ],
)
def test_wrong_texts_are_named(folder, query, words):
    with pytest.raises(UsageError, match=words):
        load_data(f"audio:audio?{query}", folder)


@pytest.mark.parametrize("package", ["librosa", "soundfile"])
def test_without_the_packages_it_says_what_to_install(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    libraries.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r'pip install "pytest-quantcheck\[zoo\]"'):
            audio_folder(folder / "audio", folder / "meta.csv")
    finally:
        libraries.cache_clear()
