"""Pytest fixtures that keep one party cluster alive for many tests: real processes, real SPU, no mocks.

    def test_my_component(veilflow_cluster, tmp_path):
        run = veilflow_cluster.run(PIPELINE_YAML, tmp_path)
        assert run.metrics["evaluate.auc"] > 0.9

    def test_at_the_parties(veilflow_cluster):
        results = veilflow_cluster.call(my_function, 3)     # my_function(context, 3) at every party

The parties are hospital, insurer and coordinator, with one ABY3 SPU; override the session fixture
``veilflow_parties`` (and ``veilflow_devices``) in a conftest for others. Importing this plugin is light.
"""

import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from veilflow.pipelines.launch.run import Observer
    from veilflow.pipelines.launch.simulation import Simulation
    from veilflow.pipelines.ledger import Run


class Cluster:
    """A living simulation, as tests use it."""

    def __init__(self, simulation: "Simulation") -> None:
        self._simulation = simulation

    def run(
        self,
        pipeline: str | Path,
        out: Path,
        overrides: Sequence[str] = (),
        use_cache: bool = True,
        observer: "Observer | None" = None,
    ) -> "Run":
        """Run a pipeline (YAML text or a file) into ``out``; a failed run is returned with its ``error``."""
        if isinstance(pipeline, str):
            file = out / "pipeline.yaml"
            out.mkdir(parents=True, exist_ok=True)
            file.write_text(inspect.cleandoc(pipeline) + "\n", encoding="utf-8")
        else:
            file = pipeline
        return self._simulation.run(file, out, overrides, use_cache, observer)

    def call(self, function: Callable[..., Any], *args: Any, device: str | None = None) -> dict[str, Any]:
        """``function(context, *args)`` at every party; it must be a module's top-level function, results JSON-able.

        Raises:
            PartyFailed: it failed at a party; the message is what that party says.
        """
        source = inspect.getsourcefile(function)
        if source is None or "." in function.__qualname__:
            raise TypeError(
                f"{function.__qualname__} must be a top-level function of a file: parties import it by name."
            )
        return self._simulation.call(f"{Path(source).resolve()}:{function.__name__}", *args, device=device)

    def frame(self, run: "Run", out: Path, output: str, party: str) -> Any:
        """``party``'s part of the table ``node.output`` of a finished run, as a pandas frame."""
        import pyarrow.orc as orc

        del run
        node, name = output.split(".")
        stored = sorted((out / party / "artifacts").glob(f"*/{name}"), key=lambda path: path.stat().st_mtime_ns)
        found = [path for path in stored if (path.parent / ".node").read_text(encoding="utf-8") == node]
        if not found:
            raise FileNotFoundError(f"{party} holds no part of {output}; it holds {len(stored)} other(s) named {name}.")
        return orc.ORCFile(str(found[-1])).read().to_pandas()

    def pid(self, party: str) -> int:
        """Process id of a party, for tests that end it."""
        return self._simulation.pid(party)


@pytest.fixture(scope="session")
def veilflow_parties() -> list[str]:
    """Who takes part; override in a conftest."""
    return ["hospital", "insurer", "coordinator"]


@pytest.fixture(scope="session")
def veilflow_devices() -> dict[str, Any] | None:
    """SPU devices by name (`SpuDevice`); None for one ABY3 SPU over three parties."""
    return None


@pytest.fixture(scope="session")
def veilflow_cluster(
    tmp_path_factory: pytest.TempPathFactory, veilflow_parties: list[str], veilflow_devices: dict[str, Any] | None
) -> Iterator[Cluster]:
    """One party cluster for the whole session."""
    from veilflow.pipelines.launch.simulation import Simulation

    folder = tmp_path_factory.mktemp("veilflow")
    # Tests are short: one that waits for minutes waits for ever, and should say who for.
    with Simulation(folder, veilflow_parties, veilflow_devices, stall_minutes=5) as simulation:
        yield Cluster(simulation)
