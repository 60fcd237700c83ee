"""boards.toml: what is read, what is refused and how the refusal reads."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pytest_quantcheck.errors import UsageError
from pytest_quantcheck.rig import inventory
from pytest_quantcheck.rig.entry import BoardEntry

pytestmark = pytest.mark.host

NUCLEO = """
[[board]]
name = "bench-nucleo-1"
family = "stm32"
target = "stm32f446re"
probe = "066BFF485550755187"
port = "/dev/ttyACM0"
baud = 921600
tags = ["cortex-m4f"]
"""


@pytest.fixture
def boards_toml(tmp_path):
    def write(text, name="boards.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_a_board_is_read_with_all_it_says(boards_toml):
    path = boards_toml(NUCLEO)
    assert list(inventory.read(path)) == [
        BoardEntry(
            name="bench-nucleo-1",
            family="stm32",
            target="stm32f446re",
            probe="066BFF485550755187",
            port="/dev/ttyACM0",
            baud=921600,
            tags=("cortex-m4f",),
            source=str(path),
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("baud = 921600", "bawd = 921600", "unknown key 'bawd' = 921600; allowed: name, family, target"),
        ("baud = 921600", 'baud = "fast"', "baud = 'fast' has the wrong type; allowed: a whole number"),
        ("baud = 921600", "baud = true", "baud = True has the wrong type; allowed: a whole number"),
        ("baud = 921600", "baud = 50", "baud = 50; allowed: 1200 to 6000000"),
        ('["cortex-m4f"]', "[4]", r"tags = \[4\] has the wrong type; allowed: a list of strings"),
        ('"stm32"', '"avr"', "family = 'avr' is not known; allowed: .*esp32.*stm32"),
        ('port = "/dev/ttyACM0"', "", "key 'port' is missing"),
        ('target = "stm32f446re"', "", "key 'target' is missing"),
        ('"bench-nucleo-1"', '"../nucleo"', "name = '../nucleo'; allowed: letters, digits"),
        ("baud = 921600", 'console = "telnet"', "console = 'telnet'; allowed: uart, usb"),
        ("baud = 921600", 'firmware = "mine.elf"', "firmware = 'mine.elf': there is no file .*mine.elf"),
        ("[[board]]", "[board]", r"write \[\[board\]\], with double brackets"),
        ("[[board]]", "[[boards]]", "unknown key 'boards'"),
        ("[[board]]", "[[board]", "boards.toml cannot be read"),
    ],
)
def test_what_is_wrong_is_refused_with_file_and_what_is_allowed(boards_toml, old, new, message):
    path = boards_toml(NUCLEO.replace(old, new, 1))
    with pytest.raises(UsageError, match=message) as error:
        inventory.read(path)
    assert str(path) in str(error.value)


def test_a_name_that_occurs_twice_is_refused_with_both_places(boards_toml):
    first, second = boards_toml(NUCLEO), boards_toml(NUCLEO, "more.toml")
    with pytest.raises(UsageError, match=rf"{second}: board name='bench-nucleo-1' is taken.*{first}"):
        inventory.load([str(first), str(second)])


def test_a_file_without_boards_says_how_to_make_one(boards_toml):
    with pytest.raises(UsageError, match=r"names no board; quantcheck boards --scan"):
        inventory.read(boards_toml("# nothing\n"))


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(UsageError, match=r"no rig file .*quantcheck boards --scan"):
        inventory.read(tmp_path / "boards.toml")


def test_own_firmware_is_found_beside_the_file(boards_toml, tmp_path):
    (tmp_path / "own.elf").write_bytes(b"\x7fELF")
    path = boards_toml(NUCLEO + 'firmware = "own.elf"\n')
    assert inventory.read(path).boards[0].firmware == str(tmp_path / "own.elf")


BUILD = 'firmware = "app.elf"\nbuild = "make MODEL={artefact} SHA256={sha256}"\n'
TABLE = '[board.firmwares]\n"kws.tflite" = "own.elf"\n'


def test_a_firmware_for_each_model_is_built_or_named_with_paths_beside_the_file(boards_toml, tmp_path):
    for name in ("own.elf", "kws.tflite", "main.c"):
        (tmp_path / name).write_bytes(b"?")
    (built,) = inventory.read(boards_toml(NUCLEO + BUILD + 'build_sources = ["main.c"]\n'))
    assert (built.by_model, built.firmware) == (True, str(tmp_path / "app.elf"))
    assert (built.build, built.build_sources) == (
        "make MODEL={artefact} SHA256={sha256}",
        (str(tmp_path / "main.c"),),
    )
    table = TABLE + f'"{"0F" * 32}" = "own.elf"\n'
    (named,) = inventory.read(boards_toml(NUCLEO + table))
    own = str(tmp_path / "own.elf")
    assert (named.by_model, named.firmware) == (True, "external")
    assert named.firmwares == {str(tmp_path / "kws.tflite"): own, "0f" * 32: own}
    for entry in (built, named):
        assert inventory.read(boards_toml(inventory.dumps([entry]))).boards == (entry,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BUILD.replace('firmware = "app.elf"', ""), "needs the file that it makes, such as firmware ="),
        (
            BUILD.replace("{artefact}", "x").replace("{sha256}", "y"),
            "the same firmware of every model; allowed",
        ),
        (BUILD.replace("SHA256=", 'SHA256=\\"'), "is no command: No closing quotation"),
        (BUILD + 'build_sources = ["src"]\n', "build_sources names 'src': there is no file .*src"),
        ('build_sources = ["own.elf"]\n', "build_sources goes with build"),
        (BUILD + TABLE, "names a firmware for each model; leave out build"),
        ('firmware = "own.elf"\n' + TABLE, "names a firmware for each model; leave out firmware"),
        (
            TABLE.replace("kws", "vww"),
            r"\[board.firmwares\] names 'vww.tflite': there is no file .*vww.tflite",
        ),
        (TABLE.replace("own", "my"), "'kws.tflite' names 'my.elf': there is no file .*my.elf"),
        (BUILD + 'protocol = "mlperf_tiny"\n', "with protocol = 'mlperf_tiny'; allowed: external"),
    ],
)
def test_a_wrong_word_about_firmware_for_each_model_is_named(boards_toml, tmp_path, text, message):
    for name in ("own.elf", "kws.tflite"):
        (tmp_path / name).write_bytes(b"?")
    with pytest.raises(UsageError, match=message):
        inventory.read(boards_toml(NUCLEO + text))


def test_the_virtual_rig_has_one_board_per_vendor():
    boards = inventory.virtual()
    assert {board.name for board in boards} == {"virtual-esp32c3", "virtual-stm32f405"}
    assert all(board.virtual and board.name == board.target for board in boards)


def test_a_virtual_target_needs_no_port(boards_toml):
    path = boards_toml('[[board]]\nname = "mine"\nfamily = "esp32"\ntarget = "virtual-esp32c3"\n')
    assert inventory.read(path).board("mine").virtual


def test_what_is_written_is_read_back_the_same(boards_toml):
    entry = BoardEntry(
        name="b-1",
        family="esp32",
        target="esp32c3",
        port='/dev/serial/by-id/usb-"é"',
        tags=("a", "b"),
        reset="uhubctl -a cycle",
        settings={"flash_baud": "115200"},
        source="scan",
    )
    path = boards_toml(inventory.dumps([entry, BoardEntry("b-2", "stm32", "stm32f405xg", port="COM7")]))
    first, second = inventory.read(path)
    assert {**vars(first), "source": "scan"} == vars(entry)
    assert (second.name, second.port) == ("b-2", "COM7")


def test_boards_are_selected_by_family_target_and_all_tags():
    boards = inventory.Inventory(
        (
            BoardEntry("a", "stm32", "stm32f405xg", port="1", tags=("fast", "lab")),
            BoardEntry("b", "stm32", "stm32f405xg", port="2", tags=("lab",)),
            BoardEntry("c", "esp32", "esp32c3", port="3", tags=("lab",)),
        )
    )
    assert boards.targets == ("stm32f405xg", "esp32c3")
    assert [b.name for b in boards.pool("stm32f405xg")] == ["a", "b"]
    assert [b.name for b in boards.select(tags=["lab", "fast"])] == ["a"]
    assert [b.name for b in boards.select(family="esp32", tags=["lab"])] == ["c"]
    with pytest.raises(UsageError, match="board 'z' is not in the inventory; it has: a, b, c"):
        boards.board("z")


def test_the_rig_is_searched_on_the_command_line_then_environment_then_ini_then_rootdir(
    boards_toml, tmp_path
):
    def named(file):
        return str(boards_toml(NUCLEO.replace("bench-nucleo-1", file), f"{file}.toml"))

    given, environment, ini = (
        named("given"),
        {"QC_RIG": os.pathsep.join([named("e1"), named("e2")])},
        "ini.toml",
    )
    named("ini")

    def names(*args, **kwargs):
        found = inventory.find(*args, root=tmp_path, **kwargs)
        return found and [board.name for board in found]

    assert names([given], ini=[ini], environment=environment) == ["given"]
    assert names([], ini=[ini], environment=environment) == ["e1", "e2"]
    assert names([], ini=[ini], environment={}) == ["ini"]
    assert names([], environment={}) is None
    named("boards")
    assert names([], environment={}) == ["boards"]


THEIRS = """
[[board]]
name = "theirs"
family = "serial"
target = "l4r5"
port = "/dev/ttyACM1"
protocol = "mlperf_tiny"
[board.protocol_settings]
model = "kws01"
iterations = "20"
"""


def test_a_board_of_another_protocol_has_external_firmware(boards_toml):
    (entry,) = inventory.read(boards_toml(THEIRS))
    assert (entry.protocol, entry.firmware) == ("mlperf_tiny", "external")
    assert entry.protocol_settings == {"model": "kws01", "iterations": "20"}
    assert list(inventory.read(boards_toml(inventory.dumps([entry]), "again.toml"))) == [
        replace(entry, source=entry.source.replace("boards.toml", "again.toml"))
    ]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mlperf_tiny", "mlperf", "protocol = 'mlperf'; allowed: quantcheck, mlperf_tiny"),
        ("mlperf_tiny", "quantcheck", "goes with another protocol than 'quantcheck'"),
        ('model = "kws01"', 'modle = "kws01"', "modle = 'kws01' is not known to the protocol mlperf_tiny"),
        ('"20"', '"0"', "iterations = '0'; allowed: \"1\" to"),
        ('"20"', '"2e3"', "iterations = '2e3'"),
        ("iterations", "samples", "samples = '20'; allowed: raw, uint8, float32"),
        ("[board.prot", 'firmware = "quantcheck"\n[board.prot', "allowed: external"),
        ("mlperf_tiny", "stai", "model = 'kws01' is not known to the protocol stai; allowed: network"),
    ],
)
def test_a_wrong_word_about_another_protocol_is_named(boards_toml, old, new, words):
    with pytest.raises(UsageError) as caught:
        inventory.read(boards_toml(THEIRS.replace(old, new)))
    assert words in str(caught.value)
    assert "theirs" in str(caught.value)


def test_a_board_of_st_needs_a_version_that_is_known(boards_toml):
    text = THEIRS.replace("mlperf_tiny", "stai").replace(
        'model = "kws01"\niterations = "20"', 'version = "{}"'
    )
    (entry,) = inventory.read(boards_toml(text.format("3.1")))
    assert (entry.protocol, entry.firmware) == ("stai", "external")
    with pytest.raises(UsageError, match=r"version = '3.0'; allowed: 3.1, 3.2"):
        inventory.read(boards_toml(text.format("3.0")))


def test_boards_of_one_target_speak_alike(boards_toml):
    other = NUCLEO.replace("stm32f446re", "l4r5").replace('"stm32"', '"serial"\nfirmware = "external"')
    with pytest.raises(UsageError, match="of the same target 'l4r5' has 'mlperf_tiny'"):
        inventory.read(boards_toml(THEIRS + other))
