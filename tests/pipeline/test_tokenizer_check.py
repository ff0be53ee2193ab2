"""Inputs that differ and become the same token ids: counted, reported, and refused where all do."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tiny import tiny_vocabulary, word_tokenizer

from synapse_audit.config import AuditConfig, make_config
from synapse_audit.errors import DataError
from synapse_audit.model import Encoded
from synapse_audit.pipeline.stages import Run, Subject, identify, read_subject
from synapse_audit.pipeline.stages.tokenizer_check import TokenizerCheck, check_tokenizer
from synapse_audit.progress import Silent
from synapse_audit.store import RunFolder


def _encoded(*ids: list[int], rows: Sequence[int] | None = None, cut: int = 0) -> Encoded:
    features = [{"input_ids": one, "attention_mask": [1] * len(one)} for one in ids]
    lengths = np.array([len(one) for one in ids])
    return Encoded(features, lengths, cut, rows=None if rows is None else np.array(rows))


def test_only_distinct_inputs_are_compared() -> None:
    read = _encoded([2, 5], [2, 5], [2, 5], [2, 6])
    assert check_tokenizer(["a", "a", "a", "b"], read) == TokenizerCheck(0, 2)
    assert check_tokenizer(["a", "a", "c", "b"], read) == TokenizerCheck(2, 3)
    assert check_tokenizer(["a", "c", "d", "b"], read) == TokenizerCheck(3, 4)


def test_one_input_given_often_is_no_reason_to_stop() -> None:
    assert check_tokenizer(["a", "a", "a"], _encoded([2], [2], [2])) == TokenizerCheck(0, 1)


def test_inputs_that_are_all_the_same_are_refused_in_one_line() -> None:
    with pytest.raises(DataError, match=r"^3 distinct inputs given.*token ids 2, 1, 3; exp") as no:
        check_tokenizer(["a", "b", "c"], _encoded([2, 1, 3], [2, 1, 3], [2, 1, 3]))
    assert "\n" not in str(no.value) and "cut" not in str(no.value)
    with pytest.raises(DataError, match="2 of them cut"):
        check_tokenizer(["a", "b"], _encoded([4] * 9, [4] * 9, cut=2))


def test_rows_of_windows_are_compared_whole() -> None:
    rows = [0, 0, 1, 1, 2]
    assert check_tokenizer("abc", _encoded([1], [2], [1], [2], [1], rows=rows)) == TokenizerCheck(
        2, 3
    )
    assert check_tokenizer("abc", _encoded([1], [2], [2], [1], [1], rows=rows)) == TokenizerCheck(
        0, 3
    )
    assert check_tokenizer("abc", _encoded([1], [2], [1, 2], [], [1], rows=rows)) == TokenizerCheck(
        0, 3
    )


def test_parts_of_a_pair_that_lie_elsewhere_are_read_differently() -> None:
    rows = [{"input_ids": [5, 6, 7], "token_type_ids": kinds} for kinds in ([0, 0, 1], [0, 1, 1])]
    assert check_tokenizer(["a", "b"], Encoded(rows, np.array([3, 3]), 0)) == TokenizerCheck(0, 2)


def test_inputs_without_tokens_are_not_judged() -> None:
    pixels = [{"pixel_values": np.zeros(4)}, {"pixel_values": np.zeros(4)}]
    assert check_tokenizer(["a", "b"], Encoded(pixels, np.array([1, 1]), 0)) == TokenizerCheck(0, 0)


@pytest.mark.parametrize(("n", "said"), [(0, False), (5, False), (6, True), (10, True)])
def test_more_than_half_is_said(n: int, said: bool) -> None:
    note = TokenizerCheck(n, 10).note
    assert bool(note) == said and (f"{n} of 10 distinct inputs" in note) == said


# ---- with a tokenizer ----------------------------------------------------------------------------


class Heard(Silent):
    """Keeps the lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(scope="module")
def foreign(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with a tokenizer that knows none of its words."""
    folder = tmp_path_factory.mktemp("foreign") / "model"
    shutil.copytree(tiny_folder, folder)
    word_tokenizer([f"x{word}" for word in tiny_vocabulary()]).save_pretrained(folder)
    return folder


def _config(model: Path, data: Path) -> AuditConfig:
    return make_config({"model": str(model), "data": str(data), "preset": "quick"})


def _identified(config: AuditConfig, out: Path) -> tuple[Run, Heard, Subject]:
    heard, subject = Heard(), read_subject(config)
    run = Run(RunFolder.claim(out), config, heard)
    identify(run, subject)
    return run, heard, subject


def test_unknown_words_leave_only_lengths(
    foreign: Path, tiny_csv: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    run, heard, subject = _identified(_config(foreign, tiny_csv), tmp_path / "run")
    lengths = Counter(rows["text"].str.split().str.len())
    same = sum(n for n in lengths.values() if n > 1)
    assert len(lengths) > 1 and 2 * same > len(rows)
    assert heard.lines == [
        f"warning: {same} of {len(rows)} distinct inputs become the same token ids as another "
        "one; check that the tokenizer is the one that the model was trained with"
    ]
    assert heard.lines[0].removeprefix("warning: ") in subject.classifier.notes
    assert run.folder.manifest["data"]["n_indistinguishable"] == same
    assert heard.lines[0].removeprefix("warning: ") in run.folder.manifest["model"]["notes"]


def test_the_own_tokenizer_is_not_suspected(
    tiny_folder: Path, tiny_csv: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    twice = pd.concat([rows, rows], ignore_index=True)
    twice.to_csv(tmp_path / "twice.csv", index=False)
    for data in (tiny_csv, tmp_path / "twice.csv"):
        run, heard, subject = _identified(_config(tiny_folder, data), tmp_path / data.stem)
        assert subject.tokenizer_check == TokenizerCheck(0, len(rows))
        assert heard.lines == [] and "n_indistinguishable" not in run.folder.manifest["data"]


def test_texts_of_one_length_are_refused(foreign: Path, rows: pd.DataFrame, tmp_path: Path) -> None:
    lengths = rows["text"].str.split().str.len()
    same = rows[lengths == lengths.mode()[0]]
    same.to_csv(tmp_path / "same.csv", index=False)
    with pytest.raises(DataError, match=f"^{len(same)} distinct inputs given, which all become"):
        read_subject(_config(foreign, tmp_path / "same.csv"))
