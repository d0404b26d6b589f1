import re
import shlex
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from veilflow.pipelines.ledger import Run
from veilflow.pipelines.report import render

VOID = {"meta", "wbr", "br", "col", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Parses a page strictly: every element is closed, in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> has an attribute twice"
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def hostile(value: Any, text: str) -> Any:
    """A ledger entry in which every free text is ``text``."""
    fixed = {"status", "mode", "kind", "type", "version", "name", "started"}
    if isinstance(value, dict):
        return {
            key: each if key in fixed and isinstance(each, str) else hostile(each, text) for key, each in value.items()
        }
    if isinstance(value, list):
        return [hostile(each, text) for each in value]
    return text if isinstance(value, str) else value


def test_the_page_is_well_formed_and_needs_nothing_from_outside(good: Run) -> None:
    html = render(good)
    page = Page(html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "img", "iframe", "object", "base", "form"})
    assert not [name for _, attributes in page.elements for name in attributes if name in ("src", "href", "xlink:href")]
    assert not re.search(r"url\(|@import|https?://", html)
    policy = next(each for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"] == "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


@pytest.mark.parametrize(
    "attack",
    ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", "';}</style><b>", "&lt;b&gt;"],
)
@pytest.mark.parametrize("make", ["good_run", "failed_run"])
def test_text_from_the_run_stays_text(attack: str, make: str, request: pytest.FixtureRequest) -> None:
    run = request.getfixturevalue("good" if make == "good_run" else "failed")
    page = Page(render(Run.model_validate(hostile(run.model_dump(), attack))))
    assert attack in page.text
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img"})
    assert not [name for _, attributes in page.elements for name in attributes if name.startswith("on")]


@settings(max_examples=25, deadline=None)
@given(text=st.text(min_size=1, max_size=20))
def test_any_text_gives_a_well_formed_page(text: str) -> None:
    document = {
        "name": text,
        "status": "failed",
        "mode": "party",
        "party": text,
        "file": {"path": text, "sha256": text, "overrides": [text]},
        "started": text,
        "parties": [text],
        "error": {"exit_code": 4, "message": text},
        "nodes": [
            {
                "name": text,
                "component": text,
                "status": "ran",
                "takes_part": [text],
                "metrics": {text: text},
                "receipts": [{"protection": text, "party": text, "parameters": {text: [text]}}],
                "discloses": [{"to": [text], "what": text, "about": [text], "note": text}],
                "report": [{"name": text, "kind": "table", "columns": [{"name": text}], "rows": [[text]]}],
            }
        ],
    }
    Page(render(Run.model_validate(document)))


def test_a_reader_finds_summary_figures_and_curves(good: Run) -> None:
    page = Page(render(good))
    for expected in (
        "All 4 steps finished in 31.4\u00a0s, with hospital, insurer and coordinator simulated on one machine.",
        "1 step came from the cache",
        "Step evaluate reports AUC 0.983 on 143 rows.",
        "ROC curve",
        "Calibration",
        "Confusion matrix",
        "Loss by epoch",
        "gradient noise",
        "hospital and insurer",
        "14.2\u00a0MB",
        "4b1c" * 16,
        "veilflow run configs/demo.yaml --set train.epochs=3",
    ):
        assert expected in page.text, expected
    assert "nan" not in page.text.lower().replace("provenance", "")


def test_a_failure_stands_before_everything_else(failed: Run) -> None:
    text = Page(render(failed)).text
    message = text.index("3 of 312 rows hold NaN.\nRun data/clean first.")
    assert text.index("Failed in step train at insurer") < message < text.index("The run stopped at step train")
    assert message < text.index("How the data flowed")
    assert "Exit code 4: a party failed. Details are in insurer’s own log, insurer.log. Finished steps are kept" in text


@pytest.mark.parametrize("status", ["ok", "failed", "refused", "running"])
@pytest.mark.parametrize("nodes", [0, 1, 4])
def test_runs_of_every_kind_and_size_render(good: Run, status: str, nodes: int) -> None:
    page = Page(render(good.model_copy(update={"status": status, "nodes": good.nodes[:nodes]})))
    assert {"ok": "Finished", "failed": "Failed", "refused": "Refused", "running": "Unfinished"}[status] in page.text


def test_every_drawing_has_words_and_every_column_a_header(good: Run) -> None:
    page = Page(render(good))
    drawings = [each for each in page.all("svg") if each.get("aria-hidden") != "true"]
    assert len(drawings) >= 5
    for drawing in drawings:
        assert drawing["role"] == "img"
        assert len(drawing["aria-label"] or "") > 20
    assert page.all("th")
    assert all(each.get("scope") in ("col", "row", "rowgroup") for each in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_the_same_run_gives_the_same_page(good: Run) -> None:
    assert render(good) == render(good)


def _colours(css: str) -> Callable[[str], float]:
    values = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", css))

    def luminance(name: str) -> float:
        channels = [int(values[name][at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    return luminance


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_the_contrast_wcag_aa_asks_for(good: Run, theme: str) -> None:
    css = render(good).split("<style>")[1].split("</style>")[0]
    light, dark = css.split("@media screen and (prefers-color-scheme: dark)")[:2]
    luminance = _colours(light if theme == "light" else dark.split("* { box-sizing")[0])
    pairs = [("ink", "paper"), ("soft", "paper"), ("ink", "wash"), ("soft", "wash"), ("accent", "paper")]
    pairs += [(name, "paper") for name in ("good", "kept", "bad")] + [("bad", "bad-wash"), ("ink", "bad-wash")]
    for text, ground in pairs:
        high, low = sorted((luminance(text), luminance(ground)), reverse=True)
        assert (high + 0.05) / (low + 0.05) >= 4.5, (text, ground)
    for line in ("c0", "c1", "c2", "c3", "c4", "c5", "idle"):  # graphics need 3:1
        for ground in ("paper", "wash"):
            high, low = sorted((luminance(line), luminance(ground)), reverse=True)
            assert (high + 0.05) / (low + 0.05) >= 3.0, (line, ground)


def _with_policy(run: Run, verdict: str, **change: Any) -> Run:
    objection = {
        "step": "train",
        "rule": "forbid rule 1",
        "what": "summed gradients",
        "reason": "Not in this <project>.",
        "kind": "gradient_sum",
        "to": ["hospital"],
        "about": ["insurer"],
    }
    bare = {"step": "train", "rule": "require rule 2", "what": "protection 'noise' is required", "reason": "Noise."}
    policy = {
        "name": "strict",
        "sha256": "ab" * 32,
        "path": "configs/policies/strict.yaml",
        "verdict": verdict,
        "objections": [objection, bare] if verdict == "refused" else [],
    }
    return Run.model_validate({**run.model_dump(), "policies": [policy], **change})


def test_policies_in_force_are_named_with_digest_and_verdict(good: Run) -> None:
    page = Page(render(_with_policy(good, "allowed")))
    assert "strict" in page.text
    assert "allowed this run" in page.text
    assert "ab" * 32 in page.text
    assert "--policy configs/policies/strict.yaml" in page.text
    assert "Policies" not in Page(render(good)).text


def test_a_refused_run_shows_what_was_refused_and_that_nobody_learned_anything(good: Run) -> None:
    nodes = [{**node.model_dump(), "status": "skipped", "report": [], "receipts": []} for node in good.nodes]
    message = "refused by policy 'strict'; nothing has started\n  step train: more"
    error = {"exit_code": 5, "message": message}
    run = _with_policy(good, "refused", status="refused", error=error, nodes=nodes, metrics={})
    page = Page(render(run))
    text = " ".join(page.text.split())
    assert "Refused by policy 'strict'; nothing has started." in text
    assert "Nothing: the run did not start." in text
    assert "hospital, about insurer" in text
    assert "Not in this <project>. (forbid rule 1)" in text
    assert "protection 'noise' is required" in text
    assert "step train: more" not in text, "the table says it, once"
    assert text.index("Policies") < text.index("How the data would have flowed")


def test_a_private_policy_is_marked_as_the_partys_own(good: Run) -> None:
    run = _with_policy(good, "allowed", mode="party", party="hospital")
    run.policies[0].private = True
    text = Page(render(run)).text
    assert "Own policy of hospital; the other parties are not told" in text
    assert "--policy" not in text


@pytest.mark.parametrize("attack", ["\x1b[2J", "\x9b31m", "\u202eexe", "\u2066", "\x07"])
def test_characters_that_are_obeyed_instead_of_shown_stand_as_their_codes(attack: str, good: Run) -> None:
    html = render(Run.model_validate(hostile(good.model_dump(), f"a{attack}b")))
    assert attack[0] not in html
    assert f"{ord(attack[0]):02x}" in html


@pytest.mark.parametrize("party", [None, "hospital"])
def test_the_command_that_the_page_names_is_one_of_the_program(party: str | None, good: Run) -> None:
    from click.testing import CliRunner

    from veilflow.pipelines.cli.program import program

    run = good.model_copy(update={"party": party, "mode": "party" if party else "simulation"})
    found = re.search(r"veilflow (run configs/demo\.yaml[^<]*)", Page(render(run)).text)
    assert found is not None
    folder = Path(__file__).resolve().parents[3]
    words = shlex.split(found[1].splitlines()[0])
    words = [str(folder / "configs/pipelines/minimal.yaml") if word.endswith("demo.yaml") else word for word in words]
    done = CliRunner().invoke(program, [*(str(folder / "pyproject.toml") if w == "cluster.yaml" else w for w in words)])
    assert done.exit_code == 3, "the file is another one, and has no such step: all else was understood"
    assert "no node 'train'" in done.output
