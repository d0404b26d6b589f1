"""Parameters as SecretFlow takes them: flat values -> `NodeEvalParam`."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from secretflow_spec.v1.component_pb2 import Attribute as WireAttribute
from secretflow_spec.v1.data_pb2 import DistData
from secretflow_spec.v1.evaluation_pb2 import NodeEvalParam

from veilflow.pipelines.catalog.definition import Attribute
from veilflow.pipelines.party import registry
from veilflow.pipelines.spec.params import to_attributes

NOTHING = DistData(type="sf.null")
"""What SecretFlow expects at an optional input that is left out."""


def node_eval_param(
    component_id: str,
    flat_params: Mapping[str, Any],
    inputs: Sequence[DistData],
    output_uris: Sequence[str],
) -> NodeEvalParam:
    """What SecretFlow's `comp_eval` takes for one step.

    Args:
        component_id: ``domain/name:version``.
        flat_params: as `flatten_params` gives them; those left out get the component's own defaults.
        inputs: in the order of the definition, `NOTHING` for an optional input left out.
        output_uris: one per output of the definition, in its order.

    Raises:
        KeyError: the component or a parameter does not exist.
    """
    definition = registry.definition(component_id)
    found = to_attributes(definition, flat_params)
    by_wire = {attribute.wire_path: attribute for attribute in definition.attributes}
    return NodeEvalParam(
        comp_id=component_id,
        attr_paths=[path for path, _, _ in found],
        attrs=[_wire_attribute(by_wire[path], kind, value) for path, kind, value in found],
        inputs=list(inputs),
        output_uris=list(output_uris),
    )


def _wire_attribute(attribute: Attribute, kind: str, value: Any) -> WireAttribute:
    if kind == "f":
        value = within_bounds(attribute, value)
    elif kind == "fs":
        value = [within_bounds(attribute, entry) for entry in value]
    return WireAttribute(**{kind: value})


def within_bounds(attribute: Attribute, value: float) -> float:
    """``value`` as the nearest 32-bit float that the attribute's bounds still allow.

    SecretFlow carries floats as 32 bits and checks bounds after that: 0.1 arrives as 0.10000000149 and would break an
    upper bound of 0.1.
    """
    carried = float(np.float32(value))  # compared in 64 bits: numpy 2 would round the bound to 32 as well
    low, high = attribute.lower, attribute.upper
    if high is not None and (carried > high.value or (carried == high.value and not high.closed)):
        carried = float(np.nextafter(np.float32(carried), np.float32(-math.inf)))
    elif low is not None and (carried < low.value or (carried == low.value and not low.closed)):
        carried = float(np.nextafter(np.float32(carried), np.float32(math.inf)))
    return carried
