"""An adapter that would take for ever, or all memory, is refused before PEFT reads it."""

from pathlib import Path
from typing import Any

import pytest

from synapse_audit.errors import ModelError
from synapse_audit.model.loading.adapter_sizes import check_adapter_sizes, is_tame


@pytest.mark.parametrize(
    "pattern",
    [
        *("query", "all-linear", r".*\.(q|v)_proj", r"encoder\.layer\.\d+\..*(query|value)"),
        *(r"^(?!.*vision).*(?:q_proj|v_proj).*$", r"[*+?]+x\*\+\?", r"layer\.[0-9]{1,2}\.a?b?"),
    ],
)
def test_patterns_as_people_write_them_are_tame(pattern: str) -> None:
    assert is_tame(pattern)


@pytest.mark.parametrize(
    "pattern",
    [
        *(r"(a+)+$", r"(a|a)*b", r"(.*a){20}", r".*.*.*.*x", "a?" * 20 + "a" * 20),
        *("a{1000000}", "(a{1000}){1000}", "x" * 2_000, r"([a-z]+)*\d"),
    ],
)
def test_patterns_that_may_take_for_ever_are_not(pattern: str) -> None:
    assert not is_tame(pattern)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"target_modules": "(a+)+$"}, r"target_modules '\(a\+\)\+\$', a pattern"),
        ({"rank_pattern": {"(a+)+$": 4}}, "rank_pattern"),
        ({"alpha_pattern": {"(a+)+$": 4}}, "alpha_pattern"),
        ({"layers_pattern": ["(a+)+$"]}, "layers_pattern"),
        ({"exclude_modules": "(a|a)*b"}, "exclude_modules"),
        ({"r": 10**9}, "r 1,000,000,000; expected at most 2,000"),
        ({"rank_pattern": {"query": 10**9}}, r"rank_pattern\.query 1,000,000,000"),
        ({"layer_replication": [[0, 10**9]]}, "layer_replication 1,000,000,000"),
    ],
)
def test_an_adapter_that_would_take_for_ever_is_refused(config: Any, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        check_adapter_sizes(Path("adapter_config.json"), config, {"a": (4, 32)})


def test_an_ordinary_adapter_passes() -> None:
    config = {"r": 4_000, "target_modules": ["query"], "total_step": 10**6, "rank_pattern": {}}
    check_adapter_sizes(Path("adapter_config.json"), config, {"a": (4_000, 32)})
