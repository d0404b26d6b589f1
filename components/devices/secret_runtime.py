"""One party's side of a `SecretMachine`: an actor next to SecretFlow's own SPU actor, on a link of its own.

It keeps named variables (shares) in an SPU runtime, compiles programs here instead of receiving them, and runs them.
Ranks compare the SHA-256 of every compiled program before its first run, so no party runs what another one chose.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
import spu
import spu.utils.frontend as frontend
from secretflow.device.device.spu import SPURuntime, dtype_spu_to_np, shape_spu_to_np
from spu import libspu

from veilflow.components.devices.child_links import links
from veilflow.components.devices.dealt_sigmoid import Wires, dealt_sigmoid
from veilflow.components.devices.pyu import guarded
from veilflow.components.devices.secret_layout import WIDTHS, from_share, is_number, to_share
from veilflow.components.devices.secret_shares import frame, public, unframe
from veilflow.components.errors import ComponentError, InternalError


@dataclass(frozen=True)
class SecretProgram:
    """A JAX function on variables of a `SecretMachine`.

    ``fn`` takes the values of ``inputs`` and returns a tuple, one value per name in ``outputs``. Both name variables;
    an output may replace an input. The same ``fn`` must be built at every party: it is compiled there and compared.
    """

    name: str
    fn: Callable[..., tuple[Any, ...]]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class DealtSigmoid:
    """``output`` becomes the sigmoid of ``input``, a vector; with ABY3 only (see `dealt_sigmoid`)."""

    input: str
    output: str
    extra_bits: int = 0
    """``input`` is 2^extra_bits times the logits: a product that was not truncated."""


Stage = SecretProgram | DealtSigmoid


@dataclass(frozen=True)
class Cut:
    """Rows and columns of an attached table, to be set as a variable."""

    table: str
    columns: tuple[int, ...] | None = None
    """None: all of them."""
    flat: bool = False
    """One column as shape (rows,) instead of (rows, 1)."""

    def of(self, block: np.ndarray) -> np.ndarray:
        """One rank's shares of the rows in ``block`` (rows, columns, k): the same form, or (rows, k) if ``flat``."""
        if self.columns is None:
            return block
        first, last = self.columns[0], self.columns[-1]
        if self.columns == tuple(range(first, last + 1)):
            found = block[:, first : last + 1]
        else:
            found = block[:, list(self.columns)]
        return found[:, 0] if self.flat else found


def _guard(method: Callable[..., Any]) -> Callable[..., Any]:
    """``method`` with errors that may travel; after the first one every later call raises it again.

    Nobody waits for a call that opens nothing. Without this, a rank whose program failed would go on with old values.
    """

    @functools.wraps(method)
    def call(self: "SecretRuntime", *args: Any) -> Any:
        if self.failure is not None:
            raise self.failure
        try:
            return guarded(self.party, functools.partial(method, self))(*args)
        except (ComponentError, InternalError) as error:
            self.failure = error
            raise

    return call


_ZERO, _NUMBER = "export/zero", "export/number"
"""Variables of `SecretRuntime.export`."""


def _as_number(x: jax.Array, zero: jax.Array) -> tuple[jax.Array]:
    return (x.astype(np.float32) + zero,)


