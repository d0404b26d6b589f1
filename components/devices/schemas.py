"""Public schemas of frames that live at parties."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
from secretflow.component.core import VTableField, VTableFieldKind, VTableSchema, VTableUtils
from secretflow.device import PYUObject

from veilflow.components.devices.pyu import publish, run_on

KINDS = {"id": VTableFieldKind.ID, "feature": VTableFieldKind.FEATURE, "label": VTableFieldKind.LABEL}


def publish_schemas(
    frames: Mapping[str, PYUObject], kinds: Mapping[str, Mapping[str, VTableFieldKind]]
) -> dict[str, VTableSchema]:
    """The schema of each party's frame; column names and types become public.

    Args:
        kinds: per party the kind of every column a frame may have; columns without a kind become features.
    """
    types = publish({party: run_on(party, column_types, frame) for party, frame in frames.items()})
    return {
        party: VTableSchema(
            [VTableField(name, kind, kinds[party].get(name, VTableFieldKind.FEATURE)) for name, kind in found.items()]
        )
        for party, found in types.items()
    }


def names_of_kind(schema: VTableSchema, kind: str) -> list[str]:
    """Columns of a kind (``id``, ``feature`` or ``label``), in schema order."""
    return [name for name, found in schema.kinds.items() if found == KINDS[kind]]


def column_types(frame: pd.DataFrame) -> dict[str, str]:
    """Per column the name of its SecretFlow field type."""
    return {str(name): str(VTableUtils.from_dtype(_numpy(dtype))) for name, dtype in frame.dtypes.items()}


def _numpy(dtype: Any) -> Any:
    """The numpy type under a pandas type with missing cells, such as ``Int64`` of IDs."""
    return getattr(dtype, "numpy_dtype", dtype)
