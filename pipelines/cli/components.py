"""`veilflow components [NAME]`."""

import click

from veilflow.pipelines.cli.output import show


@click.command()
@click.argument("name", required=False)
def components(name: str | None) -> None:
    """List the components a node may use, or explain one: inputs, outputs, parameters, a snippet to paste.

    NAME is `domain/name`, with or without a version, or the name alone where only one domain has it.
    """
    from veilflow.pipelines import catalog
    from veilflow.pipelines.cli.component_list import listing
    from veilflow.pipelines.cli.component_page import page

    known = catalog.load()
    if name is None:
        show(*listing(known))
        return
    try:
        found = known.find(_full_name(name, known.names()))
    except catalog.UnknownVersion as error:
        raise click.UsageError(str(error)) from None
    if found is None:
        from veilflow.pipelines.spec.check import unknown_component

        raise click.UsageError(unknown_component(name, known))
    show(*page(found))


def _full_name(name: str, known: list[str]) -> str:
    """``psi`` -> ``data_prep/psi`` where that is the only one."""
    key, colon, version = name.partition(":")
    same = [entry for entry in known if entry.split("/", 1)[1] == key]
    return f"{same[0]}{colon}{version}" if len(same) == 1 else name
