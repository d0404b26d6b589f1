"""Work in a thread of its own: it is not waited for longer than asked, and its failure is not lost."""

import threading

import pytest

from veilflow.components.errors import ComponentError
from veilflow.components.horizontal.fedavg.errand import Errand


def test_it_is_ready_once_it_is_done_and_not_before():
    go = threading.Event()
    errand = Errand(lambda: go.wait(10) and "update")
    assert not errand.ready(0.01)
    go.set()
    assert errand.ready(10)
    assert errand.result() == "update"
    assert errand.result() == "update", "a result can be read again"


def test_what_went_wrong_is_raised_where_the_result_is_read():
    def fail():
        raise ComponentError("3 entries are not finite")

    errand = Errand(fail)
    assert errand.ready(10), "a failure is an end, too"
    with pytest.raises(ComponentError, match="3 entries"):
        errand.result()
