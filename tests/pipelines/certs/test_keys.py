import base64
import os
import stat

import pytest
from cryptography.exceptions import InvalidSignature
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.certs.authority import new_tls_key, tls_key_pem
from veilflow.pipelines.certs.keys import load_signing_key, new_signing_key, parse_public, private_pem, public_text
from veilflow.pipelines.certs.private_files import PRIVATE, KeyFileError, privacy_problem, read_private, write_all


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "hospital.signing.pem"
    write_all({file: (private_pem(new_signing_key()), PRIVATE)})
    return file


def test_a_key_comes_back_and_signs(key_file):
    key = load_signing_key(key_file)
    public = parse_public(public_text(key))
    public.verify(key.sign(b"hello"), b"hello")
    with pytest.raises(InvalidSignature):
        public.verify(key.sign(b"hello"), b"hallo")


def test_two_keys_are_never_the_same():
    assert public_text(new_signing_key()) != public_text(new_signing_key())


def test_the_file_is_private_whatever_the_umask(tmp_path):
    old = os.umask(0)
    try:
        write_all({tmp_path / "deep" / "key": (b"x", PRIVATE)})
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "deep" / "key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o620, 0o610, 0o644, 0o666])
def test_a_key_that_others_can_reach_is_refused_with_the_mode_and_the_command(key_file, mode):
    key_file.chmod(mode)
    with pytest.raises(KeyFileError, match=rf"has mode {mode:04o}.* Run: chmod 600 {key_file}$"):
        load_signing_key(key_file)
    assert f"{mode:04o}" in privacy_problem(key_file)


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_private_mode_is_accepted(key_file, mode):
    key_file.chmod(mode)
    assert load_signing_key(key_file)
    assert privacy_problem(key_file) is None


def test_a_link_is_judged_by_the_file_it_leads_to(key_file, tmp_path):
    link = tmp_path / "link.pem"
    link.symlink_to(key_file)
    assert load_signing_key(link)
    key_file.chmod(0o644)
    with pytest.raises(KeyFileError, match="mode 0644"):
        load_signing_key(link)


def test_a_folder_in_which_others_can_exchange_the_key_is_refused(key_file):
    key_file.parent.chmod(0o777)
    with pytest.raises(KeyFileError, match=r"folder .* has mode 0777: others could exchange"):
        load_signing_key(key_file)
    key_file.parent.chmod(0o1777)
    assert load_signing_key(key_file)
    key_file.parent.chmod(0o700)


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "fifo", 0o600)
    for name in ("fifo", ".", "missing"):
        with pytest.raises(KeyFileError, match=r"not a regular file|cannot be read"):
            read_private(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"hello", tls_key_pem(new_tls_key()), b"-----BEGIN PRIVATE KEY-----\nAAAA"])
def test_a_file_without_an_ed25519_key_is_refused_without_showing_it(tmp_path, content):
    file = tmp_path / "key.pem"
    write_all({file: (content, PRIVATE)})
    with pytest.raises(KeyFileError) as caught:
        load_signing_key(file)
    assert "certs request" in str(caught.value)
    assert not content or content.decode() not in str(caught.value)


def test_nothing_is_written_when_one_file_is_there(tmp_path):
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(KeyFileError, match=r"b already there\. Keep them"):
        write_all({tmp_path / "a": (b"new", PRIVATE), tmp_path / "b": (b"new", PRIVATE)})
    assert [file.name for file in tmp_path.iterdir()] == ["b"]
    assert (tmp_path / "b").read_bytes() == b"old"
    write_all({tmp_path / "b": (b"new", PRIVATE)}, force=True)
    assert (tmp_path / "b").read_bytes() == b"new"


@given(st.text(max_size=80))
def test_any_text_is_a_key_or_a_clear_error(text):
    try:
        key = parse_public(text)
    except KeyFileError:
        return
    assert public_text(key) == text


@given(st.binary(min_size=32, max_size=32))
def test_every_pin_has_one_spelling(raw):
    text = "ed25519:" + base64.b64encode(raw).decode()
    assert public_text(parse_public(text)) == text
    last = text[-2]
    other = text[:-2] + chr(ord(last) + 1) + "="  # the unused low bits of the last character
    if base64.b64decode(other[8:]) == raw:
        with pytest.raises(KeyFileError, match="canonical"):
            parse_public(other)
