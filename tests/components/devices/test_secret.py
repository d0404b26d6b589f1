"""Secret programs at real parties: variables stay, one party learns what is opened, every rank runs the same code."""

from typing import Any

import pytest

from veilflow.components.errors import ComponentError

pytestmark = pytest.mark.cluster

PARTIES = ["hospital", "insurer", "coordinator"]


def machine(ctx: Any) -> Any:
    from veilflow.components.devices.secret import SecretMachine

    return SecretMachine(ctx.make_spu())


def counter(ctx: Any) -> dict[str, Any]:
    import numpy as np

    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret import SecretProgram

    spu = machine(ctx)
    share, join = spu.share_all(), spu.join_all()
    spu.send_shares("hospital", run_on("hospital", lambda: {"total": np.zeros(2, np.float32)}))
    add = SecretProgram("add", lambda total, x, k: (total + x * k, x), ("total", "x", "k"), ("total", "last"))
    opened = None
    for step in range(3):
        feed = run_on("insurer", lambda: share({"x": np.array([1.5, -2.0], np.float32)}), returns=spu.world)
        opened = spu.run(add, [feed], {"k": np.float32(step)}, {"insurer": ("total",), "hospital": ("last",)})
    total = run_on("insurer", lambda *m: join(m)["total"].tolist(), *opened["insurer"])
    names = run_on("hospital", lambda *m: sorted(join(m)), *opened["hospital"])
    return {"total": publish(total), "names": publish(names), "digests": spu.digests()}


