"""Secret programs: functions on secret values that stay in the SPU from one step to the next.

SecretFlow's own ``spu(fn)(x)`` compiles at one party at every call, ships the result, and asks for a count before each
transfer; a training loop cannot afford that. A `SecretMachine` runs beside an SPU device on the same ports:

- owners send shares in one message per rank and step (`send_shares`, or inside a step: `share_all`);
- variables have names and stay where they are until replaced;
- an output can be opened to exactly one party: all ranks send that party their share, and nobody else anything.

Protocols    ABY3 with three parties (semi-honest, honest majority) or CHEETAH with two (semi-honest).
Refused      SEMI2K (its default triples come from a party that could open everything), REF2K (no secrecy), others.
Fixed point  64-bit ring, 18 fraction bits.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import secretflow.distributed as sfd
from secretflow.device import PYU, SPU, PYUObject

from veilflow.components.devices.child_links import next_number
from veilflow.components.devices.labels import OPENED, SHARES, sending
from veilflow.components.devices.pyu import publish, run_on
from veilflow.components.devices.secret_runtime import Cut, DealtSigmoid, SecretProgram, SecretRuntime, Stage
from veilflow.components.devices.secret_shares import join, share
from veilflow.components.errors import ComponentError

__all__ = ["FRACTION_BITS", "Cut", "DealtSigmoid", "SecretMachine", "SecretProgram", "Stage", "require_secure"]

FRACTION_BITS = 18
_WORLD = {"ABY3": 3, "CHEETAH": 2}

Opened = list[PYUObject]
"""One message per rank, on its way to the party that may open it."""


def require_secure(cluster_def: Mapping[str, Any]) -> None:
    """Refuse an SPU that does not keep secrets, or whose numbers our programs were not built for.

    Raises:
        ComponentError: another protocol, number of parties, ring or fixed point.
    """
    runtime = cluster_def["runtime_config"]
    protocol = str(runtime.get("protocol", "")).split(".")[-1]
    parties = [node["party"] for node in cluster_def["nodes"]]
    if protocol not in _WORLD:
        raise ComponentError(
            f"the SPU runs {protocol or 'no protocol'}, which does not protect what this step puts into it. "
            "Use ABY3 with three parties, or CHEETAH with two."
        )
    if len(parties) != _WORLD[protocol]:
        raise ComponentError(f"{protocol} needs {_WORLD[protocol]} parties; the SPU has {len(parties)}.")
    field, bits = str(runtime.get("field", "")).split(".")[-1], runtime.get("fxp_fraction_bits")
    if field != "FM64" or bits != FRACTION_BITS:
        raise ComponentError(f"the SPU has field {field} and {bits} fraction bits; this step needs FM64 and 18.")


class SecretMachine:
    """Variables and programs in an SPU, driven by the same calls in the same order at every party.

    Args:
        device: an SPU as `Context.make_spu` returns it; its ports and TLS settings are used.

    Raises:
        ComponentError: the SPU does not keep secrets (see `require_secure`).
    """

    def __init__(self, device: SPU) -> None:
        require_secure(device.cluster_def)
        self.cluster_def: Mapping[str, Any] = device.cluster_def
        self.parties: list[str] = [node["party"] for node in device.cluster_def["nodes"]]
        self.runtime: str = json.dumps(device.cluster_def["runtime_config"], sort_keys=True)
        number = next_number(device)
        self._ranks = {
            # The handle keeps a reference to the actor at its own party; it is resolved there and never travels.
            party: sfd.remote(SecretRuntime).party(party).remote(actor._cls_fed_obj, self.runtime, number)
            for party, actor in device.actors.items()
        }

    @property
    def world(self) -> int:
        """Number of ranks; an owner's function that calls `share_all` returns as many messages."""
        return len(self.parties)

    def share_all(self) -> Callable[[Mapping[str, np.ndarray]], list[bytes]]:
        """A function for use inside `run_on`: named arrays -> one message per rank, to be passed on to `run`."""
        runtime, world = self.runtime, self.world
        return lambda arrays: share(runtime, world, arrays)

    def join_all(self) -> Callable[[Sequence[bytes]], dict[str, np.ndarray]]:
        """A function for use inside `run_on` at the party something was opened to: its messages -> named arrays."""
        runtime = self.runtime
        return lambda messages: join(runtime, messages)

    def send_shares(self, party: str, arrays: PYUObject) -> None:
        """Set variables from ``arrays`` (name -> array, at ``party``)."""
        messages = run_on(party, self.share_all(), arrays, returns=self.world)
        with sending(SHARES):
            for rank, name in enumerate(self.parties):
                self._ranks[name].put.remote(messages[rank].data)

    def run(
        self,
        program: SecretProgram,
        feeds: Sequence[Sequence[PYUObject]] = (),
        publics: Mapping[str, np.ndarray] | None = None,
        opens: Mapping[str, Sequence[str]] | None = None,
        cuts: Mapping[str, Cut] | None = None,
        rows: np.ndarray | None = None,
    ) -> dict[str, Opened]:
        """Run ``program`` at all ranks.

        Args:
            feeds: per owner one message per rank (what `share_all` returned there), set as variables before the run.
            publics: variables that everybody knows, the same values at every party.
            opens: receiving party -> output variables that are opened to it, and to it alone.
            cuts: variable -> what of an attached table it is set to; every rank cuts its own part, nothing is sent.
            rows: positions that ``cuts`` take, public and the same at every party.

        Returns:
            Per receiving party one message per rank, for `join_all` in a function that runs there. It is not open
            before that party has all of them.
        """
        opens = opens or {}
        names = [tuple(each) for each in opens.values()]
        opened: dict[str, Opened] = {party: [] for party in opens}
        for rank, at in enumerate(self.parties):
            method = self._ranks[at].run.options(num_returns=max(1, len(opens)))
            messages = [feed[rank].data for feed in feeds]
            with sending(SHARES):
                sent = method.remote(program, dict(publics or {}), names, dict(cuts or {}), rows, *messages)
            for party, message in zip(opens, sent if len(opens) > 1 else [sent], strict=False):
                opened[party].append(PYUObject(PYU(party), message))
        return opened

    def open_to(self, party: str, program: SecretProgram, **kwargs: Any) -> PYUObject:
        """Run ``program`` and open all its outputs to ``party``: a dict of arrays there."""
        opened = self.run(program, opens={party: program.outputs}, **kwargs)[party]
        joined = self.join_all()
        with sending(OPENED):
            return run_on(party, lambda *messages: joined(messages), *opened)

    def loop(
        self,
        stages: Sequence[Stage],
        cuts: Mapping[str, Cut],
        batches: Sequence[np.ndarray],
        publics: Sequence[Mapping[str, np.ndarray]] = (),
    ) -> None:
        """Run ``stages`` in order for every batch of rows: one call per rank for a whole epoch.

        Args:
            cuts: variable -> what of an attached table it is set to, before every batch's first stage.
            batches: positions, all of one size; public and the same at every party.
            publics: per batch the variables that everybody knows; none if empty.
        """
        for party in self.parties:
            self._ranks[party].loop.remote(list(stages), dict(cuts), list(batches), list(publics))

    def zeros(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Set variables to zero, without communication."""
        for party in self.parties:
            self._ranks[party].zeros.remote(dict(shapes))

    @property
    def dealt_sigmoid(self) -> bool:
        """Can `DealtSigmoid` be a stage?"""
        return self.world == 3

    def attach(self, name: str, parts: Mapping[str, PYUObject]) -> None:
        """Keep a stored table (per party its shares, as `read_secret_table` returns them) for `run` to cut from."""
        for party in self.parties:
            self._ranks[party].attach.remote(name, parts[party].data)

    def export(self, names: Sequence[str]) -> dict[str, PYUObject]:
        """Variables of shape (rows,) or (rows, columns) side by side, per party its shares, for `write_secret_table`.

        Flags and integers become numbers.
        """
        return {party: PYUObject(PYU(party), self._ranks[party].export.remote(list(names))) for party in self.parties}

    def drop(self, names: Sequence[str]) -> None:
        """Forget variables."""
        for party in self.parties:
            self._ranks[party].drop.remote(list(names))

    def save(self, names: Sequence[str]) -> dict[str, PYUObject]:
        """Per party its shares of the named variables as ``(document, arrays)``, fit for `objects.pack`."""
        return {party: PYUObject(PYU(party), self._ranks[party].save.remote(list(names))) for party in self.parties}

    def load(self, parts: Mapping[str, PYUObject]) -> None:
        """Set variables from what `save` returned.

        Raises:
            ComponentError: the parts belong to other parties.
        """
        if set(parts) != set(self.parties):
            raise ComponentError(
                f"the shares are stored at {', '.join(sorted(parts))}; the SPU's parties are {', '.join(self.parties)}."
            )
        for party in self.parties:
            self._ranks[party].load.remote(parts[party].data)

    def digests(self) -> dict[str, str]:
        """SHA-256 of every program run so far, the same at every party."""
        found: dict[str, dict[str, str]] = publish(
            {party: PYUObject(PYU(party), self._ranks[party].digests.remote()) for party in self.parties}
        )
        return found[self.parties[0]]
