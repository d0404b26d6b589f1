"""The server that party processes are started from runs whatever it is sent: only this user may reach it."""

import multiprocessing.util
import os
import stat
from multiprocessing import forkserver as library
from pathlib import Path

from veilflow.pipelines.launch import forkserver


def test_no_other_user_reaches_the_server_that_parties_are_started_from():
    forkserver.context()
    place = Path(library._forkserver._forkserver_address)
    assert place.is_absolute(), "a file, and not the namespace that all users share"
    assert stat.S_ISSOCK(place.stat().st_mode)
    folder = place.parent.stat()
    assert (folder.st_uid, stat.S_IMODE(folder.st_mode) & 0o077) == (os.getuid(), 0)
    assert not multiprocessing.util.abstract_sockets_supported, "as CPython 3.10.8 and older read it"