def test_variables_stay_and_programs_are_the_same_everywhere(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(counter)
    assert len({str(each) for each in found.values()}) == 1
    (result, *_) = found.values()
    assert result["total"] == pytest.approx([4.5, -6.0], abs=1e-4)
    assert result["names"] == ["last"]
    assert len(result["digests"]) == 1, "the same program with the same shapes is compiled once"


def receivers(ctx: Any) -> dict[str, Any]:
    """Which objects this process receives from its peers while something is opened to the insurer."""
    import numpy as np

    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret import SecretProgram
    from veilflow.pipelines.party.wire.proxy import SecureLinkProxy

    spu = machine(ctx)
    spu.send_shares("hospital", run_on("hospital", lambda: {"x": np.arange(5, dtype=np.float32)}))
    spu.digests()
    arrived, original = [], SecureLinkProxy.recv

    def watch(self: Any, source: str, number: str) -> Any:
        data = original(self, source, number)
        arrived.append((source, type(data).__name__))
        return data

    SecureLinkProxy.recv = watch
    try:
        found = spu.open_to("insurer", SecretProgram("double", lambda x: (x + x,), ("x",), ("y",)))
        mean = publish(run_on("insurer", lambda values: float(values["y"].mean()), found))
    finally:
        SecureLinkProxy.recv = original
    return {"mean": mean, "arrived": sorted(arrived)}


def test_only_the_receiver_gets_shares_of_what_is_opened(veilflow_cluster: Any) -> None:
    found = veilflow_cluster.call(receivers)
    assert found["insurer"]["arrived"] == [["coordinator", "bytes"], ["hospital", "bytes"]]
    for party in ("hospital", "coordinator"):
        assert found[party]["arrived"] == [["insurer", "float"]], "the published mean, nothing else"
        assert found[party]["mean"] == pytest.approx(4.0, abs=1e-4)


def stored(ctx: Any) -> dict[str, Any]:
    import numpy as np

    from veilflow.components.devices.objects import pack, unpack
    from veilflow.components.devices.pyu import publish, run_on
    from veilflow.components.devices.secret import SecretProgram

    first = machine(ctx)
    first.send_shares("insurer", run_on("insurer", lambda: {"w": np.array([0.25, -8.0], np.float32)}))
    parts = first.save(["w"])
    disk = {party: run_on(party, lambda part: pack(*part), part) for party, part in parts.items()}
    second = machine(ctx)
    second.load({party: run_on(party, unpack, raw) for party, raw in disk.items()})
    opened = second.open_to("hospital", SecretProgram("same", lambda w: (w,), ("w",), ("v",)))
    documents = publish({party: run_on(party, lambda part: part[0], part) for party, part in parts.items()})
    return {"value": publish(run_on("hospital", lambda found: found["v"].tolist(), opened)), "documents": documents}


def test_shares_survive_the_machine_that_made_them(veilflow_cluster: Any) -> None:
    (found, *_) = veilflow_cluster.call(stored).values()
    assert found["value"] == pytest.approx([0.25, -8.0], abs=1e-5)
    assert {document["rank"] for document in found["documents"].values()} == {0, 1, 2}


def foreign(ctx: Any) -> str:
    """Shares stored by one party given to another: refused at that party, before anything runs."""
    import numpy as np

    from veilflow.components.devices.pyu import publish, run_on

    spu = machine(ctx)
    spu.send_shares("insurer", run_on("insurer", lambda: {"w": np.zeros(1, np.float32)}))
    parts = spu.save(["w"])

    def check(part: Any) -> str:
        from veilflow.components.devices.secret_runtime import require_same_spu

        try:
            require_same_spu("insurer", part[0], {**part[0], "rank": 7})
        except ComponentError as problem:
            return str(problem)
        return ""

    missing = {party: part for party, part in parts.items() if party != "coordinator"}
    try:
        spu.load(missing)
    except ComponentError as problem:
        return publish(run_on("insurer", check, parts["insurer"])) + " / " + str(problem)
    return ""


def test_shares_of_another_spu_are_refused(veilflow_cluster: Any) -> None:
    (found, *_) = veilflow_cluster.call(foreign).values()
    assert "made by an SPU with another rank" in found
    assert "the shares are stored at hospital, insurer; the SPU's parties are" in found


def disagreement(ctx: Any) -> str:
    import numpy as np

    from veilflow.components.devices.pyu import run_on
    from veilflow.components.devices.secret import SecretProgram

    spu = machine(ctx)
    spu.send_shares("hospital", run_on("hospital", lambda: {"x": np.zeros(1, np.float32)}))
    factor = 3.0 if ctx.self_party == "insurer" else 2.0
    program = SecretProgram("scale", lambda x: (x * factor,), ("x",), ("y",))
    spu.run(program)
    spu.digests()
    return "ran"


def test_a_party_with_another_program_stops_everybody_before_it_runs(veilflow_cluster: Any) -> None:
    from veilflow.pipelines.launch.processes import PartyFailed

    with pytest.raises(PartyFailed, match=r"the parties compiled different secret programs 'scale'\. Nothing was run"):
        veilflow_cluster.call(disagreement)


@pytest.mark.parametrize(
    "protocol, parties, field, bits, message",
    [
        ("SEMI2K", 2, "FM64", 18, "the SPU runs SEMI2K, which does not protect"),
        ("REF2K", 3, "FM64", 18, "the SPU runs REF2K, which does not protect"),
        ("SECURENN", 3, "FM64", 18, "the SPU runs SECURENN"),
        ("ABY3", 2, "FM64", 18, "ABY3 needs 3 parties; the SPU has 2"),
        ("CHEETAH", 3, "FM64", 18, "CHEETAH needs 2 parties; the SPU has 3"),
        ("ABY3", 3, "FM128", 18, "the SPU has field FM128 and 18 fraction bits"),
        ("ABY3", 3, "FM64", 24, "the SPU has field FM64 and 24 fraction bits"),
    ],
)
def test_an_spu_that_does_not_fit_is_refused(protocol: str, parties: int, field: str, bits: int, message: str) -> None:
    from veilflow.components.devices.secret import require_secure

    runtime = {"protocol": protocol, "field": field, "fxp_fraction_bits": bits}
    with pytest.raises(ComponentError, match=message):
        require_secure({"nodes": [{"party": each} for each in PARTIES[:parties]], "runtime_config": runtime})


@pytest.mark.parametrize("protocol, parties", [("ABY3", 3), ("CHEETAH", 2)])
def test_a_secure_spu_is_accepted(protocol: str, parties: int) -> None:
    from veilflow.components.devices.secret import require_secure

    runtime = {"protocol": protocol, "field": "FM64", "fxp_fraction_bits": 18}
    require_secure({"nodes": [{"party": each} for each in PARTIES[:parties]], "runtime_config": runtime})


def set_up_crosswise(ctx: Any) -> dict[str, list[str]]:
    """The links of two machines, of which the insurer sets up the second one first."""
    from threading import Event

    from veilflow.components.devices import secret_runtime
    from veilflow.components.devices.child_links import next_number
    from veilflow.components.devices.secret import SecretMachine

    device = ctx.make_spu()
    honest, last, ids = secret_runtime.links, next_number(device), {}
    done = {last + 1: Event(), last + 2: Event()}

    def links(runtime: Any, number: int) -> Any:
        if number == last + (1 if ctx.self_party == "insurer" else 2):
            done[2 * last + 3 - number].wait(20)  # the other one
        found = honest(runtime, number)
        ids[f"machine {number - last}"] = [each.id() for each in found]
        done[number].set()
        return found

    try:
        secret_runtime.links = links  # type: ignore[assignment]
        machines = [SecretMachine(device), SecretMachine(device)]
        for each in done.values():
            assert each.wait(30)
    finally:
        secret_runtime.links = honest
    del machines
    return {"order": list(ids), **dict(sorted(ids.items()))}


def test_two_machines_on_one_spu_have_the_same_links_everywhere_whichever_is_set_up_first(
    veilflow_cluster: Any,
) -> None:
    found = veilflow_cluster.call(set_up_crosswise)
    assert found["insurer"].pop("order") == ["machine 2", "machine 1"]
    assert found["hospital"].pop("order") == found["coordinator"].pop("order") == ["machine 1", "machine 2"]
    assert found["hospital"] == found["insurer"] == found["coordinator"]
    assert len({each for ids in found["hospital"].values() for each in ids}) == 4
