import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from veilflow.components.application.exports import check_file_name, export_bytes
from veilflow.components.errors import ComponentError


class Storage:
    """The two calls of SecretFlow's storage that matter here."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def get_writer(self, path: str) -> io.BytesIO:
        storage = self

        class Writer(io.BytesIO):
            def close(self) -> None:
                storage.files[path] = self.getvalue()
                super().close()

        return Writer()


def test_the_file_lands_in_the_export_folder_and_nothing_else_is_left(tmp_path: Path) -> None:
    context = SimpleNamespace(export_dir=tmp_path / "hospital" / "exports")
    assert export_bytes(context, "scores.csv", b"old") == 3
    export_bytes(context, "scores.csv", b"new")
    assert [path.name for path in context.export_dir.iterdir()] == ["scores.csv"]
    assert (context.export_dir / "scores.csv").read_bytes() == b"new"


def test_without_an_export_folder_the_storage_takes_it() -> None:
    context = SimpleNamespace(storage=Storage())
    export_bytes(context, "scores.csv", b"a,b")
    assert context.storage.files == {"exports/scores.csv": b"a,b"}


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = SimpleNamespace(export_dir=tmp_path)
    export_bytes(context, "scores.csv", b"old")

    def full(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("veilflow.components.files.os.replace", full)
    with pytest.raises(OSError, match="disk full"):
        export_bytes(context, "scores.csv", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("scores.csv", b"old")]


@pytest.mark.parametrize(
    "name", ["../x.csv", "/etc/passwd", ".hidden", "", "a b", "a/b", "-rf", "x" * 129, "a\nb", "a\n"]
)
def test_a_pipeline_file_cannot_write_elsewhere_on_a_partys_disk(name: str, tmp_path: Path) -> None:
    with pytest.raises(ComponentError, match="cannot be the name of an exported file"):
        export_bytes(SimpleNamespace(export_dir=tmp_path), name, b"")
    assert list(tmp_path.iterdir()) == []


def test_ordinary_names_pass() -> None:
    assert check_file_name("scores_2024-05.v2.parquet") == "scores_2024-05.v2.parquet"
