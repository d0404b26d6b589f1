"""A parameter means the same in the plan and in the step: one default, one reading, one setting that it changes."""

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest

from veilflow.components.devices.attributes import parameters
from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.parameters import DEFAULTS, settings_of, spec_of
from veilflow.components.horizontal.fedavg.settings import ModelSpec, Settings
from veilflow.components.privacy.secagg.parameters import GROUP, sum_settings
from veilflow.pipelines.catalog import shipped

OWN = {"coordinator", "categories"}
"""Parameters of `fedavg_train` that are no settings of a training."""


def offered(component: str) -> dict[str, object]:
    """Path -> default, as SecretFlow has it from the live component (the catalog is compared with that)."""
    found = {each.path: each for each in shipped().find(component).attributes if each.type != "struct"}
    return {path: tuple(each.default or ()) if each.many else each.default for path, each in found.items()}


def test_the_component_offers_the_parameters_and_defaults_that_the_plan_reads():
    found = {path: value for path, value in offered("horizontal/fedavg_train").items() if path not in OWN}
    assert found == DEFAULTS
    assert settings_of(found) == settings_of({}) == Settings()
    assert spec_of(found) == spec_of({}) == ModelSpec()


def test_statistics_offer_the_secure_sum_with_the_same_defaults():
    found = {path: value for path, value in offered("data/federated_stats").items() if path.startswith("secure_sum/")}
    assert found.items() <= GROUP.defaults().items()
    assert {path.split("/")[1] for path in found} == {"backend", "keeper", "key_bits"}
    assert sum_settings(found) == sum_settings({})


LISTS = {
    "net/layers": ([7], (7,)),
    "net/keep_local": (["Dense_1"], ("Dense_1",)),
    "privacy/by_round": (["1:2.5"], ((1, 2.5),)),
    "slow": (["a:2"], (("a", 2),)),
}


def another(path: str) -> tuple[object, object]:
    """A value that is not the default, and what it becomes."""
    default = DEFAULTS[path]
    value = f"other {default}" if isinstance(default, str) else None if path in LISTS else type(default)(default + 2)
    return LISTS.get(path, (value, value))


def test_every_parameter_changes_a_setting_of_its_own_and_nothing_else():
    changed = {}
    for path in DEFAULTS:
        given, wanted = another(path)
        pairs = ((settings_of({}), settings_of({path: given})), (spec_of({}), spec_of({path: given})))
        ((name, found),) = {
            (f"{type(one).__name__} {name}", flat(asdict(other))[name])
            for one, other in pairs
            for name, value in flat(asdict(one)).items()
            if value != flat(asdict(other))[name]
        }
        assert found == wanted, path
        assert type(found) is type(DEFAULTS[path]), path
        changed[name] = path
    assert len(changed) == len(DEFAULTS)


def flat(document: dict[str, object], above: str = "") -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in document.items():
        found |= flat(value, f"{above}{name}/") if isinstance(value, dict) else {above + name: value}
    return found


def test_attributes_of_a_step_are_read_as_they_were_written():
    single = float(np.float32(0.3))
    step = SimpleNamespace(
        rounds=4, learning_rate=single, slow=["a:2"], privacy=SimpleNamespace(clip=single, unit="none")
    )
    found = parameters(step, ["rounds", "learning_rate", "slow", "privacy/clip", "privacy/unit"])
    assert found == {"rounds": 4, "learning_rate": 0.3, "slow": ["a:2"], "privacy/clip": 0.3, "privacy/unit": "none"}
    assert settings_of(found).privacy.clip == 0.3


def test_a_logistic_regression_has_no_layers_whatever_is_given():
    assert spec_of({"net/kind": "logistic", "net/layers": [5]}).layers == ()


@pytest.mark.parametrize("path, entry", [("slow", "a"), ("slow", "a:0"), ("privacy/by_round", "1"), ("slow", ":3")])
def test_an_entry_of_another_form_is_refused_with_an_example(path, entry):
    with pytest.raises(ComponentError, match=f"{path}: '{entry}' is not of the form .*, such as"):
        settings_of({path: [entry]})
