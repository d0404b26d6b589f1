"""The one file that knows versions: names on the wire, SecretFlow's missing name, nothing compiled before a fork."""

import subprocess
import sys

import numpy as np
import pytest

from veilflow.components import platforms


def run(code):
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


BACKENDS = "import jax._src.xla_bridge as bridge; print(len(bridge._backends))"


def test_the_forkserver_starts_no_jax_backend():
    """Its threads do not survive a fork: every party would wait for ever in its first compilation."""
    assert run(f"import veilflow.pipelines.party.preload; {BACKENDS}")[-1] == "0"


def test_the_count_of_backends_sees_one_that_computed():
    assert run(f"import jax.numpy as jnp; jnp.arange(3) + 1; {BACKENDS}")[-1] == "1"


def test_a_module_that_computes_while_imported_fails_before_the_fork_and_works_after(tmp_path):
    (tmp_path / "eager.py").write_text("import jax.numpy as jnp\nTOTAL = int(jnp.arange(4).sum())\n")
    code = f"""
import sys; sys.path.insert(0, {str(tmp_path)!r})
from veilflow.components.platforms import nothing_compiled
try:
    with nothing_compiled():
        import eager
except RuntimeError:
    print("refused")
import eager
print(eager.TOTAL)
"""
    assert run(code)[-2:] == ["refused", "6"]


def test_secretflow_finds_the_name_it_reads_in_a_plain_interpreter():
    assert run("import spu; print(hasattr(spu.logging, 'LogOptions'))")[-1] == "True"


@pytest.mark.parametrize("value", [np.arange(3), np.float32(1.5), np.bool_(True), np.dtype("<f8")], ids=repr)
def test_the_names_are_those_that_numpy_writes_here(value):
    module, name = np.bool_.__module__, np.bool_.__name__
    assert (module, name) in platforms.array_names()
    reduced = value.__reduce__()[0]
    homes = {each for each, _ in platforms.array_names()} | {"numpy"}
    assert reduced.__module__ in homes


def test_jax_keeps_its_shapes_where_the_decoder_expects_them():
    import jax

    assert (jax.ShapeDtypeStruct.__module__, "ShapeDtypeStruct") in platforms.array_names() | {
        ("jax", "ShapeDtypeStruct")
    }
