"""How fast the clients' vectors are added, and with how many bytes: four backends, and HEU's own path.

At parties   three banks and a coordinator as processes behind the egress check; every backend adds the same vectors.
             values/s: coordinates of the sum per second of wall time, all rounds; baseline: `plain`, the sum in the
             clear. Bytes: TCP, all parties, per coordinate and client; baseline: plaintext updates as float32, 4 bytes
             a value, which is what federated averaging sends without whole numbers.
In memory    packed Paillier against HEU's unpacked encoding (one value per ciphertext), same key size, one process, no
             links: encrypt at three clients, add, decrypt. The unpacked path is measured on fewer values: its cost per
             value does not depend on their number.
"""

import secrets
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from veilflow.components.privacy.packing import Slots, pack, unpack
from veilflow.components.privacy.secagg import packed_he
from veilflow.components.privacy.secagg.settings import BACKENDS, MIN_KEY_BITS, PACKED_HE, PLAIN
from veilflow.pipelines.bench.result import Result

BANKS = ["bank_a", "bank_b", "bank_c"]
COORDINATOR = "coordinator"
VALUES = 13_426
"""A small network's parameters."""
VALUE_BITS = 8
"""Of a value, as updates have them by default."""
UNPACKED_VALUES = 48
_SIDE = "veilflow.pipelines.bench.secagg_party"
_UNPACKED = "HEU unpacked"
_DENSE = "dense float32"
_TRAFFIC = "traffic, all parties"
_PROCESSOR = "processor time of a round, all parties"


def run(rows: int | None = None, rounds: int = 10) -> list[Result]:
    """Measure.

    Args:
        rows: values of a vector; 13 426 by default.
        rounds: sums per backend.
    """
    from veilflow.pipelines.launch.simulation import Simulation
    from veilflow.pipelines.party.setup import SpuDevice

    length = rows or VALUES
    results = kernels(length)
    parties, devices = [*BANKS, COORDINATOR], {"spu": SpuDevice(BANKS)}
    with (
        tempfile.TemporaryDirectory(prefix="veilflow-bench-") as folder,
        Simulation(Path(folder), parties, devices) as simulation,
    ):
        return results + at_parties(simulation.call, BANKS, COORDINATOR, length, rounds)


def at_parties(call: Any, clients: list[str], coordinator: str, length: int, rounds: int) -> list[Result]:
    """Speed and traffic of every backend, `plain` first. ``call`` calls a function by name at every party."""
    case = f"{length} values of {VALUE_BITS} bits, {len(clients)} clients"
    bare = call(f"{_SIDE}:dense", clients, coordinator, length, rounds)
    dense = sum(each["bytes"] for each in bare.values()) / (length * rounds * len(clients))
    results = [Result(f"{_DENSE}, {case}", _TRAFFIC, "bytes/value", dense)]
    plain: dict[str, float] = {}
    for backend in sorted(BACKENDS, key=lambda name: name != PLAIN):
        found = call(f"{_SIDE}:sums", backend, clients, coordinator, length, rounds, VALUE_BITS)
        seconds = max(each["seconds"] for each in found.values())
        measured = {
            "throughput": ("values/s", length * rounds / seconds),
            _TRAFFIC: (
                "bytes/value",
                sum(each["bytes"] for each in found.values()) / (length * rounds * len(clients)),
            ),
            "round": ("ms", 1000 * seconds / rounds),
            _PROCESSOR: ("ms", 1000 * sum(each["processor"] for each in found.values()) / rounds),
        }
        for metric, (unit, value) in measured.items():
            base = dense if metric == _TRAFFIC else plain.setdefault(metric, value)
            baseline = _DENSE if metric == _TRAFFIC else PLAIN
            results.append(Result(f"{backend}, {case}", metric, unit, value, baseline, value / base))
        setup = max(each["setup"] for each in found.values())
        results.append(Result(f"{backend}, {case}", "set-up, once per step", "s", setup))
    return results


def kernels(length: int, unpacked_values: int = UNPACKED_VALUES) -> list[Result]:
    """Packed against unpacked Paillier in this process."""
    kit, public = packed_he.new_key(MIN_KEY_BITS)
    bound = (1 << (VALUE_BITS - 1)) - 1
    slots = Slots(bound, len(BANKS), packed_he.capacity(MIN_KEY_BITS))
    _packed(kit, public, _vectors(1, bound), slots)  # HEU prepares its tables for the key
    packed_seconds, size = _packed(kit, public, _vectors(length, bound), slots)
    packed = length / packed_seconds
    unpacked_seconds, unpacked_size = _unpacked(kit, _vectors(unpacked_values, bound))
    unpacked = unpacked_values / unpacked_seconds
    case = f"{PACKED_HE} in memory, {MIN_KEY_BITS} bits, {slots.width}-bit slots"
    return [
        Result(case, "throughput", "values/s", packed, _UNPACKED, packed / unpacked),
        Result(case, "ciphertext", "bytes/value", size / length, _UNPACKED, size / length / unpacked_size),
        Result(f"{_UNPACKED} in memory, {MIN_KEY_BITS} bits", "throughput", "values/s", unpacked),
        Result(f"{_UNPACKED} in memory, {MIN_KEY_BITS} bits", "ciphertext", "bytes/value", unpacked_size),
    ]


def _packed(kit: Any, public: bytes, vectors: list[np.ndarray], slots: Slots) -> tuple[float, int]:
    """Seconds of the whole way, blinding included, and bytes of one client's ciphertexts."""
    started = time.monotonic()
    own, *others = [pack(vector, slots) for vector in vectors]  # the keeper is a client and adds its own
    sent = [packed_he.encrypt(public, plaintexts) for plaintexts in others]
    blinded, blind = packed_he.add_blinded(public, sent)
    opened = packed_he.open_blinded(kit, blinded, own, MIN_KEY_BITS)
    total = unpack(packed_he.unblind(public, opened, blind, MIN_KEY_BITS), slots, vectors[0].size, len(vectors))
    seconds = time.monotonic() - started
    assert (total == np.sum(vectors, axis=0)).all(), "the sum is exact"
    return seconds, len(sent[0])


def _unpacked(kit: Any, vectors: list[np.ndarray]) -> tuple[float, float]:
    """The same with HEU's integer encoder: seconds, and bytes per value of one client's ciphertexts."""
    from heu import numpy as hnp

    encoder = kit.integer_encoder(1)
    started = time.monotonic()
    sent = [kit.encryptor().encrypt(hnp.array(vector, encoder)).serialize() for vector in vectors]
    total, *others = [hnp.CiphertextArray.load_from(each) for each in sent]
    for other in others:
        total = kit.evaluator().add(total, other)
    found = kit.decryptor().decrypt(total).to_numpy(encoder)
    seconds = time.monotonic() - started
    assert (np.asarray(found) == np.sum(vectors, axis=0)).all(), "the sum is exact"
    return seconds, len(sent[0]) / vectors[0].size


def _vectors(length: int, bound: int) -> list[np.ndarray]:
    rng = np.random.default_rng(secrets.randbits(128))
    return [rng.integers(-bound, bound, length, endpoint=True) for _ in BANKS]
