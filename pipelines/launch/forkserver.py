"""A forkserver that has SecretFlow imported already, so that a party process starts in milliseconds."""

import contextlib
import multiprocessing
import multiprocessing.util
import os
import sys
from collections.abc import Iterator
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext

_PRELOAD = ["veilflow.pipelines.party.preload"]


def context() -> ForkServerContext:
    """The multiprocessing context party processes come from.

    The first call starts the server (quietly) and does not wait for it: whoever calls early has it sooner.
    """
    # CPython 3.10.0 to 3.10.8 gave this server a socket in the abstract namespace, at which every user of the machine
    # could have it run code as us (CVE-2022-42919). In a folder of this user's, nobody else reaches it.
    multiprocessing.util.abstract_sockets_supported = False  # type: ignore[misc]
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(_PRELOAD)
    # The SPU's matrix products use OpenMP threads that spin while they wait for each other. Three parties on two cores
    # then need 30 times as long for a product; this must be set before the library is loaded.
    os.environ.setdefault("OMP_THREAD_LIMIT", "1")
    # On a virtual machine, filling memory for the first time took four times as long with the huge pages that numpy
    # asks for (measured: 2 s per GB); alignment spent a sixth of its processor time on that.
    os.environ.setdefault("NUMPY_MADVISE_HUGEPAGE", "0")
    with _quiet():
        forkserver.ensure_running()
    return made


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """SecretFlow and its C++ parts print while they are imported; a child keeps the descriptors it is born with."""
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(1), os.dup(2)]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        yield
    finally:
        for target, original in zip((1, 2), saved, strict=True):
            os.dup2(original, target)
            os.close(original)
        os.close(nowhere)
