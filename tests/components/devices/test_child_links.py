"""Two machines on one SPU talk over the same links at every party, whichever a party sets up first."""

from types import SimpleNamespace

from veilflow.components.devices.child_links import links, next_number


class Link:
    def __init__(self):
        self.children = 0

    def spawn(self):
        self.children += 1
        return self.children


def test_the_order_of_setting_up_does_not_matter():
    here, there = SimpleNamespace(link=Link()), SimpleNamespace(link=Link())
    assert [links(here, 0), links(here, 1)] == [links(there, 1), links(there, 0)][::-1]
    assert len({*links(here, 0), *links(here, 1)}) == 4, "no link is shared"


def test_machines_are_numbered_in_the_order_of_calls():
    device = SimpleNamespace()
    assert [next_number(device) for _ in range(3)] == [0, 1, 2]
