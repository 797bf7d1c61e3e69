"""Workspaces on real loop devices: made, kept, repaired, refused."""

import os
import stat
from pathlib import Path

import pytest

from sandbox.domain.errors import Refusal
from sandbox.domain.spec import Workspace
from sandbox.warden import loop, workspaces
from sandbox.warden.mounts import is_mount
from sandbox.warden.workspaces import Workspaces

pytestmark = pytest.mark.docker

SMALL = Workspace(32 << 20, 512)


@pytest.fixture
def made(tmp_path):
    """Workspaces on loop devices; whatever stays mounted goes at the end."""
    made = Workspaces(tmp_path, "loop")
    assert made.impossible == ""
    yield made
    for sandbox in made.mounted():
        made.close(sandbox)


def devices_of(image: Path) -> list[str]:
    found = Path("/sys/block").glob("loop*/loop/backing_file")
    return [path.parent.parent.name for path in found if path.read_text().startswith(str(image))]


def test_a_workspace_is_empty_owned_by_the_kernel_and_of_the_size_asked_for(made, tmp_path):
    made.open("s4ndb0xs4ndb", SMALL)
    place, image = tmp_path / "s4ndb0xs4ndb", tmp_path / "s4ndb0xs4ndb.img"
    status, sizes = place.stat(), os.statvfs(place)
    assert (status.st_uid, status.st_gid, list(place.iterdir())) == (1300, 1300, [])
    assert sizes.f_blocks * sizes.f_frsize <= SMALL.bytes
    assert SMALL.inodes <= sizes.f_files <= SMALL.inodes * 1.1
    assert sizes.f_flag & (os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC) == os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
    assert (stat.S_IMODE(image.stat().st_mode), image.stat().st_uid) == (0o600, 0)


def test_files_stay_and_blocks_that_are_free_go_back_to_the_host(made, tmp_path):
    made.open("s4ndb0xs4ndb", SMALL)
    image = tmp_path / "s4ndb0xs4ndb.img"
    assert image.stat().st_blocks * 512 >= SMALL.bytes  # nothing of it can be missing while it is in use
    (tmp_path / "s4ndb0xs4ndb" / "kept").write_text("kept")
    made.close("s4ndb0xs4ndb")
    assert not is_mount(tmp_path / "s4ndb0xs4ndb")
    assert devices_of(image) == []
    assert image.stat().st_blocks * 512 < SMALL.bytes / 2
    made.open("s4ndb0xs4ndb", Workspace(64 << 20, 9999))
    assert (tmp_path / "s4ndb0xs4ndb" / "kept").read_text() == "kept"
    assert image.stat().st_size == SMALL.bytes


def test_an_image_in_use_elsewhere_gets_no_second_device(made, tmp_path):
    made.open("s4ndb0xs4ndb", SMALL)
    image = tmp_path / "s4ndb0xs4ndb.img"
    with loop.attached(image, Path("/dev")) as (device, fresh):
        assert (fresh, [device.name]) == (False, devices_of(image))


def test_what_a_crash_left_unclean_is_repaired(made, tmp_path):
    made.open("s4ndb0xs4ndb", SMALL)
    (tmp_path / "s4ndb0xs4ndb" / "kept").write_text("kept")
    os.sync()
    crashed = (tmp_path / "s4ndb0xs4ndb.img").read_bytes()  # as the disk is while it is mounted
    (tmp_path / "0ther0ther0t.img").write_bytes(crashed)
    made.open("0ther0ther0t", SMALL)
    assert (tmp_path / "0ther0ther0t" / "kept").read_text() == "kept"


def test_an_image_beyond_repair_is_not_mounted(made, tmp_path):
    (tmp_path / "s4ndb0xs4ndb.img").write_bytes(b"x" * SMALL.bytes)
    with pytest.raises(Refusal) as refusal:
        made.open("s4ndb0xs4ndb", SMALL)
    assert refusal.value.code == "workspace_damaged"
    assert made.mounted() == []


def test_without_room_on_the_host_nothing_is_made(made, tmp_path, monkeypatch):
    monkeypatch.setattr(workspaces, "KEEP_FREE", 1 << 60)
    with pytest.raises(Refusal) as refusal:
        made.open("s4ndb0xs4ndb", SMALL)
    assert refusal.value.code == "workspace_no_room"
    assert list(tmp_path.glob("*.img")) + list(tmp_path.glob("*.new")) == []


@pytest.mark.parametrize(("mode", "expected"), [("auto", "plain"), ("loop", "workspace_impossible"), ("plain", "plain")])
def test_without_loop_devices_the_setting_decides(tmp_path, mode, expected):
    (tmp_path / "devices").mkdir()
    found = Workspaces(tmp_path / "w", mode, tmp_path / "devices")
    assert bool(found.impossible) is (mode != "plain")
    if expected == "plain":
        found.open("s4ndb0xs4ndb", SMALL)
        assert (tmp_path / "w" / "s4ndb0xs4ndb").stat().st_uid == 1300
        assert not is_mount(tmp_path / "w" / "s4ndb0xs4ndb")
    else:
        with pytest.raises(Refusal) as refusal:
            found.open("s4ndb0xs4ndb", SMALL)
        assert refusal.value.code == expected


def test_files_are_never_hidden_by_the_other_kind(made, tmp_path):
    made.open("s4ndb0xs4ndb", SMALL)
    made.close("s4ndb0xs4ndb")
    (tmp_path / "devices").mkdir()
    without = Workspaces(tmp_path, "auto", tmp_path / "devices")
    with pytest.raises(Refusal) as refusal:
        without.open("s4ndb0xs4ndb", SMALL)  # an empty plain directory would look like lost files
    assert refusal.value.code == "workspace_impossible"
    (tmp_path / "0ld0ld0ld0ld").mkdir()
    (tmp_path / "0ld0ld0ld0ld" / "old").touch()
    assert Workspaces(tmp_path, "auto").kind("0ld0ld0ld0ld") == "plain"
    with pytest.raises(Refusal) as refusal:
        made.open("0ld0ld0ld0ld", SMALL)
    assert refusal.value.code == "workspace_impossible"
