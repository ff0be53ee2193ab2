"""Neuron addresses: what is read, what is written, what is refused."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synapse_audit.errors import UsageError
from synapse_audit.neurons import NeuronSet
from synapse_audit.neurons.addresses import (
    Address,
    addresses_of,
    check_addresses,
    format_addresses,
    neurons_of,
    parse_addresses,
)

WIDTHS = {"block_output": [8, 8, 8], "mlp_activation": [0, 32, None], "head_input": [0, 0, 8]}


def _refusal(text: str) -> str:
    with pytest.raises(UsageError) as caught:
        check_addresses(parse_addresses(text), WIDTHS)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        ("4:5,77", {"block_output": {4: [5, 77]}}),
        ("4:block_output:5", {"block_output": {4: [5]}}),
        ("3:mlp_activation:0-3,9", {"mlp_activation": {3: [0, 1, 2, 3, 9]}}),
        ("1:2;1:4; 0:1 ;", {"block_output": {1: [2, 4], 0: [1]}}),
        (["1:2", "1:2", "2:x_y:0"], {"block_output": {1: [2]}, "x_y": {2: [0]}}),
        ("1: 2 , 4-4", {"block_output": {1: [2, 4]}}),
    ],
)
def test_what_is_read(texts: str | list[str], expected: dict[str, dict[int, list[int]]]) -> None:
    assert parse_addresses(texts) == {s: NeuronSet.of(rows) for s, rows in expected.items()}


@given(
    st.dictionaries(
        st.integers(0, 40), st.sets(st.integers(0, 200), min_size=1), min_size=1, max_size=4
    )
)
@settings(max_examples=50, deadline=None)
def test_what_is_written_is_read_back(rows: dict[int, set[int]]) -> None:
    neurons = NeuronSet.of(rows)
    text = format_addresses(neurons, "mlp_output")
    assert parse_addresses(text) == {"mlp_output": neurons}
    # Single addresses, in the same form, are the same set.
    singly = [str(one) for one in addresses_of({"mlp_output": neurons})]
    assert len(singly) == len(neurons)
    assert parse_addresses(singly) == {"mlp_output": neurons}


def test_runs_become_ranges() -> None:
    neurons = NeuronSet.of({2: [9, 0, 1, 2, 7, 8]})
    assert format_addresses(neurons) == "2:block_output:0-2,7-9"
    assert str(Address(2, "mlp_output", 7)) == "2:mlp_output:7"


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";:",
        "4",
        "4:",
        "x:1",
        "-1:2",
        "4:1.5",
        "4::1",
        "4:Site:1",
        "4:1,,2",
        "4:1-",
        "4:1,",
        "٤:1",
    ],
)
def test_no_address(text: str) -> None:
    message = _refusal(text)
    assert "expected" in message and "LAYER:SITE:INDEX" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1:9-3", "range 9-3"),
        ("1:0-999999999", "range 0-999999999"),
        ("1:mlp_activations:3", "did you mean 'mlp_activation'?"),
        ("3:1", "expected a layer that has block_output: 0-2"),
        ("0:mlp_activation:1", "expected a layer that has mlp_activation: 1-2"),
        ("1:head_input:1", "expected a layer that has head_input: 2"),
        ("1:7,8", "1:block_output:8 given; layer 1 has 8 neurons at block_output: expected an "),
    ],
)
def test_what_a_model_does_not_have(text: str, words: str) -> None:
    assert words in _refusal(text)


def test_what_a_model_has_is_let_pass() -> None:
    check_addresses(
        parse_addresses("0:0-7;1:mlp_activation:31;2:mlp_activation:900;2:head_input:7"), WIDTHS
    )


def test_rows_of_a_table_become_sets() -> None:
    table = pd.DataFrame(
        {
            "layer": [2, 1, 2, 2],
            "site": ["block_output", "block_output", "mlp_activation", "block_output"],
            "neuron": [5, 7, 0, 5],
            "score": [0.9, 0.8, 0.7, 0.6],
        }
    )
    found = neurons_of(table)
    named = [str(Address(*row)) for row in table[["layer", "site", "neuron"]].to_numpy()]
    assert found == parse_addresses(named)
    assert found == {
        "block_output": NeuronSet.of({1: [7], 2: [5]}),
        "mlp_activation": NeuronSet.of({2: [0]}),
    }
    assert neurons_of(table.head(0)) == {}
