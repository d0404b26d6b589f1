"""The parameters of `fedavg_train`: one way from them to its settings, for the plan and for the step. Light.

The defaults stand in the dataclasses of `settings`, and nowhere else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.settings import (
    Compress,
    Guard,
    LocalSettings,
    ModelSpec,
    Privacy,
    Server,
    Settings,
    Weighting,
)
from veilflow.components.parameters import Group, Reader, strings
from veilflow.components.privacy.secagg import parameters as secure_sum


def parse_by_round(entries: Sequence[str]) -> tuple[tuple[int, float], ...]:
    """``["1:4.0", "20:2.0"]`` as pairs of a round (from 1) and the noise from there on.

    Raises:
        ComponentError: an entry of another form.
    """
    found = {}
    for entry in strings(entries):
        number, _, noise = entry.partition(":")
        try:
            found[int(number)] = float(noise)
        except ValueError:
            found[0] = 0.0
        if min(found) < 1 or not all(0 < value < float("inf") for value in found.values()):
            raise ComponentError(f"privacy/by_round: '{entry}' is not of the form round:noise, such as 20:1.5.")
    return tuple(sorted(found.items()))


def parse_slow(entries: Sequence[str]) -> tuple[tuple[str, int], ...]:
    """``["bank_c:3"]`` as pairs.

    Raises:
        ComponentError: an entry of another form.
    """
    found = []
    for entry in strings(entries):
        party, _, rounds = entry.partition(":")
        if not party or not rounds.isdigit() or int(rounds) < 1:
            raise ComponentError(f"slow: '{entry}' is not of the form party:rounds, such as bank_c:3.")
        found.append((party, int(rounds)))
    return tuple(found)


def _sizes(layers: Sequence[int]) -> tuple[int, ...]:
    return tuple(int(size) for size in layers)


_MODEL = Group(ModelSpec, "net/", {"path": "module"}, {"layers": _sizes, "keep_local": strings})
_TOP = Group(Settings, readers={"slow": parse_slow})
_GROUPS = {
    "local": Group(LocalSettings, "", {"epochs": "local_epochs", "batch": "batch_size", "rate": "learning_rate"}),
    "privacy": Group(Privacy, "privacy/", readers={"by_round": parse_by_round}),
    "weighting": Group(Weighting, "weights/"),
    "server": Group(Server, "server/", {"rate": "learning_rate"}),
    "guard": Group(Guard, "guard/"),
    "compress": Group(Compress, "compress/"),
    "secure_sum": secure_sum.GROUP,
}
"""By their names in `Settings`."""
LISTED: Mapping[str, Reader] = {"slow": parse_slow, "privacy/by_round": parse_by_round}
"""Parameters whose entries may be of a wrong form."""
DEFAULTS = {path: value for group in (_MODEL, _TOP, *_GROUPS.values()) for path, value in group.defaults().items()}
"""Every parameter of `spec_of` and `settings_of`, by path."""


def spec_of(given: Mapping[str, Any]) -> ModelSpec:
    """The model, from parameters by path; what is not given has its default."""
    spec: ModelSpec = _MODEL.read(given)
    return replace(spec, layers=()) if spec.kind == "logistic" else spec


def settings_of(given: Mapping[str, Any]) -> Settings:
    """All settings, from parameters by path; what is not given has its default.

    Raises:
        ComponentError: one of `LISTED` has an entry of another form.
    """
    return Settings(**{name: group.read(given) for name, group in _GROUPS.items()}, **_TOP.values(given))
