"""Leases between real processes: exclusive, bounded, gone with their process."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from pytest_quantcheck.errors import RigFault, UsageError
from pytest_quantcheck.rig import lease
from pytest_quantcheck.rig.entry import BoardEntry

pytestmark = pytest.mark.host

HOLD = """
import sys, time
from pytest_quantcheck.rig.entry import BoardEntry
from pytest_quantcheck.rig.lease import acquire
held = acquire([BoardEntry(sys.argv[1], "stm32", "t", port=sys.argv[2])], who="tests/test_kws.py::test_x")
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    monkeypatch.setenv(lease.DIRECTORY_VARIABLE, str(tmp_path / "leases"))


@pytest.fixture
def other_process():
    """Starts a process that holds a board until it is killed at the end of the test."""
    started = []

    def hold(entry):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, entry.name, entry.port], stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield hold
    for process in started:
        process.kill()
        process.communicate()


def board(name, port):
    return BoardEntry(name, "stm32", "stm32f405xg", port=port)


def test_a_held_board_ends_as_a_lease_fault_that_names_its_holder(other_process):
    process = other_process(board("a", "COM1"))
    began = time.monotonic()
    with pytest.raises(
        RigFault, match=rf"a is held by process {process.pid} .*test_kws.py::test_x since"
    ) as e:
        lease.acquire([board("a", "COM1")], timeout=0.3)
    assert e.value.kind == "lease"
    assert 0.3 <= time.monotonic() - began < 3


def test_killing_the_holder_frees_the_board(other_process):
    process = other_process(board("a", "COM1"))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with lease.acquire([board("a", "COM1")], timeout=5) as held:
        assert held.entry.name == "a"


def test_the_lock_goes_by_the_physical_board_not_by_its_name(other_process, tmp_path):
    device, link = tmp_path / "ttyACM0", tmp_path / "by-id"
    device.touch()
    link.symlink_to(device)
    other_process(board("a", str(device)))
    with pytest.raises(RigFault, match="alias is held by process"):
        lease.acquire([board("alias", str(link))], timeout=0)


def test_a_board_whose_link_is_gone_or_leads_elsewhere_after_a_reset_stays_leased(other_process, tmp_path):
    link = tmp_path / "by-id"
    for name in ("ttyACM0", "ttyACM1"):
        (tmp_path / name).touch()
    link.symlink_to(tmp_path / "ttyACM0")
    entry = board("a", str(link))
    other_process(entry)
    link.unlink()
    with pytest.raises(RigFault, match="a is held by process"):
        lease.acquire([entry], timeout=0)
    link.symlink_to(tmp_path / "ttyACM1")
    with pytest.raises(RigFault, match="a is held by process"):
        lease.acquire([entry], timeout=0)


def test_a_lease_ends_whole_though_the_link_leads_elsewhere_by_then(other_process, tmp_path):
    link = tmp_path / "by-id"
    link.symlink_to(tmp_path / "ttyACM0")
    held = lease.acquire([board("a", str(link))])
    link.unlink()
    held.release()
    other_process(board("a", str(tmp_path / "ttyACM0")))
    with pytest.raises(RigFault, match=r"after waiting 0\.2 s"):  # not "this process holds a"
        lease.acquire([board("a", str(tmp_path / "ttyACM0"))], timeout=0.2)


def test_probe_and_port_are_locked_both_or_neither(other_process):
    process = other_process(board("a", "COM1"))
    both = BoardEntry("b", "stm32", "stm32f405xg", port="COM1", probe="0123")
    with pytest.raises(RigFault, match=f"b is held by process {process.pid}"):
        lease.acquire([both], timeout=0)
    probe_only = BoardEntry("c", "stm32", "stm32f405xg", probe="0123")
    with lease.acquire([probe_only], timeout=0):
        process.kill()
        process.wait()
        with pytest.raises(RigFault, match="b is held by process"):
            lease.acquire([both], timeout=0)
        lease.acquire([board("a", "COM1")], timeout=0).release()


@pytest.mark.parametrize("timeout", [math.nan, -1.0])
def test_a_timeout_that_is_no_time_is_refused(timeout):
    with pytest.raises(UsageError, match="cannot wait"):
        lease.acquire([board("a", "COM1")], timeout=timeout)


def test_of_a_pool_the_free_board_is_taken(other_process):
    other_process(board("a", "COM1"))
    with lease.acquire([board("a", "COM1"), board("b", "COM2")], timeout=0) as held:
        assert held.entry.name == "b"


