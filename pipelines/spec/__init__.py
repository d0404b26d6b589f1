"""The pipeline file: YAML -> typed, checked `Pipeline`. Light: imports neither SecretFlow, JAX nor pandas."""

from veilflow.pipelines.spec.edges import Source, Wire
from veilflow.pipelines.spec.load import load, loads
from veilflow.pipelines.spec.model import Device, Node, Pipeline
from veilflow.pipelines.spec.params import ParameterError, flatten_params, to_attributes, with_defaults
from veilflow.pipelines.spec.problem import PipelineFileError, Problem

__all__ = [
    "Device",
    "Node",
    "ParameterError",
    "Pipeline",
    "PipelineFileError",
    "Problem",
    "Source",
    "Wire",
    "flatten_params",
    "load",
    "loads",
    "to_attributes",
    "with_defaults",
]
