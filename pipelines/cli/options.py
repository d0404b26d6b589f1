"""Arguments that several verbs share."""

from pathlib import Path

import click

pipeline_file = click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
policy_files = click.option(
    "--policy",
    "policy_paths",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A policy that all parties agreed on (configs/policies); may be repeated. One that refuses ends with code 5.",
)
set_values = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NODE.PARAM=VALUE",
    help="Change a parameter; may be repeated. Nested: node.a/b=value.",
)
