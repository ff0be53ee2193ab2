"""Windows are slices made by hand, special tokens put back, nothing left out."""

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import FILLERS
from transformers import AutoTokenizer

from synapse_audit.errors import DataError, UsageError
from synapse_audit.model import Classifier, Encoded, Window
from synapse_audit.model.inputs.windows import starts


@given(st.integers(1, 60), st.integers(1, 12), st.data())
@settings(max_examples=60, deadline=None)
def test_windows_cover_every_token_and_none_is_superfluous(
    length: int, size: int, data: st.DataObject
) -> None:
    step = data.draw(st.integers(1, size))
    begins = list(starts(length, size, step))
    covered = {i for begin in begins for i in range(begin, min(begin + size, length))}
    assert covered == set(range(length))
    assert begins[0] == 0 and all(b - a == step for a, b in pairwise(begins))
    assert all(begin + size < length for begin in begins[:-1]), "the end was reached before"


def _ids(encoded: Encoded) -> list[list[int]]:
    return [row["input_ids"] for row in encoded.features]


def _texts(*lengths: int) -> list[str]:
    generator = np.random.default_rng(0)
    return [" ".join(generator.choice(FILLERS, size=n)) for n in lengths]


@pytest.mark.parametrize(("size", "stride"), [(10, 3), (10, 8), (10, None), (12, 1)])
def test_windows_of_texts_are_slices_by_hand(
    family_folder: Path, size: int, stride: int | None
) -> None:
    texts = _texts(3, 8, 9, 30, 70)
    tokenizer = AutoTokenizer.from_pretrained(family_folder)
    content, step = size - 2, stride or size - 2
    expected, rows = [], []
    for row, text in enumerate(texts):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        begin = 0
        while True:
            part = ids[begin : begin + content]
            expected.append([tokenizer.cls_token_id, *part, tokenizer.sep_token_id])
            rows.append(row)
            if begin + content >= len(ids):
                break
            begin += step
    encoded = Classifier.load(family_folder, window=Window(size, stride)).encode(texts)
    assert _ids(encoded) == expected
    assert encoded.rows is not None and encoded.rows.tolist() == rows
    assert encoded.lengths.tolist() == [len(ids) for ids in expected]
    assert encoded.n_truncated == 0


def test_windows_of_ids_are_slices_by_hand(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "model")
    (folder / "tokenizer.json").unlink()
    classifier = Classifier.load(folder, tokens="ids", window=Window(4, 3))
    encoded = classifier.encode(["5 6 7 8 9 10 11", "12 13", "1 2 3 4 5 6 7 8"])
    assert _ids(encoded) == [
        *([5, 6, 7, 8], [8, 9, 10, 11]),
        [12, 13],
        *([1, 2, 3, 4], [4, 5, 6, 7], [7, 8]),
    ]
    assert encoded.rows is not None and encoded.rows.tolist() == [0, 0, 1, 2, 2, 2]
    assert encoded.n_truncated == 0


def test_texts_after_windows_are_encoded_as_before(tiny_folder: Path) -> None:
    """Cutting sets the tokenizer to truncate; that must not stick."""
    texts = _texts(40)
    plain = Classifier.load(tiny_folder)
    before = _ids(plain.encode(texts))
    Classifier.load(tiny_folder, window=Window(10)).encode(texts)
    assert _ids(plain.encode(texts)) == before and len(before[0]) == 42


@pytest.mark.parametrize(
    ("window", "words"),
    [
        (Window(65), ["window of 65", "3 to 64"]),
        (Window(2), ["window of 2", "3 to 64"]),
        (Window(10, 9), ["stride of 9", "1 to 8"]),
        (Window(10, 0), ["stride of 0", "1 to 8"]),
    ],
)
def test_windows_that_make_no_sense_are_refused(
    tiny_folder: Path, window: Window, words: list[str]
) -> None:
    with pytest.raises(UsageError) as caught:
        Classifier.load(tiny_folder, window=window)
    assert all(word in str(caught.value) for word in words), caught.value


def test_windows_of_pairs_are_refused(tiny_folder: Path) -> None:
    with pytest.raises(DataError, match="pairs"):
        Classifier.load(tiny_folder, window=Window(10)).encode([("word1", "word2")])
