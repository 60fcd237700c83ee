"""Which samples calibrate: the text form, the choice, and what it may depend on."""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_quantcheck.data.calibration import Calibration, choose
from pytest_quantcheck.errors import UsageError

pytestmark = pytest.mark.host

IDS = [f"sample-{i:03d}" for i in range(100)]


@pytest.mark.parametrize(
    ("text", "kind", "value", "identifier"),
    [
        ("10%", "fraction", 0.1, "cal10pct"),
        ("33.3%", "fraction", 0.333, "cal33.3pct"),
        ("all", "fraction", 1.0, "cal100pct"),
        ("count:25", "count", 25, "cal25"),
        ("random", "random", 100, "calrandom"),
        ("random:20", "random", 20, "calrandom20"),
        ("stratified:10%", "stratified", 0.1, "calstratified10pct"),
        ("classes:5", "classes", 1, "calclasses5"),
        ("classes:cat,dog", "classes", 1, "calclassescat+dog"),
        ("classes:5+7", "classes", 1, "calclasses5+7"),
        ("ids:b,a", "ids", 1, "calids2"),
    ],
)
def test_each_text_names_one_calibration(text, kind, value, identifier):
    parsed = Calibration.parse(text)
    assert (parsed.kind, parsed.seed) == (kind, 0)
    assert parsed.value == pytest.approx(value)
    assert parsed.id == identifier
    assert Calibration.parse(parsed.text) == Calibration.from_dict(parsed.to_dict()) == parsed


def test_two_calibrations_share_no_id_but_those_by_ids_of_one_number():
    fractions = [
        Calibration("fraction", value)
        for value in (0.1, 1 / 3, 0.333333, 0.3333331, 0.12345678, 0.12345679, 1e-7, 1.00001e-7, 1.0)
    ]
    lists = [
        ("a", "b"),
        ("c", "d"),
        ("a+b",),
        ("b", "a"),
        ("2",),
        ("a-seed7",),
        tuple(f"sample{i}" for i in range(99)),
        tuple(f"sample{i}" for i in range(1, 100)),
        ("a b",),
        ("ä",),
    ]
    made = [
        *fractions,
        *(Calibration("stratified", each.value) for each in fractions),
        *(Calibration("classes", seed=seed, classes=names) for names in lists for seed in (0, 7)),
        Calibration("ids", ids=("a", "b")),
        Calibration("ids", ids=("c",)),
        Calibration("count", 10),
        Calibration("random", 10),
    ]
    for one, other in itertools.combinations(made, 2):
        assert one != other
        assert one.id != other.id
    assert all(Calibration.parse(each.text) == each for each in fractions)


def test_ids_that_were_clear_are_as_they_always_were():
    for percent in ("7.2", "14.1", "33.3333", "0.5", "12.3456", "99.999", "100", "1e-05"):
        assert Calibration("fraction", float(percent) / 100).id == f"cal{percent}pct"


def test_seed_zero_stays_zero_and_others_show_in_the_id():
    assert Calibration.parse("10%", seed=0).id == "cal10pct"
    assert Calibration.parse("10%", seed=7).id == "cal10pct-seed7"


@pytest.mark.parametrize(
    "text",
    [
        "0%",
        "101%",
        "-5%",
        "count:0",
        "random:0",
        "count:x",
        "",
        "10",
        "classes:",
        "classes:5,5",
        "ids:",
        "ids:a,,b",
        "stratified:0%",
        "stratified:5",
        "1e1%",
        "٣%",
    ],
)
def test_any_other_text_is_a_usage_error_that_repeats_it(text):
    with pytest.raises(UsageError) as caught:
        Calibration.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    "arguments",
    [("fraction", 0.0), ("fraction", 1.5), ("count", 0), ("count", 2.5), ("random", 0), ("median", 1)],
)
def test_impossible_values_are_usage_errors_also_without_text(arguments):
    with pytest.raises(UsageError):
        Calibration(*arguments)


@pytest.mark.parametrize("seed", [-1, True, 1.5])
def test_a_seed_is_a_whole_number(seed):
    with pytest.raises(UsageError, match="seed"):
        Calibration("fraction", 1.0, seed)


