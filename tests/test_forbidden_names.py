"""What package code never uses, found in its syntax tree: comments and texts may speak of it.

Each ban with its reason; each exception with its file, so that a new place is a decision.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("components", "datasets", "pipelines")

BANNED = {
    "reveal": "opens a value to every party; `send_to` opens to one",
    "pickle": "runs what it reads",
    "secure_pickle": "SecretFlow's; its filter lets code through",
    "cloudpickle": "runs what it reads",
    "dill": "runs what it reads",
    "marshal": "crashes on what it reads",
    "shelve": "runs what it reads",
    "eval": "runs text",
    "exec": "runs text",
    "compile": "makes code of text",
    "__import__": "imports what a text names",
    "random": "the module of that name is no source for keys, masks or noise",
    "numpy.random global": "one state for everybody, seeded by whoever comes first",
    "generator without the OS": "a seed that is not from the OS: masks and noise could be computed again",
    "secret_key": "SecretFlow's HEU keeper gives its secret key to whoever asks",
    "debug_mode": "one process that plays all parties",
    "tee_simulation": "an enclave that is none",
    "REF2K": "an SPU without secrecy",
    "SEMI2K": "its default triples come from a party that could open everything",
    "sfd.get": "sends to all parties; `publish` labels it for the egress check",
    "open_to": "opens what is secret; figures go through `secret_train.figures`, which keeps counts hidden",
}

ALLOWED = {
    ("pipelines/party/wire/codec.py", "pickle"): "the decoder itself, behind an exact list",
    ("pipelines/party/wire/arrays.py", "pickle"): "PickleBuffer only: a view of memory",
    ("pipelines/party/wire/codec.py", "secure_pickle"): "where SecretFlow's own reading is replaced",
    ("components/vertical/secret_train/figures.py", "open_to"): "the one place for figures of secret tables",
    ("components/vertical/secret_train/training.py", "open_to"): "the model, to the parties of open_to",
    ("components/vertical/secret_predict/scoring.py", "open_to"): "scores, of rows that are people for certain",
    ("components/vertical/split_train/summed.py", "open_to"): "summed gradients, losses and validation logits",
    ("components/privacy/secagg/backends/spu.py", "open_to"): "the sum of a secure sum",
    ("components/devices/spu_parties.py", "open_to"): "one bit: whether enough people are common",
    ("components/devices/secret.py", "open_to"): "`SecretMachine.open_to` itself",
    ("components/training/batches.py", "generator without the OS"): "from the hash of all parties' own OS tokens",
    ("pipelines/bench/split_data.py", "generator without the OS"): "the same split of public data in every bench",
    ("components/devices/pyu.py", "sfd.get"): "`publish` itself",
    ("components/devices/checked_spu.py", "sfd.get"): "how many values a function returns, for SecretFlow's components",
    ("components/vertical/secret/rows.py", "generator without the OS"): "from the hash of all parties' own OS tokens",
    ("components/vertical/secret_train/training.py", "generator without the OS"): "asks only whether it starts at 0",
    ("pipelines/bench/secret_train_party.py", "generator without the OS"): "invented data",
    ("components/horizontal/fedavg_predict/component.py", "generator without the OS"): "replaced by the stored model",
    ("datasets/generators/retail_stores.py", "generator without the OS"): "invented data",
    ("pipelines/bench/fedavg.py", "generator without the OS"): "invented data",
    ("pipelines/bench/fedavg_data.py", "generator without the OS"): "invented errors, the same in every bench",
    ("pipelines/party/wire/bare.py", "secure_pickle"): "the bench's baseline, in simulation only",
    ("datasets/generators/hospital_insurer.py", "generator without the OS"): "invented data",
    ("datasets/generators/three_banks.py", "generator without the OS"): "invented data",
    ("datasets/samples/breast_cancer.py", "generator without the OS"): "the same public rows for everybody",
}

_GENERATORS = {"default_rng", "Generator", "PCG64", "PCG64DXSM", "MT19937", "Philox", "SFC64", "SeedSequence"}
_FROM_OS = {"randbits", "token_bytes", "urandom", "randbelow"}


def _dotted(node: ast.AST) -> str:
    """``np.random.normal`` of an expression made of names and dots; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    before = _dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{before}.{node.attr}" if before else ""


