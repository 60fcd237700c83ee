"""A board of a labgrid farm, by the client of ``tests.labgrid_farm``."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig import inventory, labgrid, lease
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.faults import FaultLedger
from pytest_quantcheck.rig.mlperf.session import MlperfSession
from tests.labgrid_farm import labgrid_farm
from tests.mlperf_device import MlperfTinyDevice

pytestmark = pytest.mark.host

BOARD = BoardEntry("farm-1", "serial", "any", firmware="external", place="bench")


@pytest.fixture
def farm(tmp_path, monkeypatch):
    """The folder that is the farm's state."""
    made = labgrid_farm(tmp_path)
    monkeypatch.setenv(labgrid.CLIENT_VARIABLE, str(made))
    monkeypatch.setenv(lease.DIRECTORY_VARIABLE, str(tmp_path / "leases"))
    return tmp_path


@pytest.mark.parametrize(("protocol", "url"), [("raw", "socket://"), ("rfc2217", "rfc2217://")])
def test_a_lease_takes_the_place_and_its_port_and_gives_it_back(farm, protocol, url):
    (farm / "protocol").write_text(protocol)
    with lease.acquire([BOARD], timeout=0) as held:
        assert held.entry.port == f"{url}10.0.0.7:7710"
        held.check()
        assert (farm / "held").is_file()
    assert not (farm / "held").exists()


def test_a_place_that_others_hold_is_waited_for_and_its_holder_named(farm):
    (farm / "held").write_text("lab/anna")
    with pytest.raises(RigFault, match="farm-1 is held by lab/anna of the labgrid farm") as caught:
        lease.acquire([BOARD], timeout=0)
    assert caught.value.kind == "lease"
    assert (farm / "held").read_text() == "lab/anna"


@pytest.mark.parametrize(("now", "said"), [("lab/anna", "held by lab/anna"), ("", "it is free")])
def test_a_place_that_was_taken_away_is_a_fault_and_left_to_the_other(farm, now, said):
    held = lease.acquire([BOARD], timeout=0)
    (farm / "held").write_text(now) if now else (farm / "held").unlink()
    with pytest.raises(RigFault, match=said) as caught:
        held.check()
    assert caught.value.kind == "lease"
    held.release()
    assert (farm / "held").exists() == bool(now)


def test_a_place_that_another_took_at_once_is_not_ours_and_left_to_the_other(farm):
    (farm / "thief").write_text("lab/anna")
    with pytest.raises(RigFault, match="held by lab/anna: somebody took it at once, or the client") as caught:
        lease.acquire([BOARD], timeout=0)
    assert caught.value.kind == "lease"
    assert (farm / "held").read_text() == "lab/anna"


def test_a_place_that_is_free_again_at_once_was_not_had(farm):
    (farm / "thief").write_text("None")
    assert not labgrid.Place("bench").acquire()


@pytest.mark.parametrize(("trouble", "said"), [("deaf", "no answer"), ("lost", "connection lost")])
def test_a_place_that_was_granted_before_something_went_wrong_is_given_back(farm, trouble, said):
    (farm / trouble).touch()
    with pytest.raises(RigFault, match=said):
        lease.acquire([BOARD], timeout=0)
    assert not (farm / "held").exists()


def test_a_user_without_a_name_takes_a_place_and_gives_it_back(farm, monkeypatch):
    def nameless():
        raise KeyError("getpwuid(): uid not found: 12345")

    monkeypatch.setattr("getpass.getuser", nameless)
    monkeypatch.delenv("LG_USERNAME", raising=False)
    with lease.acquire([BOARD], timeout=0) as held:
        held.check()
    assert not (farm / "held").exists()


@pytest.mark.parametrize("retries", [0, 1])
def test_a_board_that_another_took_is_neither_restarted_nor_put_into_quarantine(farm, tmp_path, retries):
    """It stops answering since the other uses it: what we would reset is the other's work."""

    def taken(command, lines):
        if command.startswith("infer"):
            (farm / "held").write_text("lab/anna")
            return b"\xff%%\r\nm-ready\r\n"
        return lines

    device = MlperfTinyDevice(lambda sample: [1.0], spoil=taken)
    host, port = device.url.removeprefix("socket://").split(":")
    (farm / "host").write_text(host)
    (farm / "port").write_text(port)
    command = f"touch {tmp_path / 'restarted'}"
    entry = replace(BOARD, protocol="mlperf_tiny", reset=command, power_cycle=command)
    ledger = FaultLedger(retries=retries)
    with (
        MlperfSession([entry], log_dir=tmp_path, ledger=ledger) as session,
        pytest.raises(RigFault, match="taken away from this run; it is held by lab/anna") as caught,
    ):
        session.infer([b"x"], session.start(), outputs=1)
    device.close()
    assert caught.value.kind == "lease"
    assert not ledger.quarantined
    assert not (tmp_path / "restarted").exists()
    assert (farm / "held").read_text() == "lab/anna"


def test_a_place_without_a_port_is_given_back(farm):
    (farm / "avail").write_text("False")
    with pytest.raises(RigFault, match="exports no NetworkSerialPort"):
        lease.acquire([BOARD], timeout=0)
    assert not (farm / "held").exists()


def test_an_unknown_place_and_a_missing_client_are_named(farm, monkeypatch):
    with pytest.raises(RigFault, match="matches nothing"):
        lease.acquire([BoardEntry("b", "serial", "any", place="nope")], timeout=0)
    monkeypatch.setenv(labgrid.CLIENT_VARIABLE, str(farm / "none"))
    with pytest.raises(UsageError, match="environment of its own and name the program in QC_LABGRID_CLIENT"):
        lease.acquire([BOARD], timeout=0)


GONE = BoardEntry("gone", "serial", "any", firmware="external", place="nope")
DESK = BoardEntry("desk", "serial", "any", firmware="external", port="COM1")


@pytest.mark.parametrize("pool", [[GONE, BOARD], [GONE, DESK]])
def test_a_broken_place_keeps_nobody_from_the_other_boards(farm, pool):
    with lease.acquire(pool, timeout=0) as held:
        assert held.entry.name == pool[1].name


def test_a_broken_place_is_named_beside_the_boards_that_others_hold(farm):
    (farm / "held").write_text("lab/anna")
    with pytest.raises(RigFault, match="no free board") as caught:
        lease.acquire([GONE, BOARD], timeout=0)
    assert "gone cannot be leased: labgrid place nope is not known to the coordinator" in str(caught.value)
    assert "farm-1 is held by lab/anna of the labgrid farm" in str(caught.value)


def test_where_all_places_are_broken_each_says_why_and_nobody_waits(farm):
    (farm / "avail").write_text("False")
    with pytest.raises(RigFault, match="no board can be leased") as caught:
        lease.acquire([GONE, BOARD], timeout=1e6)
    assert "gone: labgrid place nope is not known" in str(caught.value)
    assert "farm-1: labgrid place bench exports no NetworkSerialPort" in str(caught.value)


def test_a_place_stands_in_place_of_a_port(tmp_path):
    text = '[[board]]\nname = "a"\nfamily = "serial"\ntarget = "t"\nfirmware = "external"\nplace = "bench"\n'
    path = tmp_path / "boards.toml"
    path.write_text(text)
    assert inventory.read(path).board("a").place == "bench"
    path.write_text(text + 'port = "/dev/ttyACM0"\n')
    with pytest.raises(UsageError, match="without 'port'"):
        inventory.read(path)
