"""The recorder with an SPU: three runtimes of the real library in threads, on the shares that the protocol made."""

import secrets
import threading

import jax
import numpy as np
import spu
import spu.libspu.link as link
import spu.utils.frontend as frontend
from spu import libspu

from veilflow.components.devices.spu_parties import bits, integers

from .recorder import Local, Recorder

_CONFIG = libspu.RuntimeConfig(protocol=libspu.ProtocolKind.ABY3, field=libspu.FieldType.FM64, fxp_fraction_bits=18)


class ComparingRecorder(Recorder):
    """`spu_compare.protocol.ComparingParties` in one process."""

    def __init__(self, ranks):
        super().__init__()
        self.ranks = ranks
        self.comparisons = []
        """Shapes of what went into the SPU."""

    def is_zero(self, parts):
        found = self._compare(lambda number: (number == 0,), parts)
        return {party: Local(party, bits(share)) for party, share in zip(self.ranks, found, strict=True)}

    def at_least(self, parts, threshold):
        shares = [bits(share)[..., 0] for share in self._compare(lambda number: (number >= threshold,), parts)]
        verdict = bool((shares[0] ^ shares[1] ^ shares[2])[0] & 1)
        self.published.append(verdict)
        return verdict

    def _compare(self, program, parts):
        assert all(part.party == party for party, part in parts.items())
        arrays = [np.atleast_2d(parts[party].value) for party in self.ranks]
        self.comparisons.append(arrays[0].shape)
        shares, found = [integers(each) for each in arrays], [None] * 3
        description = link.Desc()
        # Links in memory of one name share their messages: what one that timed out has left would reach the next.
        description.id = f"comparing-{secrets.token_hex(8)}"
        description.recv_timeout_ms = 300_000
        shape = [jax.ShapeDtypeStruct((len(arrays[0]),), np.int64)]
        secret = [libspu.Visibility.VIS_SECRET]
        code, _ = frontend.compile(frontend.Kind.JAX, program, shape, {}, ["x"], secret, lambda _: ["y"])
        for rank in range(3):
            description.add_party(f"p{rank}", f"comparing{rank}")

        def at_rank(rank):
            runtime = spu.Runtime(link.create_mem(description, rank), _CONFIG)
            runtime.set_var("x", shares[rank])
            runtime.run(code)
            found[rank] = runtime.get_var("y")

        threads = [threading.Thread(target=at_rank, args=(rank,)) for rank in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return found