def test_a_process_that_holds_a_board_does_not_wait_for_another(other_process):
    other_process(board("b", "COM2"))
    began = time.monotonic()
    with (
        lease.acquire([board("a", "COM1")]),
        pytest.raises(RigFault, match="this process holds a and therefore does not wait"),
    ):
        lease.acquire([board("b", "COM2")], timeout=30)
    assert time.monotonic() - began < 5


def test_a_released_board_can_be_leased_again_and_has_no_holder():
    entry = board("a", "COM1")
    first = lease.acquire([entry], who="first")
    assert lease.holder(entry).who == "first"
    first.release()
    first.release()
    assert lease.holder(entry) is None
    lease.acquire([entry], timeout=0).release()


def test_virtual_boards_are_free_for_everybody():
    entry = BoardEntry("virtual-esp32c3", "esp32", "virtual-esp32c3", virtual=True)
    with lease.acquire([entry], timeout=0), lease.acquire([entry], timeout=0):
        assert lease.holder(entry) is None


def test_an_empty_pool_is_a_lease_fault():
    with pytest.raises(RigFault, match="no board to choose from"):
        lease.acquire([])


OTHERS = (12345, 23456)  # users of the lab that have no name on this machine


def as_user(uid: int, work, gid: int = 54321) -> str:
    """What ``work`` returns in a process of another user; of its error, the text."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            os.umask(0o077)
            text = str(work())
        except BaseException as error:  # whatever it is, the parent reads it
            text = f"{type(error).__name__}: {error}"
        os.write(writing, text.encode())
        os._exit(0)
    os.close(writing)
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        return answer.read()


@pytest.fixture
def shared(monkeypatch, request):
    """A lease folder outside the private folders of pytest, which other users cannot enter."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can become other users")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = Path(folder) / "leases"
        path.mkdir()
        Path(folder).chmod(0o755)
        monkeypatch.setenv(lease.DIRECTORY_VARIABLE, str(path))
        yield path


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o2777, 0o3777], ids=oct)
@pytest.mark.parametrize("groups", [(54321, 54321), (1, 2)], ids=["one group", "two groups"])
def test_users_of_a_lab_share_boards_and_see_who_holds_them(shared, mode, groups):
    os.chown(shared, 0, 54321)
    shared.chmod(mode)
    entry = board("a", "COM1")
    (first, second), (one, two) = OTHERS, groups
    for uid, gid in ((first, one), (second, two), (0, 0), (second, two), (first, one)):
        take = lambda: lease.acquire([entry], timeout=0).release() or "taken and given back"  # noqa: E731
        assert as_user(uid, take, gid) == "taken and given back"
    with lease.acquire([entry], who="the nightly run"):
        busy = as_user(second, lambda: lease.acquire([entry], timeout=0), two)
        assert "RigFault: lease fault on a: no free board after waiting 0 s:" in busy
        assert f"  a is held by process {os.getpid()}" in busy
        assert "for the nightly run since" in busy
    reading, writing = os.pipe()
    holding = os.fork()
    if not holding:
        os.setgroups([])
        os.setgid(one)
        os.setuid(first)
        held = lease.acquire([entry], who="somebody's test")
        os.write(writing, b"held")
        time.sleep(60)
        held.release()
    try:
        assert os.read(reading, 4) == b"held"
        with pytest.raises(RigFault, match=rf"held by process {holding} .*for somebody's test since"):
            lease.acquire([entry], timeout=0)
    finally:
        os.kill(holding, signal.SIGKILL)
        os.waitpid(holding, 0)
    lease.acquire([entry], timeout=2).release()


def test_a_lease_folder_that_cannot_be_written_is_told_as_such(shared):
    shared.chmod(0o755)
    said = as_user(OTHERS[0], lambda: lease.acquire([board("a", "COM1")], timeout=0))
    assert said.startswith(
        f"RigFault: lease fault: the lease folder {shared} cannot be used (Permission denied)"
    )
    assert "held by somebody" not in said
    assert lease.DIRECTORY_VARIABLE in said


def test_a_folder_that_is_a_file_is_told_as_such(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(lease.DIRECTORY_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(RigFault, match=r"the lease folder .*file cannot be used"):
        lease.acquire([board("a", "COM1")], timeout=0)


def test_a_link_in_the_lease_folder_is_never_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    lease.acquire([board("a", "COM1")]).release()
    (lock,) = (tmp_path / "leases").glob("*.lock")
    lock.unlink()
    lock.symlink_to(victim)
    with pytest.raises(RigFault, match="cannot be used"):
        lease.acquire([board("a", "COM1")], timeout=0)
    assert victim.read_text() == "precious"