def require_same_spu(party: str, stored: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    """Refuse shares that another SPU made: they would be read as other numbers.

    Raises:
        ComponentError: another rank, number of parties or runtime configuration.
    """
    wrong = [key for key in ("rank", "world", "runtime") if stored.get(key) != here[key]]
    if wrong:
        raise ComponentError(
            f"the stored shares at {party} were made by an SPU with another {', '.join(wrong)}; "
            "use an SPU with the same parties, protocol and fixed point as in training."
        )


class SecretRuntime:
    """Rank-local state: the runtime with its variables, and the compiled programs.

    Args:
        device: SecretFlow's actor at this party; its link is spawned, so that both can work at the same time.
        runtime: the runtime configuration as JSON.
        machine: which of the machines on ``device`` this is.
    """

    def __init__(self, device: SPURuntime, runtime: str, machine: int) -> None:
        self.party: str = device.party
        self.failure: Exception | None = None
        self._rank: int = device.rank
        self._world = len(device.cluster_def["nodes"])
        self._config = runtime
        parsed = spu.RuntimeConfig()
        parsed.ParseFromJsonString(runtime)
        self._link, self._control = links(device, machine)
        self._runtime = spu.Runtime(self._link, parsed)
        self._compiled: dict[tuple[str, str], libspu.Executable] = {}
        self._digests: dict[str, str] = {}
        self._protocol = str(json.loads(runtime).get("protocol", "")).split(".")[-1]
        self._tables: dict[str, np.ndarray] = {}
        self._wires: Wires | None = None

    @_guard
    def attach(self, name: str, part: np.ndarray) -> None:
        """Keep this rank's part of a stored table (rows, columns, k), to be cut from by `run`."""
        self._tables[name] = part

    @_guard
    def export(self, names: Sequence[str]) -> np.ndarray:
        """This rank's shares of variables of shape (rows,) or (rows, columns), side by side: (rows, columns, k)."""
        found = [from_share(self._number(name), self._protocol) for name in names]
        return np.concatenate([each.reshape(each.shape[0], -1, each.shape[-1]) for each in found], axis=1)

    @_guard
    def put(self, *messages: bytes) -> None:
        """Set variables from owners' messages."""
        for message in messages:
            for name, each in unframe(message).items():
                self._runtime.set_var(name, each)

    @_guard
    def run(
        self,
        program: SecretProgram,
        publics: Mapping[str, np.ndarray],
        opens: Sequence[Sequence[str]],
        cuts: Mapping[str, Cut],
        rows: np.ndarray | None,
        *messages: bytes,
    ) -> Any:
        """Set variables, run, and return one message for each list of names in ``opens``."""
        self._feed(cuts, rows, publics)
        for message in messages:
            for name, each in unframe(message).items():
                self._runtime.set_var(name, each)
        self._runtime.run(self._executable(program))
        found = [frame({name: self._runtime.get_var(name) for name in names}) for names in opens]
        return found[0] if len(found) == 1 else found or None

    @_guard
    def loop(
        self,
        stages: Sequence[Stage],
        cuts: Mapping[str, Cut],
        batches: Sequence[np.ndarray],
        publics: Sequence[Mapping[str, np.ndarray]],
    ) -> None:
        """Run ``stages`` one after the other for every batch of rows; all batches have one size."""
        ready: dict[int, libspu.Executable] = {}
        for step, rows in enumerate(batches):
            self._feed(cuts, rows, publics[step] if publics else {})
            for number, stage in enumerate(stages):
                if isinstance(stage, DealtSigmoid):
                    self._sigmoid(stage)
                    continue
                if step < 2:  # the first step may change what kind of shares a variable is
                    ready[number] = self._executable(stage)
                self._runtime.run(ready[number])

    @_guard
    def zeros(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Set variables to zero, as secret numbers: what they become is secret."""
        for name, shape in shapes.items():
            self._runtime.set_var(name, self._zero(shape))

    @_guard
    def drop(self, names: Sequence[str]) -> None:
        """Forget variables."""
        for name in names:
            self._runtime.del_var(name)

    @_guard
    def save(self, names: Sequence[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        """This rank's shares of the named variables, as a JSON document and arrays of bytes."""
        raw = {name: frame({name: self._runtime.get_var(name)}) for name in names}
        document = {"rank": self._rank, "world": self._world, "runtime": json.loads(self._config), "names": list(names)}
        return document, {f"share/{name}": np.frombuffer(value, dtype=np.uint8) for name, value in raw.items()}

    @_guard
    def load(self, part: tuple[Mapping[str, Any], Mapping[str, np.ndarray]]) -> None:
        """The inverse of `save`.

        Raises:
            ComponentError: the shares were made for another SPU.
        """
        document, arrays = part
        here = {"rank": self._rank, "world": self._world, "runtime": json.loads(self._config)}
        require_same_spu(self.party, document, here)
        for name in document["names"]:
            for key, each in unframe(np.asarray(arrays[f"share/{name}"]).tobytes()).items():
                self._runtime.set_var(key, each)

    @_guard
    def digests(self) -> dict[str, str]:
        """SHA-256 of every program compiled so far, by its name and the shapes of its inputs."""
        return dict(self._digests)

    def _number(self, name: str) -> libspu.Share:
        """A variable as shares of fixed-point numbers; flags and integers are made such (by adding a shared zero)."""
        found = self._runtime.get_var(name)
        if is_number(found, self._protocol):
            return found
        shape = shape_spu_to_np(self._runtime.get_var_meta(name).shape)
        self._runtime.set_var(_ZERO, self._zero(shape))
        inputs, outputs = (name, _ZERO), (_NUMBER,)
        self._runtime.run(self._executable(SecretProgram(f"number {name}", _as_number, inputs, outputs)))
        return self._runtime.get_var(_NUMBER)

    def _zero(self, shape: Sequence[int]) -> libspu.Share:
        return to_share(np.zeros((*shape, WIDTHS[self._protocol]), np.uint64), self._protocol)

    def _feed(self, cuts: Mapping[str, Cut], rows: np.ndarray | None, publics: Mapping[str, np.ndarray]) -> None:
        blocks: dict[str, np.ndarray] = {}
        for name, cut in cuts.items():
            assert rows is not None, name
            if cut.table not in blocks:
                blocks[cut.table] = np.take(self._tables[cut.table], rows, axis=0)
            self._runtime.set_var(name, to_share(cut.of(blocks[cut.table]), self._protocol))
        for name, value in publics.items():
            self._runtime.set_var(name, public(self._config, self._world, self._rank, value))

    def _sigmoid(self, stage: DealtSigmoid) -> None:
        if self._wires is None:
            link = self._link.spawn()
            self._wires = Wires.connect(self._rank, link.send, link.recv)
        part = from_share(self._number(stage.input), self._protocol)
        self._runtime.set_var(
            stage.output, to_share(dealt_sigmoid(part, self._wires, stage.extra_bits), self._protocol)
        )

    def _executable(self, program: SecretProgram) -> libspu.Executable:
        metas = [self._runtime.get_var_meta(name) for name in program.inputs]
        shapes = [jax.ShapeDtypeStruct(shape_spu_to_np(m.shape), dtype_spu_to_np(m.data_type)) for m in metas]
        visible = [m.visibility for m in metas]
        kinds = zip(shapes, visible, strict=True)
        signature = ", ".join(f"{v.name[4:].lower()} {s.dtype}{list(s.shape)}" for s, v in kinds)
        key = (program.name, signature)
        if key not in self._compiled:
            self._compiled[key] = self._compile(program, shapes, visible, signature)
        return self._compiled[key]

    def _compile(
        self,
        program: SecretProgram,
        shapes: Sequence[jax.ShapeDtypeStruct],
        visible: Sequence[libspu.Visibility],
        signature: str,
    ) -> libspu.Executable:
        executable, _ = frontend.compile(
            frontend.Kind.JAX,
            program.fn,
            list(shapes),
            {},
            list(program.inputs),
            list(visible),
            lambda flat: list(program.outputs[: len(flat)]),
        )
        if len(executable.output_names) != len(program.outputs):
            raise ValueError(f"{program.name} returns {len(executable.output_names)} values, not {program.outputs}")
        digest = hashlib.sha256(executable.SerializeToString()).hexdigest()
        self._digests[f"{program.name}({signature})"] = digest
        if len(set(self._control.all_gather(digest))) != 1:
            raise ComponentError(
                f"the parties compiled different secret programs '{program.name}'. Nothing was run; "
                "install the same version of VeilFlow and its dependencies everywhere."
            )
        return executable