def test_the_choice_does_not_depend_on_the_order_of_listing():
    shuffled = random.Random(1).sample(IDS, len(IDS))
    calibration = Calibration.parse("10%")
    chosen = [IDS[i] for i in choose(calibration, IDS)]
    assert [shuffled[i] for i in choose(calibration, shuffled)] == chosen
    assert chosen == sorted(chosen)


@given(st.lists(st.text(st.characters(exclude_categories=())), min_size=1, unique=True), st.data())
def test_any_names_in_any_order_give_the_same_choice(ids, data):
    """Also names that are no valid Unicode, as file names may be."""
    calibration = Calibration("count", data.draw(st.integers(1, len(ids))), data.draw(st.integers(0, 9)))
    listed_otherwise = data.draw(st.permutations(ids))
    chosen = [ids[i] for i in choose(calibration, ids)]
    assert chosen == sorted(chosen)
    assert len(chosen) == calibration.value
    assert chosen == [listed_otherwise[i] for i in choose(calibration, listed_otherwise)]


def test_the_choice_is_the_documented_one():
    """Pinned: another algorithm would silently change everybody's artefacts and baselines."""
    chosen = [IDS[i] for i in choose(Calibration.parse("count:5"), IDS)]
    assert chosen == ["sample-016", "sample-028", "sample-047", "sample-054", "sample-098"]


def test_the_choice_is_the_same_under_any_locale_and_hash_seed():
    program = (
        "import locale; locale.setlocale(locale.LC_ALL, '')\n"
        "from pytest_quantcheck.data.calibration import Calibration, choose\n"
        "ids = ['z', 'Z', 'ä', 'a', 'Ä', 'é', '10', '9', 'i', 'I', 'ı']\n"
        "print(*choose(Calibration.parse('count:6'), ids))"
    )
    seen = set()
    for language, hash_seed in (("C", "0"), ("C.UTF-8", "1"), ("POSIX", "2")):
        environment = {**os.environ, "LC_ALL": language, "LANG": language, "PYTHONHASHSEED": hash_seed}
        seen.add(subprocess.check_output([sys.executable, "-c", program], env=environment, text=True))
    assert len(seen) == 1


FOLDER = """
import locale, os, sys
import numpy as np
from pytest_quantcheck.data.calibration import Calibration
from pytest_quantcheck.data.dataset import Dataset, Samples
from pytest_quantcheck.data.representative import representative

locale.setlocale(locale.LC_ALL, "")
names = [entry.name for entry in os.scandir(sys.argv[1])]  # as the file system lists them
x = np.array([[float(open(os.path.join(sys.argv[1], name)).read())] for name in names], np.float32)
samples = Samples(x, ids=names)
for seed in (0, 123):
    chosen = representative(Calibration.parse("count:4", seed), samples, [(1,)])
    print(seed, chosen.sha256, *chosen.ids)
"""


def test_the_same_files_in_another_folder_listed_otherwise_under_another_locale_give_the_same_samples(
    tmp_path,
):
    names = [f"{letter}{number}.wav" for letter in "zaÄäiIB" for number in (9, 10)]
    seen = set()
    for language, hash_seed in (("C", "1"), ("C.UTF-8", "2"), ("POSIX", "3")):
        folder = tmp_path / language
        folder.mkdir()
        for name in random.Random(hash_seed).sample(names, len(names)):
            (folder / name).write_text(str(names.index(name)))
        environment = {**os.environ, "LC_ALL": language, "PYTHONUTF8": "1", "PYTHONHASHSEED": hash_seed}
        command = [sys.executable, "-c", FOLDER, str(folder)]
        seen.add(subprocess.check_output(command, env=environment, text=True, encoding="utf-8"))
    (told,) = seen
    zero, other = told.splitlines()
    assert zero.split()[2:] != other.split()[2:]


def test_another_seed_chooses_other_samples():
    first, second = (set(choose(Calibration.parse("20%", seed), IDS)) for seed in (0, 1))
    assert first != second


def test_a_smaller_choice_lies_inside_a_larger_one():
    sizes = ["count:1", "5%", "20%", "count:50", "all"]
    choices = [set(choose(Calibration.parse(size, 3), IDS)) for size in sizes]
    assert all(small < large for small, large in pairwise(choices))


