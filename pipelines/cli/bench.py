"""`veilflow bench`: measure, print, and write JSON."""

from importlib import import_module
from pathlib import Path

import click
from rich.table import Table

from veilflow.pipelines.cli.output import console

BENCHES = {
    "alignment": "anonymous alignment against SecretFlow's plain PSI, from table files to shares",
    "overhead": "ten empty steps, three parties, from a cold start",
    "secagg": "secure sums: masks, packed HE, SPU against the sum in the clear, and HEU unpacked",
    "split": "split learning against centralised JAX training",
    "peers": "plain federated averaging against Flower's simulation and NVFlare's simulator",
    "fedavg": "federated averaging: quality, weights, seconds and bytes per round",
    "secret_train": "logistic regression inside the SPU against SecretFlow's own trainers",
    "wire": "TLS, signatures and egress check against the bare link",
}
"""Name -> what it measures; each is a module of `veilflow.pipelines.bench` with ``run(rows)``, and more for peers."""

_OPTIONS = {"peers": ("flower_python", "nvflare_python", "rounds", "repeats"), "alignment": ("columns",)}
"""Bench -> options that it alone has."""
_INTERPRETER = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.argument("name", type=click.Choice(list(BENCHES)))
@click.option("--rows", type=click.IntRange(min=1), help="Rows to measure with, where the bench has rows.")
@click.option("--columns", type=click.IntRange(min=1), help="alignment: columns at each holder; 14, or 2 of many rows.")
@click.option("--flower-python", type=_INTERPRETER, help="peers: the Python of an environment that has Flower.")
@click.option("--nvflare-python", type=_INTERPRETER, help="peers: the Python of an environment that has NVFlare.")
@click.option("--rounds", type=click.IntRange(min=4), help="peers: rounds of training; 20 by default.")
@click.option("--repeats", type=click.IntRange(min=1), help="peers: how often each side runs; 3 by default.")
@click.option(
    "--json", "json_file", type=click.Path(dir_okay=False, path_type=Path), help="Write the figures to this file."
)
def bench(
    name: str,
    rows: int | None,
    columns: int | None,
    flower_python: Path | None,
    nvflare_python: Path | None,
    rounds: int | None,
    repeats: int | None,
    json_file: Path | None,
) -> None:
    """Measure NAME on this machine.

    A ratio compares with the named baseline, measured in the same run: machines differ, ratios less.
    """
    from veilflow.pipelines.bench.result import to_json

    interpreters = {"flower_python": flower_python, "nvflare_python": nvflare_python}
    given = {**interpreters, "rounds": rounds, "repeats": repeats, "columns": columns}
    chosen = {option: value for option, value in given.items() if value is not None}
    if name == "peers" and not set(interpreters) & set(chosen):
        raise click.UsageError(
            "peers compares with Flower, NVFlare or both: give --flower-python, --nvflare-python. How to make their "
            "environments stands in benchmarks/peers/README.md."
        )
    for owner, options in _OPTIONS.items():
        if name != owner and (strange := [option for option in chosen if option in options]):
            unknown = ", ".join(f"--{option.replace('_', '-')}" for option in strange)
            raise click.UsageError(f"{name} has no {unknown}; only {owner} has.")
    results = import_module(f"veilflow.pipelines.bench.{name}").run(rows, **chosen)
    table = Table("case", "metric", "value", "baseline", "ratio", box=None, header_style="bold", padding=(0, 2, 0, 0))
    for each in results:
        ratio = "" if each.ratio is None else f"{each.ratio:.3g}"
        table.add_row(each.case, each.metric, f"{each.value:.4g} {each.unit}", each.baseline or "", ratio)
    console().print(table)
    if json_file is not None:
        json_file.parent.mkdir(parents=True, exist_ok=True)
        json_file.write_text(to_json(name, results), encoding="utf-8")
