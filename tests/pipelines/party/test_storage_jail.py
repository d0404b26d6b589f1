"""No path that a pipeline or a peer names leaves the party's folder: SecretFlow's storage, archives, data folders."""

import io
import os
import tarfile
import tempfile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from secretflow_spec.core.storage import make_storage
from secretflow_spec.core.storage.local import LocalStorage
from secretflow_spec.v1.data_pb2 import StorageConfig

from veilflow.components.errors import ComponentError
from veilflow.datasets.errors import SourceError
from veilflow.datasets.places import locate
from veilflow.pipelines.party import archives, storage_jail
from veilflow.pipelines.party.storage_jail import resolve_inside

_PATCHED = ("get_full_path", "mkdir", "download_file", "upload_file")
LEAVING = ["../secret", "a/../../secret", "/etc/hostname", "..", "a/..", "out/secret", "file_out", "up/secret"]
ODD = [
    "",
    ".",
    "./a",
    "a/./b",
    "a//b",
    "a/",
    "/",
    "a\0b",
    "a\nb",
    " a",
    "a ",
    "a\\b",
    "x" * 256,
    "a/" * 600 + "a",
    "\ud800",
]


@pytest.fixture
def world(tmp_path):
    """A party's folder ``root`` with links that leave it, and a secret next to it."""
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "out").symlink_to(tmp_path)
    (root / "up").symlink_to("..")
    (root / "file_out").symlink_to(tmp_path / "secret")
    (root / "loop").symlink_to("loop")
    (root / "inside").mkdir()
    (root / "inside" / "part").write_bytes(b"part")
    (root / "link").symlink_to("inside")
    return root


@pytest.fixture
def storage(world, monkeypatch):
    for name in _PATCHED:
        monkeypatch.setattr(LocalStorage, name, getattr(LocalStorage, name))  # put back after the test
    made = make_storage(StorageConfig(type="local_fs", local_fs=StorageConfig.LocalFSConfig(wd=str(world))))
    storage_jail.install()
    storage_jail.install()
    return made


def test_without_the_jail_secretflow_really_leaves_its_folder(world, monkeypatch):
    """What is protected against; if SecretFlow mends it, this says so."""
    if getattr(LocalStorage.get_full_path, "veilflow", False):
        pytest.skip("installed in this process by another test")
    made = LocalStorage(StorageConfig(type="local_fs", local_fs=StorageConfig.LocalFSConfig(wd=str(world))))
    with made.get_reader("../secret") as reader:
        assert reader.read() == b"secret"
    assert made.get_full_path("/etc/hostname") == "/etc/hostname"


@pytest.mark.parametrize("path", [*LEAVING, *ODD, "loop"])
def test_every_method_refuses_a_path_that_leaves(storage, world, path):
    (world / "own").write_bytes(b"own")
    calls = [
        lambda: storage.get_full_path(path),
        lambda: storage.get_reader(path),
        lambda: storage.get_writer(path),
        lambda: storage.open(path, "rb"),
        lambda: storage.get_size(path),
        lambda: storage.exists(path),
        lambda: storage.remove(path),
        lambda: storage.mkdir(path),
        lambda: storage.download_file(path, str(world / "copy")),
        lambda: storage.upload_file(str(world / "own"), path),
    ]
    for call in calls:
        with pytest.raises(ComponentError, match="storage path"):
            call()
    assert (world.parent / "secret").read_text() == "secret"
    assert not (world / "copy").exists()


def test_every_public_method_of_the_class_is_known_to_this_test():
    """An upgrade that brings a method which opens files must be looked at."""
    public = {name for name in vars(LocalStorage) if not name.startswith("_")}
    assert public == {
        "get_full_path", "get_type", "get_size", "get_reader", "get_writer", "open", "remove", "exists", "mkdir",
        "download_file", "upload_file",
    }  # fmt: skip


def test_ordinary_work_goes_on(storage, world):
    with storage.get_writer("artifacts/0f3a/table") as writer:
        writer.write(b"rows")
    with storage.get_reader("artifacts/0f3a/table") as reader:
        assert reader.read() == b"rows"
    assert storage.exists("link/part")
    assert storage.get_size("link/part") == 4
    assert not storage.exists("nowhere")
    storage.mkdir("deep/er")
    assert (world / "deep" / "er").is_dir()
    storage.download_file("artifacts/0f3a/table", str(world / "copy"))
    storage.upload_file(str(world / "copy"), "again/copy")
    storage.remove("again/copy")
    assert (world / "copy").read_bytes() == b"rows"
    assert not (world / "again" / "copy").exists()


