"""Reading and writing `run.json`; a reader sees a whole ledger entry or none."""

import json
from pathlib import Path

from pydantic import ValidationError

from veilflow.components.files import write_whole
from veilflow.pipelines.ledger.model import Run
from veilflow.pipelines.visible import OBEYED


class LedgerError(Exception):
    """A file is not a ledger entry this version can read."""


def write_run(run: Run, path: Path) -> None:
    """Replace ``path`` by ``run`` as JSON in one step: after a crash the old file or the new one is there, whole.

    Raises:
        pydantic.ValidationError: something was put into a list or dict of ``run`` that does not belong there.
        OSError: the folder cannot be written to.
    """
    document = Run.model_validate(run.model_dump(warnings=False)).model_dump(mode="json")
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    # These stand inside strings only. Valid JSON as they are, but a terminal that shows the file would obey them.
    write_whole(path, OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n")


def read_run(path: Path) -> Run:
    """The ledger entry in ``path``.

    Raises:
        LedgerError: it is missing, not JSON, or of another shape; the message names the first problem's place.
    """
    try:
        return Run.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise LedgerError(f"{path}: cannot be read ({type(error).__name__}).") from error
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False)
        place = ".".join(str(part) for part in problems[0]["loc"]) or "the document"
        raise LedgerError(
            f"{path} is not a run.json this version can read: {len(problems)} problem(s), first at {place}: "
            f"{problems[0]['msg']}."
        ) from error
