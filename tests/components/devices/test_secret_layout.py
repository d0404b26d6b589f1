"""Our arrays of ring shares are what libspu keeps, byte for byte."""

import numpy as np
import pytest
import spu
from hypothesis import given
from hypothesis import strategies as st
from spu import libspu

from veilflow.components.devices.secret_layout import WIDTHS, from_share, ring, to_share, value
from veilflow.components.errors import ComponentError

WORLD = {"ABY3": 3, "CHEETAH": 2}
SECRET = libspu.Visibility.VIS_SECRET


def io(protocol: str) -> spu.Io:
    kind = getattr(libspu.ProtocolKind, protocol)
    config = libspu.RuntimeConfig(protocol=kind, field=libspu.FieldType.FM64, fxp_fraction_bits=18)
    return spu.Io(WORLD[protocol], config)


def parts_of(protocol: str, values: np.ndarray) -> list[np.ndarray]:
    """Shares made by hand, after the agreed form."""
    rng = np.random.default_rng(3)
    drawn = rng.integers(0, 2**64, (WORLD[protocol], *values.shape), dtype=np.uint64)
    drawn[-1] = ring(values) - drawn[:-1].sum(axis=0, dtype=np.uint64)
    if protocol == "CHEETAH":
        return [x[..., None] for x in drawn]
    return [np.stack([drawn[i], drawn[(i + 1) % 3]], axis=-1) for i in range(3)]


@pytest.mark.parametrize("protocol", WIDTHS)
def test_libspus_own_shares_have_the_agreed_layout(protocol: str) -> None:
    values = np.array([[1.5, -2.25, 3.0], [4.0, 1e5, -6e-5]], np.float32)
    made = io(protocol).make_shares(values, SECRET)
    parts = [from_share(each, protocol) for each in made]
    np.testing.assert_allclose(value(parts), values, atol=2**-18)
    for part, each in zip(parts, made, strict=True):
        again = to_share(part, protocol)
        assert (again.meta, list(again.share_chunks)) == (each.meta, list(each.share_chunks))
    if protocol == "ABY3":
        for rank in range(3):
            np.testing.assert_array_equal(parts[rank][..., 1], parts[(rank + 1) % 3][..., 0])


@pytest.mark.parametrize("protocol", WIDTHS)
@given(rows=st.integers(0, 6), columns=st.integers(1, 4), data=st.data())
def test_shares_made_by_hand_open_to_the_value_after_any_cut(
    protocol: str, rows: int, columns: int, data: st.DataObject
) -> None:
    values = np.random.default_rng(rows).normal(0, 100, (rows, columns))
    cut = data.draw(st.lists(st.integers(0, max(0, rows - 1)), max_size=5 if rows else 0))
    shares = [to_share(part[np.array(cut, int)], protocol) for part in parts_of(protocol, values)]
    np.testing.assert_allclose(io(protocol).reconstruct(shares), values[np.array(cut, int)], atol=1e-5)


def test_a_large_array_is_cut_into_chunks_as_libspu_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("veilflow.components.devices.secret_layout._CHUNK", 1000)
    values = np.arange(300.0).reshape(100, 3)
    shares = [to_share(part, "ABY3") for part in parts_of("ABY3", values)]
    assert [len(each.share_chunks) for each in shares] == [5, 5, 5]
    np.testing.assert_array_equal(io("ABY3").reconstruct(shares), values)
    np.testing.assert_array_equal(value([from_share(each, "ABY3") for each in shares]), values)


def test_integers_and_public_values_are_no_table_of_numbers() -> None:
    whole = io("ABY3").make_shares(np.arange(3), SECRET)[0]
    known = io("ABY3").make_shares(np.zeros(3, np.float32), libspu.Visibility.VIS_PUBLIC)[0]
    for each in (whole, known):
        with pytest.raises(ComponentError, match="no array of secret fixed-point numbers"):
            from_share(each, "ABY3")
