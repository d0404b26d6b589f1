"""One party as Kuscia runs it: SecretFlow's own `comp_eval`, one call per node, and none of VeilFlow's runtime.

Started with `runpy` in a process of its own; `work` (a pipe) comes in as a global.
"""

import os
import sys

from secretflow.component.core import comp_eval, load_plugins
from secretflow.spec.extend.cluster_pb2 import SFClusterConfig
from secretflow_spec.v1.data_pb2 import StorageConfig
from secretflow_spec.v1.evaluation_pb2 import NodeEvalParam

pipe, log = work  # noqa: F821 - given by the starter


def private_output():
    os.chdir(log.removesuffix(".log"))  # SPU writes a log of its own where it stands
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for stream in (1, 2):
        os.dup2(handle, stream)


def serve():
    private_output()
    load_plugins()
    while True:
        try:
            parts = pipe.recv()
        except EOFError:
            os._exit(0)  # brpc's threads are still there; nothing is left to save
        param = NodeEvalParam.FromString(parts[0])
        storage, cluster = StorageConfig.FromString(parts[1]), SFClusterConfig.FromString(parts[2])
        result = comp_eval(param, storage, cluster)  # a failure ends the process, as it does under Kuscia
        sys.stdout.flush()
        pipe.send([each.SerializeToString() for each in result.outputs])


serve()