def test_copies_stay_in_the_party_s_folder_and_its_temporary_one(storage, world, tmp_path, monkeypatch):
    private = tmp_path / "private"
    private.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(private))
    storage.download_file("inside/part", str(private / "part"))
    storage.upload_file(str(private / "part"), "part")
    for local in (tmp_path / "secret", world / "out" / "secret", "/etc/hostname"):
        with pytest.raises(ComponentError, match="only within"):
            storage.upload_file(str(local), "stolen")
        with pytest.raises(ComponentError, match="only within"):
            storage.download_file("inside/part", str(local))
    assert not (world / "stolen").exists()
    assert (tmp_path / "secret").read_text() == "secret"


_NAMES = st.one_of(
    st.sampled_from(
        ["..", ".", "", "a", "out", "up", "link", "inside", "loop", "file_out", "~", "C:", "\\..", "%2e%2e"]
    ),
    st.text(max_size=6),
)
_PATHS = st.one_of(st.lists(_NAMES, max_size=6).map("/".join), st.text(max_size=30))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=_PATHS)
def test_no_path_whatever_leaves_the_root(world, path):
    try:
        found = resolve_inside(world, path)
    except ComponentError:
        return
    assert os.path.realpath(found) == str(found)
    assert found.is_relative_to(world.resolve())


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=_PATHS)
def test_no_path_whatever_leaves_a_data_folder(world, path):
    try:
        found = locate(path, world)
    except SourceError:
        return
    assert found.resolve().is_relative_to(world.resolve())


@pytest.mark.parametrize("path", LEAVING)
def test_a_table_is_read_from_the_data_folder_only(world, path):
    with pytest.raises(SourceError):
        locate(path, world)


def _archive(*members: tuple[str, bytes, str]) -> tarfile.TarFile:
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, kind, target in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mode = kind, target, 0o6777
            content = b"bad" if kind == tarfile.REGTYPE else b""
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    raw.seek(0)
    return tarfile.open(fileobj=raw, mode="r:gz")


_GOOD = ("cache/part", tarfile.REGTYPE, "")
BAD = {
    "up": [("../secret", tarfile.REGTYPE, "")],
    "absolute": [("/tmp/veilflow-bad", tarfile.REGTYPE, "")],
    "through a link that is there": [("out/secret", tarfile.REGTYPE, "")],
    "link out": [("link2", tarfile.SYMTYPE, "../secret")],
    "link inside": [("link2", tarfile.SYMTYPE, "inside")],
    "hard link": [("hard", tarfile.LNKTYPE, "cache/part")],
    "device": [("null", tarfile.CHRTYPE, "")],
    "fifo": [("fifo", tarfile.FIFOTYPE, "")],
    "link, then through it": [("new", tarfile.SYMTYPE, ".."), ("new/secret", tarfile.REGTYPE, "")],
    "control character": [("a\nb", tarfile.REGTYPE, "")],
}


@pytest.fixture(params=["with data_filter", "without"])
def jailed_archives(request, monkeypatch):
    monkeypatch.setattr(tarfile.TarFile, "extractall", tarfile.TarFile.extractall)
    if request.param == "without":  # Python before 3.10.12
        monkeypatch.delattr(tarfile, "data_filter")
    archives.install()
    archives.install()


@pytest.mark.usefixtures("jailed_archives")
@pytest.mark.parametrize("members", BAD.values(), ids=BAD.keys())
def test_a_bad_member_keeps_the_whole_archive_out(world, members):
    before = sorted(str(path) for path in world.rglob("*"))
    with _archive(_GOOD, *members) as tar, pytest.raises(ComponentError, match=r"refused|storage path"):
        tar.extractall(world)
    assert sorted(str(path) for path in world.rglob("*")) == before
    assert (world.parent / "secret").read_text() == "secret"


@pytest.mark.usefixtures("jailed_archives")
def test_a_good_archive_is_extracted_without_special_bits(world):
    with _archive(("cache", tarfile.DIRTYPE, ""), _GOOD, ("./top", tarfile.REGTYPE, "")) as tar:
        tar.extractall(str(world))
    assert (world / "cache" / "part").read_bytes() == (world / "top").read_bytes() == b"bad"
    assert (world / "cache" / "part").stat().st_mode & 0o6022 == 0


def test_secretflow_loads_archives_with_the_method_that_is_replaced():
    import inspect

    from secretflow.component.core.dist_data import tarfile as theirs

    assert ".extractall(" in inspect.getsource(theirs)
    assert theirs.tarfile.TarFile is tarfile.TarFile
