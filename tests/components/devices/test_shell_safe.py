"""Folders by names that a shell reads as one word."""

import os
import re
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.components.devices.shell_safe import is_plain, lasting_path, plain_path

PLAIN = re.compile(r"/[A-Za-z0-9_./-]*")
AWKWARD = ["a b", "a;id>INJECTED;b", "$(id>INJECTED)", "`id`", "a'b\"c", "医院", "new\nline", "-rf", "*", "~"]


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return tmp_path_factory.mktemp("folders")


@pytest.mark.parametrize("name", AWKWARD)
def test_a_shell_that_gets_the_path_unquoted_writes_into_that_folder_and_does_nothing_else(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    with plain_path(folder) as path:
        done = subprocess.run(f"echo rows > {path}/out.csv && sort {path}/out.csv", shell=True, cwd=tmp_path)
    assert done.returncode == 0
    assert (folder / "out.csv").read_text() == "rows\n"
    assert sorted(each.name for each in tmp_path.iterdir()) == [name]


@given(name=st.text(min_size=1, max_size=40).filter(lambda name: "/" not in name and "\0" not in name))
def test_whatever_the_folder_is_called_the_path_is_plain_and_means_that_folder(base, name):
    try:
        folder = base / name
        folder.mkdir(exist_ok=True)
    except (OSError, UnicodeEncodeError):
        return  # no name of a folder on this system
    with plain_path(folder) as path:
        assert PLAIN.fullmatch(str(path))
        assert path.samefile(folder)
    lasting = lasting_path(folder)
    assert is_plain(lasting)
    assert lasting.samefile(folder)


def test_a_plain_path_stays_as_it_is_and_an_alias_ends_with_its_context(tmp_path):
    with plain_path(tmp_path) as path:
        assert path == tmp_path
    (tmp_path / "a b").mkdir()
    with plain_path(tmp_path / "a b") as path:
        assert path.exists()
    assert not path.exists()


def test_a_lasting_path_is_opened_once_and_follows_the_name_when_the_folder_was_made_anew(tmp_path):
    folder = tmp_path / "a b"
    folder.mkdir()
    before = len(os.listdir("/proc/self/fd"))
    paths = {lasting_path(folder) for _ in range(5)}
    assert len(paths) == 1
    assert len(os.listdir("/proc/self/fd")) == before + 1
    folder.rename(tmp_path / "old")
    folder.mkdir()
    assert lasting_path(folder).samefile(folder)
