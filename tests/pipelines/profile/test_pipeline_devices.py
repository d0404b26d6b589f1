"""From the pipeline file to the profile: nothing unknown gets as far, and what is declared is what is judged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from veilflow.pipelines.launch.setups import heu_device, spu_devices
from veilflow.pipelines.profile.facts import runtime_options
from veilflow.pipelines.profile.heu import heu_violations
from veilflow.pipelines.profile.spu import spu_violations
from veilflow.pipelines.spec import PipelineFileError, loads

HEAD = "version: 1\nname: x\nparties: [a, b, c, d]\nnodes: {wait: {uses: flow/barrier}}\ndevices:\n"
KNOWN = {"kind", "parties", "protocol", "field", "fxp_fraction_bits", "scheme", "key_bits"}


def _pipeline(device: str):
    return loads((HEAD + f"  one: {device}\n").encode())


def _refused(device: str) -> list[str]:
    pipeline = _pipeline(device)
    found = []
    for name, spu in spu_devices(pipeline).items():
        found += spu_violations(f"device {name}", spu.parties, runtime_options(spu))
    heu = heu_device(pipeline)
    if heu is not None:
        found += heu_violations(heu.schema, heu.key_size)
    return [str(each) for each in found]


@given(key=st.from_regex(r"[a-z][a-z0-9_]{0,30}", fullmatch=True).filter(lambda key: key not in KNOWN))
def test_an_unknown_key_of_a_device_never_gets_as_far_as_spu(key):
    with pytest.raises(PipelineFileError):
        _pipeline(f"{{kind: spu, parties: [a, b, c], {key}: 1}}")


@pytest.mark.parametrize(
    "option",
    [
        "enable_trace: true",
        "runtime_config: {protocol: REF2K}",
        "protocol: REF2K",
        "scheme: mock",
        "key_bits: 64",
    ],
)
@pytest.mark.parametrize("kind", ["spu", "heu"])
def test_insecure_keys_are_refused_when_the_file_is_read(kind, option):
    with pytest.raises(PipelineFileError):
        _pipeline(f"{{kind: {kind}, parties: [a, b, c], {option}}}")


@pytest.mark.parametrize(
    ("device", "said"),
    [
        ("{kind: spu, parties: [a, b, c]}", None),
        ("{kind: spu, parties: [a, b]}", None),
        ("{kind: spu, parties: [a, b, c], field: FM128}", None),
        ("{kind: spu, parties: [a, b, c, d]}", "protocol SEMI2K"),
        ("{kind: spu, parties: [a, b, c], fxp_fraction_bits: 30}", "30 fraction bits on FM64"),
        ("{kind: heu, parties: [a, b]}", "ou with 2048-bit keys. That is less than 128 bits of security."),
        ("{kind: heu, parties: [a, b], scheme: paillier, key_bits: 3072}", None),
        ("{kind: heu, parties: [a, b], scheme: ou, key_bits: 3840}", None),
    ],
)
def test_what_the_file_declares_is_judged(device, said):
    found = _refused(device)
    assert (found == []) if said is None else (len(found) == 1 and said in found[0]), found
