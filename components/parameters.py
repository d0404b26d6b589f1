"""From a step's parameters to the dataclasses that hold its settings: one way for the plan and for the step. Light.

A dataclass of settings says the names, types and defaults; its component gives the same defaults to SecretFlow. A
parameter is named by its path in a pipeline file: ``privacy/clip`` is ``clip`` in the group ``privacy/``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, dataclass, field, fields
from typing import Any

Reader = Callable[[Any], Any]


def strings(value: object) -> tuple[str, ...]:
    """A list of words, also where it was given as one."""
    if isinstance(value, str):
        return (value,) if value else ()
    return tuple(str(item) for item in value) if isinstance(value, Sequence) else ()


@dataclass(frozen=True)
class Group:
    """Where the fields of a dataclass stand among the parameters. Fields without a default are none of them."""

    kind: type
    prefix: str = ""
    """``privacy/``, or empty at the top."""
    renamed: Mapping[str, str] = field(default_factory=dict)
    """Fields whose parameter has another name."""
    readers: Mapping[str, Reader] = field(default_factory=dict)
    """Fields that are read in another way than by calling their default's type."""

    def defaults(self) -> dict[str, Any]:
        """Path -> default."""
        return {self._path(each): each.default for each in self._fields()}

    def read(self, given: Mapping[str, Any]) -> Any:
        """The dataclass, with what is ``given`` by path; the rest has its default.

        Raises:
            ComponentError: a reader does.
        """
        return self.kind(**self.values(given))

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The keyword arguments of `read`, for a dataclass that needs others besides.

        Raises:
            ComponentError: a reader does.
        """
        found = {}
        for each in self._fields():
            value = given.get(self._path(each))
            read: Reader = self.readers.get(each.name, type(each.default))
            found[each.name] = each.default if value is None else read(value)
        return found

    def _fields(self) -> list[Field[Any]]:
        return [each for each in fields(self.kind) if each.default is not MISSING]

    def _path(self, each: Field[Any]) -> str:
        return self.prefix + self.renamed.get(each.name, each.name)
