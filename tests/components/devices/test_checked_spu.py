"""SecretFlow's own SPU functions run only where every party has compiled the same program."""

import pytest

pytestmark = pytest.mark.cluster
HERE = __file__


def adds(ctx):
    from secretflow.device import PYU, SPUCompilerNumReturnsPolicy

    from veilflow.components.devices.pyu import publish, send_to

    spu = ctx.make_spu()
    x, y = (PYU(party)(lambda: 3.0)().to(spu) for party in ("hospital", "insurer"))
    total = spu(lambda a, b: a + b)(x, y)
    both = spu(lambda a, b: (a + b, a * b), num_returns_policy=SPUCompilerNumReturnsPolicy.FROM_COMPILER)(x, y)
    pair = spu(
        lambda a, b: (a - b, a * b),
        num_returns_policy=SPUCompilerNumReturnsPolicy.FROM_USER,
        user_specified_num_returns=2,
    )(x, y)
    opened = [send_to("hospital", each.to(PYU("hospital"))) for each in (total, *both, *pair)]
    return [round(float(each), 3) for each in publish(opened)]


def test_every_way_of_calling_gives_what_plain_arithmetic_gives(veilflow_cluster):
    assert veilflow_cluster.call(adds)["hospital"] == [6.0, 6.0, 9.0, 0.0, 9.0]


def compiles_another(ctx):
    from secretflow.device import PYU

    from veilflow.components.devices.pyu import publish

    spu = ctx.make_spu()
    x = PYU("hospital")(lambda: 3.0)().to(spu)
    # The first party of the device compiles what it likes; SecretFlow would have run it at all three.
    factor = 2.0 if ctx.self_party == "coordinator" else 1.0
    return float(publish(spu(lambda a: a * factor)(x).to(PYU("hospital"))))


def test_a_party_that_compiled_something_else_stops_the_run(tmp_path):
    from veilflow.pipelines.launch.processes import PartyFailed
    from veilflow.pipelines.launch.simulation import Simulation

    with (
        Simulation(tmp_path, ["hospital", "insurer", "coordinator"]) as own,
        pytest.raises(PartyFailed) as caught,
    ):
        own.call(f"{HERE}:compiles_another")
    logs = "".join((tmp_path / party / "log.txt").read_text() for party in ("hospital", "insurer", "coordinator"))
    assert "compiled different secret programs" in str(caught.value) + logs