@pytest.mark.parametrize(
    ("text", "available", "expected"),
    [("7%", 100, 7), ("29%", 100, 29), ("1%", 3, 1), ("33.3%", 1000, 333), ("10%", 1257, 126), ("all", 5, 5)],
)
def test_a_fraction_is_rounded_up_and_never_to_none(text, available, expected):
    assert Calibration.parse(text).size(available) == expected


def test_more_samples_than_there_are_is_an_error():
    with pytest.raises(UsageError, match="there are 100 calibration samples"):
        choose(Calibration.parse("count:101"), IDS)


@pytest.mark.parametrize("text", ["count:99999999", "random:54321"])
def test_large_numbers_stand_in_texts_and_ids_as_they_were_written(text):
    calibration = Calibration.parse(text)
    assert calibration.text == text
    assert calibration.id.endswith(text.partition(":")[2])


def test_an_empty_set_is_an_error():
    with pytest.raises(UsageError, match="empty"):
        choose(Calibration.parse("10%"), [])


LABELS = [i % 3 for i in range(90)] + [3] * 10  # four classes, one of them rare


def chosen_labels(text, seed=0, classes=()):
    return Counter(LABELS[i] for i in choose(Calibration.parse(text, seed), IDS, LABELS, classes))


def test_a_stratified_choice_takes_as_much_of_every_class_and_never_none():
    assert chosen_labels("stratified:10%") == {0: 3, 1: 3, 2: 3, 3: 1}
    assert chosen_labels("stratified:1%") == {0: 1, 1: 1, 2: 1, 3: 1}


def test_chosen_classes_give_all_their_samples_by_label_or_by_name():
    assert chosen_labels("classes:3") == {3: 10}
    assert chosen_labels("classes:0,3") == {0: 30, 3: 10}
    assert chosen_labels("classes:rare,1", classes=("a", "b", "c", "rare")) == {1: 30, 3: 10}


def test_of_a_name_that_several_classes_have_the_label_is_asked_for():
    names = ("crane", "b", "crane", "d")
    with pytest.raises(UsageError, match="crane: 2 classes have this name; give the label of one: 0, 2"):
        chosen_labels("classes:crane", classes=names)
    assert chosen_labels("classes:0,d", classes=names) == {0: 30, 3: 10}


def test_explicit_ids_are_taken_in_sorted_order():
    chosen = choose(Calibration.parse("ids:sample-050,sample-007"), IDS)
    assert [IDS[i] for i in chosen] == ["sample-007", "sample-050"]


@pytest.mark.parametrize(
    ("text", "labels", "words"),
    [
        ("classes:7", LABELS, "no calibration sample is of that class; there are: 0, 1, 2, 3"),
        ("classes:cat", LABELS, "classes:cat: no calibration sample"),
        ("classes:1", None, "needs the classes"),
        ("stratified:10%", None, "needs the classes"),
        ("ids:sample-007,other", None, "1 of 2 are not among the 100 .* 'other'"),
    ],
)
def test_what_cannot_be_chosen_is_an_error_that_says_what_can(text, labels, words):
    with pytest.raises(UsageError, match=words):
        choose(Calibration.parse(text), IDS, labels)


@pytest.mark.parametrize(
    "text", ["10%", "count:7", "stratified:10%", "classes:1,3", "ids:sample-050,sample-007"]
)
def test_no_choice_depends_on_the_order_of_listing(text):
    order = random.Random(2).sample(range(len(IDS)), len(IDS))
    shuffled, labels = [IDS[i] for i in order], [LABELS[i] for i in order]
    calibration = Calibration.parse(text)
    again = [shuffled[i] for i in choose(calibration, shuffled, labels)]
    assert again == [IDS[i] for i in choose(calibration, IDS, LABELS)]


def test_seed_zero_and_seed_123_choose_differently():
    assert choose(Calibration.parse("10%", 0), IDS) != choose(Calibration.parse("10%", 123), IDS)


def test_a_random_calibration_is_bounded() -> None:
    assert Calibration.parse("random:100000").value == 100_000
    with pytest.raises(UsageError, match="at most 100000 samples are drawn"):
        Calibration.parse("random:99999999999")
