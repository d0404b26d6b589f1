"""What the operators' page says is what the tests run on."""

import json
import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "embedding.md"


def test_the_documented_spu_is_the_tested_one(tested_spu):
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert json.loads(block) == tested_spu


def test_every_component_named_on_the_page_exists():
    from veilflow.pipelines.catalog.store import shipped

    known = {found.key for found in shipped()}
    named = set(re.findall(r"\b(?:data|alignment|vertical|application)/[a-z_]+", PAGE.read_text()))
    assert named
    assert named <= known
