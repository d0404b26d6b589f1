"""`veilflow certs`: a private CA, party certificates, signing keys and cluster files.

No secret is ever an argument or printed: private keys go from the operating system's randomness to a 0600 file.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from veilflow.pipelines.cli.errors import Unusable, debugging
from veilflow.pipelines.cli.output import show

_folder = click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("certs"),
    show_default=True,
    help="Where the files lie.",
)
_force = click.option("--force", is_flag=True, help="Replace files that exist; a signing key is kept even so.")
_addresses = click.option(
    "--address",
    "addresses",
    multiple=True,
    metavar="HOST[:PORT]",
    help="A name or IP address at which the others reach the party; may be repeated.",
)
_party = click.option("--party", required=True, metavar="NAME", help="The party, as the pipeline file names it.")


def _days(default: int) -> Callable[[Any], Any]:
    days = click.IntRange(1, 36500)
    return click.option("--days", type=days, default=default, show_default=True, help="How long it is valid.")


class _Certs(click.Group):
    """Gives problems with files an end of their own: what is wrong and what to do, exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        from veilflow.pipelines.certs.private_files import KeyFileError

        try:
            return super().invoke(ctx)
        except KeyFileError as error:
            if debugging(ctx.find_root()):
                raise
            raise Unusable(str(error)) from None


@click.group(cls=_Certs)
def certs() -> None:
    """Make a private CA, certificates and signing keys, for those without a PKI.

    The holder of the authority runs `init`. Each party runs `request` on its own machine, so that no private key leaves
    it, and sends the .csr; the holder answers with `issue --request`. `cluster` writes the cluster file.
    """


@certs.command()
@_folder
@click.option("--name", default="VeilFlow private CA", show_default=True, help="The authority's name.")
@_days(3650)
@_force
def init(folder: Path, name: str, days: int, force: bool) -> None:
    """Make an authority: ca.pem for everyone, ca.key for its holder only."""
    from veilflow.pipelines.certs.folder import init as make

    make(folder, name, days, force)
    show(f"{folder / 'ca.pem'}  give it to every party", f"{folder / 'ca.key'}  keep it; whoever has it can be anyone")


@certs.command()
@_party
@_addresses
@_folder
@_force
def request(party: str, addresses: tuple[str, ...], folder: Path, force: bool) -> None:
    """Make a party's keys here, and a request for the holder of the authority."""
    from veilflow.pipelines.certs.describe import describe
    from veilflow.pipelines.certs.folder import request as make

    wanted, files = make(folder, party, addresses, force)
    _show_own(files.key, files.identity)
    show(f"{wanted}  send it to the authority's holder")
    _show_facts(describe(wanted).lines)
    _show_pin(files.pin, files.identity.with_suffix(".pub"))


@certs.command()
@_party
@click.option(
    "--request",
    "wanted",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Sign this .csr of the party, instead of making its keys here.",
)
@_addresses
@_folder
@_days(397)
@_force
def issue(party: str, wanted: Path | None, addresses: tuple[str, ...], folder: Path, days: int, force: bool) -> None:
    """Sign a party's request; without --request also make its keys, here."""
    from veilflow.pipelines.certs import folder as make
    from veilflow.pipelines.certs.describe import describe

    if wanted is not None:
        if addresses:
            raise click.UsageError("--address is in the request already; leave it out.")
        certificate = make.answer(folder, party, wanted.read_bytes(), days, force)
        show(f"{certificate}  send it back, with {folder / 'ca.pem'}", "compare the key with the party:")
        _show_facts(describe(certificate).lines)
        return
    files = make.issue(folder, party, addresses, days, force)
    show(f"{files.certificate}  the certificate")
    _show_facts(describe(files.certificate).lines)
    _show_own(files.key, files.identity)
    _show_pin(files.pin, files.identity.with_suffix(".pub"))


@certs.command(name="show")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show_files(files: tuple[Path, ...]) -> None:
    """Print what certificates, requests and public keys say; exits with 1 if one of them is not valid, or soon."""
    from veilflow.pipelines.certs.describe import describe

    found = [(file, describe(file)) for file in files]
    for file, facts in found:
        show(Text(str(file), style="bold"))
        _show_facts(facts.lines)
        if facts.warning:
            show(Text(f"  WARNING      {facts.warning}", style="bold red"))
    if any(facts.warning for _, facts in found):
        sys.exit(1)


@certs.command()
@click.option(
    "--party", "entries", multiple=True, required=True, metavar="NAME=HOST:PORT", help="One for each party of the run."
)
@click.option("--me", required=True, metavar="NAME", help="The party whose machine this is.")
@_folder
@click.option("--data", type=click.Path(file_okay=False, path_type=Path), help="The folder with this party's tables.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), default=Path("cluster.yaml"), show_default=True)
@_force
def cluster(entries: tuple[str, ...], me: str, folder: Path, data: Path | None, out: Path, force: bool) -> None:
    """Write a cluster file, with every party's signing key from NAME.signing.pub in the folder."""
    from veilflow.pipelines.certs.cluster_file import cluster_text
    from veilflow.pipelines.certs.private_files import PUBLIC, write_all
    from veilflow.pipelines.cluster.addresses import AddressError
    from veilflow.pipelines.cluster.config import load_cluster

    addresses: dict[str, str] = {}
    for entry in entries:
        name, equals, address = entry.partition("=")
        if not equals or name in addresses:
            raise click.UsageError(f"--party {entry}: expected NAME=HOST:PORT, each name once.")
        addresses[name] = address
    write_all({out: (cluster_text(addresses, me, folder, out.parent, data).encode(), PUBLIC)}, force)
    try:
        load_cluster(out)
    except AddressError as error:
        raise click.ClickException(f"written, but not complete yet.\n{error}") from error
    show(f"{out}  is ready for `veilflow run FILE --party {me} --cluster {out}`")


def _show_own(*files: Path) -> None:
    for file in files:
        show(f"{file}  private: it stays on this machine")


def _show_pin(pin: str, file: Path) -> None:
    show(f"{file}  the public signing key, which every party pins:", f"  {pin}")


def _show_facts(lines: list[tuple[str, str]]) -> None:
    for label, value in lines:
        show(f"  {label:12} {value}")
