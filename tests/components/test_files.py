"""A file is there whole, old or new, and an error names it."""

import errno
import os
import stat

import pytest

from veilflow.components.files import write_whole


def test_text_and_bytes_are_written_as_utf8_with_the_mode_asked_for(tmp_path):
    write_whole(tmp_path / "new" / "a", "é✓", 0o600)
    assert (tmp_path / "new" / "a").read_bytes() == "é✓".encode()
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o600
    write_whole(tmp_path / "new" / "a", b"\x00")
    assert (tmp_path / "new" / "a").read_bytes() == b"\x00"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a"]


@pytest.mark.parametrize("step", ["fsync", "replace", "open"])
def test_a_failure_leaves_the_old_file_no_draft_and_names_the_file(tmp_path, monkeypatch, step):
    path = tmp_path / "a"
    path.write_text("old")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match=str(path)) as caught:
        write_whole(path, "new")
    monkeypatch.undo()
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(path))
    assert [each.name for each in tmp_path.iterdir()] == ["a"]
    assert path.read_text() == "old"


def test_the_name_changes_only_after_the_content_is_on_the_disk(tmp_path, monkeypatch):
    done, fsync, replace = [], os.fsync, os.replace

    def noted_fsync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def noted_replace(*names: object) -> None:
        done.append("name")
        replace(*names)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_whole(tmp_path / "a", "x")
    assert done == ["file", "name", "folder"]