class _Finder:
    def __init__(self, tree: ast.AST) -> None:
        self._tree = tree
        self._names: dict[str, str] = {}
        """Local name -> what it was imported as."""
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    self._names[each.asname or each.name.split(".")[0]] = (
                        each.name if each.asname else each.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom):
                for each in node.names:
                    self._names[each.asname or each.name] = f"{node.module or ''}.{each.name}"

    def found(self) -> Iterator[tuple[int, str]]:
        for node in ast.walk(self._tree):
            for name in self._uses(node):
                yield getattr(node, "lineno", 0), name

    def _uses(self, node: ast.AST) -> Iterator[str]:
        modules = {"pickle", "cloudpickle", "dill", "marshal", "shelve", "random"}
        if isinstance(node, ast.Import):
            yield from (root for each in node.names if (root := each.name.split(".")[0]) in modules)
        elif isinstance(node, ast.ImportFrom):
            if node.module and node.module.split(".")[0] in modules:
                yield node.module.split(".")[0]
            yield from (each.name for each in node.names if each.name in ("reveal", "secret_key", "secure_pickle"))
        elif isinstance(node, ast.Call):
            yield from self._called(node)
        elif isinstance(node, ast.Attribute):
            if node.attr in ("reveal", "secret_key", "REF2K", "SEMI2K", "debug_mode", "tee_simulation"):
                yield node.attr
            yield from self._global_random(node)
        elif isinstance(node, ast.keyword) and node.arg in ("debug_mode", "tee_simulation"):
            yield node.arg

    def _called(self, node: ast.Call) -> Iterator[str]:
        if isinstance(node.func, ast.Name) and node.func.id in ("eval", "exec", "compile", "__import__"):
            yield node.func.id
        whole = self._whole(node.func)
        if whole == "secretflow.distributed.get":
            yield "sfd.get"
        if isinstance(node.func, ast.Attribute) and node.func.attr == "open_to":
            yield "open_to"
        if any(keyword.arg == "opens" for keyword in node.keywords):
            yield "open_to"
        last = whole.rsplit(".", 1)[-1]
        if whole.startswith("numpy.random.") and last in _GENERATORS and not _seeded_from_os(node):
            yield "generator without the OS"

    def _global_random(self, node: ast.Attribute) -> Iterator[str]:
        whole = self._whole(node)
        if whole.startswith("numpy.random.") and whole.count(".") == 2 and node.attr not in _GENERATORS:
            yield "numpy.random global"

    def _whole(self, node: ast.AST) -> str:
        head, _, rest = _dotted(node).partition(".")
        return ".".join(filter(None, (self._names.get(head, head), rest)))


def _seeded_from_os(call: ast.Call) -> bool:
    """Its argument is, or holds, a call of `secrets` or `os.urandom`, or another generator made of that."""
    inner = [each for argument in call.args for each in ast.walk(argument) if isinstance(each, ast.Call)]
    return any(_dotted(each.func).rsplit(".", 1)[-1] in _FROM_OS for each in inner)


def _uses(source: str) -> list[tuple[int, str]]:
    return sorted(set(_Finder(ast.parse(source)).found()))


def _package_files() -> list[Path]:
    return [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]


def test_package_code_uses_none_of_it():
    found, used = [], set()
    for path in _package_files():
        place = path.relative_to(ROOT).as_posix()
        for line, name in _uses(path.read_text()):
            if (place, name) in ALLOWED:
                used.add((place, name))
            else:
                found.append(f"{place}:{line}: {name} ({BANNED.get(name, '')})")
    assert found == []
    assert used == set(ALLOWED), "an exception that nobody needs any more: remove it"


SEEDED = {
    "reveal": [
        "import secretflow as sf\nsf.reveal(x)", "from secretflow import reveal", "device.reveal(x)",
        "from secretflow.device import reveal as r",
    ],
    "pickle": ["import pickle", "from pickle import loads", "def f():\n    import pickle as p\n"],
    "random": ["import random", "from random import choice"],
    "eval": ["eval('1')"],
    "exec": ["exec('1')"],
    "__import__": ["__import__('os')"],
    "numpy.random global": [
        "import numpy as np\nnp.random.seed(1)", "import numpy\nnumpy.random.normal(3)",
        "from numpy import random as r\nr.rand()",
    ],
    "generator without the OS": [
        "import numpy as np\nnp.random.default_rng()", "import numpy as np\nnp.random.default_rng(0)",
        "from numpy.random import default_rng\ndefault_rng(seed)",
        "import numpy as np\nnp.random.Generator(np.random.PCG64(7))",
    ],
    "secret_key": ["heu.sk_keeper.secret_key.remote()"],
    "debug_mode": ["import secretflow as sf\nsf.init(debug_mode=True)"],
    "REF2K": ["libspu.ProtocolKind.REF2K"],
    "SEMI2K": ["libspu.ProtocolKind.SEMI2K"],
    "open_to": ["machine.open_to('bob', program)", "self._machine.run(program, feeds, opens={'bob': names})"],
    "sfd.get": [
        "import secretflow.distributed as sfd\nsfd.get(x)", "from secretflow import distributed\ndistributed.get(x)",
        "from secretflow.distributed import get\nget(x)",
    ],
}  # fmt: skip


@pytest.mark.parametrize("name, source", [(name, each) for name, sources in SEEDED.items() for each in sources])
def test_each_of_them_would_be_found(name, source):
    assert name in {found for _, found in _uses(source)}


@pytest.mark.parametrize(
    "source",
    [
        "# sf.reveal(x)\n'''reveal, pickle, eval'''",
        "import secrets\nimport numpy as np\nnp.random.default_rng(secrets.randbits(128))",
        "import re\nre.compile('x')\nmodel.eval()\ndata.get('x')",
    ],
)
def test_what_is_fine_is_left_alone(source):
    assert _uses(source) == []
