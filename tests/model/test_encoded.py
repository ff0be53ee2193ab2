"""Features kept in flat arrays read as the tokenizer's own."""

import pickle
import sys
from dataclasses import replace

import numpy as np
import pytest

from synapse_audit.model import Encoded
from synapse_audit.model.inputs.encoded import Features, Ragged, joined, pack

ROWS = [
    {"input_ids": [101, 7, 102], "attention_mask": [1, 1, 1]},
    {"input_ids": [], "attention_mask": []},
    {"input_ids": [2**31 - 1, -5], "attention_mask": [1, 0]},
]


def encoded(rows) -> Encoded:
    lengths = np.array([len(row["input_ids"]) for row in rows], dtype=np.int64)
    return Encoded(tuple(rows), lengths, 0)


def test_examples_come_out_as_they_went_in():
    found = encoded(ROWS).features
    assert isinstance(found, Features)
    assert list(found) == ROWS and len(found) == 3
    assert found[2] == ROWS[2] and found[-1] == ROWS[2]
    assert found[1:] == tuple(ROWS[1:])
    assert all(type(number) is int for number in found[0]["input_ids"])


@pytest.mark.parametrize("place", [3, -4])
def test_places_out_of_range_are_refused(place: int):
    with pytest.raises(IndexError):
        encoded(ROWS).features[place]


@pytest.mark.parametrize(
    "odd", [[0.5], [True], np.arange(2), [2**31], "text", [[1, 2]], 4], ids=str
)
def test_a_field_of_another_kind_is_kept_as_it_is(odd: object):
    rows = [{"input_ids": [1], "other": odd}, {"input_ids": [2], "other": [1]}]
    found = encoded(rows).features
    assert found[0]["other"] is odd
    assert found[0]["input_ids"] == [1]


def test_examples_with_different_fields_are_left_alone():
    rows = ({"input_ids": [1]}, {"input_ids": [1], "extra": [2]})
    assert pack(rows) is rows


def test_no_example_at_all():
    assert len(Encoded((), np.zeros(0, dtype=np.int64), 0)) == 0


def test_packing_twice_changes_nothing_and_it_travels():
    once = encoded(ROWS)
    assert Encoded(once.features, once.lengths, 0).features is once.features
    assert list(pickle.loads(pickle.dumps(once)).features) == ROWS


def test_a_number_takes_four_bytes():
    rows = [{"input_ids": list(range(1000))} for _ in range(20)]
    flat = encoded(rows).features._fields["input_ids"]
    assert isinstance(flat, Ragged) and flat.values.dtype == np.int32
    assert flat.values.nbytes == 4 * 20_000
    assert flat.values.nbytes < sum(sys.getsizeof(row["input_ids"]) for row in rows)


def test_parts_read_as_if_encoded_together():
    found = joined([encoded(ROWS[:1]), encoded(ROWS[1:]), encoded([])])
    assert isinstance(found.features, Features) and list(found.features) == ROWS
    assert found.lengths.tolist() == [3, 0, 2] and found.n_truncated == 0
    assert joined([replace(encoded(ROWS), n_truncated=n) for n in (2, 3)]).n_truncated == 5


@pytest.mark.parametrize(
    "odd",
    [{"input_ids": [2**31], "attention_mask": [1]}, {"input_ids": [4]}],
    ids=["no int32", "other fields"],
)
def test_a_part_of_another_kind_is_joined_as_it_is(odd: dict[str, object]):
    assert list(joined([encoded(ROWS), encoded([odd])]).features) == [*ROWS, odd]
