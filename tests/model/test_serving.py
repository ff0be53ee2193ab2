"""Inputs as they are served: where they are cut, what stands before them, pipelines as they are."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
import transformers
from tiny import Tiny, save, tiny_classifier

from synapse_audit.config import make_config
from synapse_audit.errors import ModelError, UsageError
from synapse_audit.model import Classifier
from synapse_audit.pipeline.stages import identify, read_subject
from synapse_audit.pipeline.stages.run import Run
from synapse_audit.progress import Silent
from synapse_audit.store import RunFolder

LONG = " ".join(["calm1", *(f"word{i}" for i in range(100))])


@pytest.fixture(scope="module")
def tiny() -> Tiny:
    return tiny_classifier("bert")


@pytest.fixture
def folder(tiny: Tiny, tmp_path: Path) -> Path:
    return save(tiny, tmp_path / "model")


def truncating(folder: Path, tokens: int, direction: str = "Right") -> Path:
    """``tokenizer.json`` as it is saved after a tokenizer has cut something."""
    file = folder / "tokenizer.json"
    said = {"direction": direction, "max_length": tokens, "strategy": "LongestFirst", "stride": 0}
    file.write_text(json.dumps(json.loads(file.read_text()) | {"truncation": said}))
    return folder


def ids(classifier: Classifier, text: str) -> list[int]:
    found: list[int] = classifier.encode([text]).features[0]["input_ids"]
    return found


def test_where_nobody_says_the_model_can_read_64(folder: Path) -> None:
    classifier = Classifier.load(folder)
    assert len(ids(classifier, LONG)) == 64
    assert "max_tokens" not in classifier.origin


def test_max_tokens_are_those_asked_for(folder: Path) -> None:
    classifier = Classifier.load(truncating(folder, 40), max_tokens=16)
    whole, encoded = ids(Classifier.load(folder, max_tokens=64), LONG), classifier.encode([LONG])
    # [CLS] and 14 words, then [SEP].
    assert encoded.features[0]["input_ids"] == [*whole[:15], whole[-1]]
    assert encoded.n_truncated == 1
    assert classifier.origin["max_tokens"] == "16 tokens, as asked for"
    assert classifier.reads == "texts, 16 tokens at most"


def test_a_truncation_of_the_tokenizers_own_is_heeded(folder: Path) -> None:
    classifier = Classifier.load(truncating(folder, 20))
    assert len(ids(classifier, LONG)) == 20
    assert classifier.origin["max_tokens"] == "20 tokens, as its tokenizer.json says"
    assert "cut at 20 tokens, as its tokenizer.json says; the model could read 64" in (
        classifier.notes
    )


def test_the_side_that_is_cut_is_the_tokenizers(folder: Path) -> None:
    classifier = Classifier.load(truncating(folder, 5, direction="Left"))
    words = classifier.encode(["word97 word98 word99"]).features[0]["input_ids"]
    assert ids(classifier, LONG) == words


@pytest.mark.parametrize("asked", [2, 65])
def test_what_the_model_cannot_read_is_refused(folder: Path, asked: int) -> None:
    with pytest.raises(UsageError, match=f"max tokens {asked} given; expected 3 to 64"):
        Classifier.load(folder, max_tokens=asked)


def test_windows_are_not_cut_as_well(folder: Path) -> None:
    from synapse_audit.model import Window

    with pytest.raises(UsageError, match="expected one of the two"):
        Classifier.load(folder, max_tokens=16, window=Window(16))
    assert len(Classifier.load(truncating(folder, 16), window=Window(32)).encode([LONG])) > 1


def test_prefix_and_small_letters(folder: Path) -> None:
    plain = Classifier.load(folder)
    written = Classifier.load(folder, text_prefix="Word7 ", lower_case=True)
    assert ids(written, "CALM1 word2") == ids(plain, "word7 calm1 word2")
    pairs = [("Calm1", "WORD3")]
    assert written.encode(pairs).features[0] == plain.encode([("word7 calm1", "word3")]).features[0]
    assert {"every text begins with 'Word7 '", "texts are read in small letters"} <= {
        *written.notes
    }


def test_texts_that_were_cut_without_a_word_are_a_warning(
    folder: Path, rows: pd.DataFrame, tmp_path: Path
) -> None:
    said = []
    rows = rows.assign(text=[LONG + f" word{i}" if i < 6 else x for i, x in enumerate(rows.text)])
    rows.loc[:5, "text"] = [f"{rows.label[i]}{i} {LONG}" for i in range(6)]
    data = tmp_path / "long.csv"
    rows.to_csv(data, index=False)
    for name, asked in (("a", {}), ("b", {"max_tokens": 30})):
        options: dict[str, Any] = {"model": str(folder), "data": str(data), "preset": "quick"}
        config = make_config(options | asked)
        run = Run(RunFolder.claim(tmp_path / name), config, Silent())
        identify(run, read_subject(config))
        said.append(run.folder.manifest.get("warnings", []))
    (warning,) = said[0]
    assert warning.startswith("6 of 240 inputs (2.5%) are longer than the model can read")
    assert "--max-tokens" in warning
    assert said[1] == []


def _pipeline(tiny: Tiny, **options: Any) -> Any:
    return transformers.pipeline(
        "text-classification", model=tiny.model, tokenizer=tiny.tokenizer, **options
    )


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_pipeline_is_taken_as_it_is(tiny: Tiny, rows: pd.DataFrame, wrapped: bool) -> None:
    pipe = _pipeline(tiny, truncation=True, max_length=12)
    side, texts = pipe.tokenizer.padding_side, [*rows["text"].tolist()[:5], LONG]
    wanted = [one["label"] for one in pipe(texts)]
    classifier = (Classifier.wrap if wrapped else Classifier.load)(pipe)
    encoded = classifier.encode(texts)
    logits = classifier.logits(classifier.collate(encoded, range(6)))
    assert [classifier.classes[i] for i in logits.argmax(1).tolist()] == wanted
    assert encoded.lengths.max() == 12
    assert classifier.architecture == "BERT"
    assert classifier.model is pipe.model
    assert pipe.tokenizer.padding_side == side
    scores = torch.tensor([one["score"] for one in pipe(texts)])
    torch.testing.assert_close(logits.softmax(1).amax(1), scores, rtol=1e-4, atol=1e-5)


def test_a_pipeline_of_another_kind_is_refused(tiny: Tiny) -> None:
    with pytest.raises(ModelError, match="applies sigmoid, one decision per class"):
        Classifier.load(_pipeline(tiny, function_to_apply="sigmoid"))
    tagging = _pipeline(tiny)
    tagging.task = "token-classification"
    with pytest.raises(ModelError, match="is for token-classification"):
        Classifier.wrap(tagging)
    with pytest.raises(UsageError, match="no classes given"):
        Classifier.wrap(torch.nn.Linear(2, 2))


def test_a_copy_is_loaded_like_the_folder(folder: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert Classifier.load(other).fingerprint() == Classifier.load(str(folder)).fingerprint()
