"""Addresses are checked without reading data, and every error says what there is instead."""

import pytest

from veilflow.datasets import sources
from veilflow.datasets.addresses import GENERATORS, SAMPLES, parse_address
from veilflow.datasets.errors import SourceError


def test_a_file_keeps_its_path():
    assert parse_address("folder/People.CSV").path == "folder/People.CSV"


def test_a_generators_options_are_typed_and_defaults_filled_in():
    address = parse_address("generate://hospital_insurer/insurer?rows=20&overlap=0.5")
    assert address.part == "insurer"
    assert address.options["rows"] == 20
    assert address.options["overlap"] == 0.5
    assert address.options["seed"] == 0


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "the path is empty"),
        ("people.xlsx", r"'people.xlsx' does not end in \.csv, \.parquet, \.npz"),
        ("https://host/people.csv", "'https://' is not supported"),
        ("sample://brest_cancer/hospital", r"no sample set is called 'brest_cancer'.*did you mean 'breast_cancer'\?"),
        ("sample://breast_cancer/hopital", r"no part of sample://breast_cancer is called.*did you mean 'hospital"),
        ("sample://breast_cancer/hospital?rows=3", "takes no options"),
        ("generate://hospital_insurer/bank_1", "no part of generate://hospital_insurer is called 'bank_1'"),
        ("generate://hospital_insurer/hospital?row=3", r"no option .* is called 'row'.*did you mean 'rows'\?"),
        ("generate://hospital_insurer/hospital?rows=many", "rows=many is not of type int"),
        ("generate://hospital_insurer/hospital?rows=0", "rows=0 is outside 1 to"),
        ("generate://hospital_insurer/hospital?overlap=nan", "overlap=nan is outside 0 to 1"),
        ("generate://hospital_insurer/hospital?overlap=1.5", "overlap=1.5 is outside 0 to 1"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(address: str, message: str):
    with pytest.raises(SourceError, match=message):
        parse_address(address)


def test_every_listed_part_can_be_opened():
    named = [f"sample://{name}/{part}" for name, parts in SAMPLES.items() for part in parts]
    named += [f"generate://{name}/{part}?rows=5" for name, (parts, _) in GENERATORS.items() for part in parts]
    for address in named:
        assert len(sources.open_table(address)) >= 5, address
