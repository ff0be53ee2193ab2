"""Families and tokenizers that agree on less than usual.

The oracle is transformers, text by text.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny import CLASSES, FILLERS, ROBERTA_TOKENS, tiny_vocabulary, word_tokenizer
from torch import Tensor

from synapse_audit.errors import DataError, ModelError
from synapse_audit.model import Classifier

from .kinds import SPEECH

WORDS = tiny_vocabulary()
TEXTS = ["word1 calm2", "word3 rage1 rage4 word7 word9", "woe2"]
NAMES = {"id2label": dict(enumerate(CLASSES)), "label2id": {n: i for i, n in enumerate(CLASSES)}}
SIZE: dict[str, Any] = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 24,
    "initializer_range": 0.3,
}


def saved(folder: Path, model: Any, tokenizer: Any, **config: Any) -> Path:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return folder


def built(kind: str, config: str, **options: Any) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = getattr(transformers, config)(vocab_size=len(WORDS) + 4, **NAMES, **options)
        return getattr(transformers, kind)(made).eval()


def one_by_one(model: Any, tokenizer: Any, texts: list[Any], drop: tuple[str, ...] = ()) -> Tensor:
    rows = []
    for text in texts:
        given = (text, None) if isinstance(text, str) else text
        batch = tokenizer(*given, return_tensors="pt")
        with torch.no_grad():
            rows.append(model(**{n: x for n, x in batch.items() if n not in drop}).logits)
    return torch.cat(rows)


def check(classifier: Classifier, wanted: Tensor, texts: list[Any]) -> None:
    encoded = classifier.encode(texts)
    found = classifier.logits(classifier.collate(encoded, range(len(texts))))
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "kind", ["Data2VecText", "RobertaPreLayerNorm", "XLMRobertaXL", "Roberta", "Esm"]
)
def test_positions_counted_from_the_padding_token_are_read_off_the_embeddings(
    tmp_path: Path, kind: str
) -> None:
    tokens = {"type_vocab_size": 1, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}
    extra = {"position_embedding_type": "absolute"} if kind == "Esm" else {}
    model = built(
        f"{kind}ForSequenceClassification",
        f"{kind}Config",
        max_position_embeddings=22,
        **SIZE | tokens | extra,
    )
    tokenizer = word_tokenizer(WORDS, ROBERTA_TOKENS)
    tokenizer.model_max_length = int(1e30)
    classifier = Classifier.load(saved(tmp_path, model, tokenizer))
    # 22 rows, of which 0 and 1 are never used: 20 tokens, two of them special.
    texts = [" ".join(["calm1", *FILLERS[:40]]), TEXTS[0]]
    cut = [" ".join(["calm1", *FILLERS[:17]]), TEXTS[0]]
    encoded = classifier.encode(texts)
    assert encoded.lengths.tolist() == [20, 4]
    assert encoded.n_truncated == 1
    check(classifier, one_by_one(model, tokenizer, cut), texts)


def test_no_limit_is_no_limit(tmp_path: Path) -> None:
    model = built("BertForSequenceClassification", "BertConfig", **SIZE)
    folder = saved(tmp_path, model, word_tokenizer(WORDS), max_position_embeddings=512)
    file = folder / "tokenizer_config.json"
    for named in (-1, 0, None):
        file.write_text(json.dumps(json.loads(file.read_text()) | {"model_max_length": named}))
        assert Classifier.load(folder).reads == "texts, 512 tokens at most"


def _gpt2() -> Any:
    return built(
        "GPT2ForSequenceClassification",
        "GPT2Config",
        n_embd=16,
        n_layer=2,
        n_head=2,
        n_positions=40,
        initializer_range=0.3,
        pad_token_id=0,
    )


@pytest.mark.parametrize("named", [-1, 10**6, None])
def test_a_padding_token_outside_the_vocabulary_is_none(tmp_path: Path, named: int | None) -> None:
    model, tokenizer = _gpt2(), word_tokenizer(WORDS)
    wanted = one_by_one(model, tokenizer, TEXTS, drop=("token_type_ids",))
    classifier = Classifier.load(saved(tmp_path, model, tokenizer, pad_token_id=named))
    check(classifier, wanted, TEXTS)
    assert [note for note in classifier.notes if "padding token taken from its tokenizer" in note]


def test_no_padding_token_at_all_is_refused(tmp_path: Path) -> None:
    tokenizer = word_tokenizer(WORDS)
    folder = saved(tmp_path, _gpt2(), tokenizer, pad_token_id=-1)
    file = folder / "tokenizer_config.json"
    held = json.loads(file.read_text())
    held.pop("pad_token")
    file.write_text(json.dumps(held))
    with pytest.raises(ModelError, match="pad_token_id is -1 in its configuration"):
        Classifier.load(folder)


@pytest.mark.parametrize("pairs", [False, True])
def test_token_types_that_the_model_lacks_are_not_sent(tmp_path: Path, pairs: bool) -> None:
    model = built(
        "RobertaForSequenceClassification",
        "RobertaConfig",
        max_position_embeddings=40,
        type_vocab_size=1,
        pad_token_id=1,
        **SIZE,
    )
    tokenizer = word_tokenizer(WORDS, ROBERTA_TOKENS)
    tokenizer.model_input_names = ["input_ids", "token_type_ids", "attention_mask"]
    template = tokenizer.backend_tokenizer.post_processor
    assert template is not None
    texts: list[Any] = [(text, "word5 woe1") for text in TEXTS] if pairs else TEXTS
    wanted = one_by_one(model, tokenizer, texts, drop=("token_type_ids",))
    classifier = Classifier.load(saved(tmp_path, model, tokenizer))
    check(classifier, wanted, texts)
    assert "token_type_ids are not sent: the model has 1 token type" in classifier.notes


def _bart() -> Any:
    return built(
        "BartForSequenceClassification",
        "BartConfig",
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=40,
        pad_token_id=1,
        bos_token_id=0,
        eos_token_id=2,
        decoder_start_token_id=2,
        forced_eos_token_id=None,
    )


def test_an_end_token_inside_a_text_is_named_with_its_text(tmp_path: Path) -> None:
    model, tokenizer = _bart(), word_tokenizer(WORDS, ROBERTA_TOKENS)
    classifier = Classifier.load(saved(tmp_path, model, tokenizer))
    check(classifier, one_by_one(model, tokenizer, TEXTS, drop=("token_type_ids",)), TEXTS)
    with pytest.raises(DataError, match="becomes 2 end-of-sequence tokens") as caught:
        classifier.encode([*TEXTS, "word1 </s> word2"])
    assert "text 'word1 </s> word2'" in str(caught.value)
    # Pairs end twice or more, all of them.
    pairs = [(text, "word5") for text in TEXTS]
    assert len(classifier.encode(pairs)) == 3


def test_bytes_need_no_vocabulary(tmp_path: Path) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = transformers.T5Config(
            vocab_size=384,
            d_model=16,
            d_kv=8,
            d_ff=24,
            num_layers=2,
            num_heads=2,
            decoder_start_token_id=0,
            **NAMES,
        )
        model = transformers.T5ForSequenceClassification(config).eval()
    tokenizer = transformers.ByT5Tokenizer()
    folder = saved(tmp_path, model, tokenizer)
    assert not any((folder / name).exists() for name in ("tokenizer.json", "vocab.txt"))
    check(Classifier.load(folder), one_by_one(model, tokenizer, TEXTS), TEXTS)


SOUND = {**SPEECH, "num_hidden_layers": 2, "num_labels": len(CLASSES), **NAMES}


def _sound(kind: str, folder: Path, **options: Any) -> Path:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        config = getattr(transformers, f"{kind}Config")(**SOUND | options)
        model = getattr(transformers, f"{kind}ForSequenceClassification")(config)
    extractor = transformers.Wav2Vec2FeatureExtractor(return_attention_mask=False)
    return saved(folder, model, extractor)


def test_what_hears_is_no_model_of_texts_whatever_it_is_called(tmp_path: Path) -> None:
    # Every token is compared with every other: of a second of sound there are few here.
    wide = {"conv_stride": (40, 20), "conv_kernel": (40, 20)}
    folder = _sound("WavLM", tmp_path, num_buckets=8, max_bucket_distance=16, **wide)
    classifier = Classifier.load(folder)
    assert classifier.modality == "audio"
    assert classifier.n_layers == 2


def test_a_head_that_reads_every_layer_says_so(tmp_path: Path) -> None:
    folder = _sound("Wav2Vec2", tmp_path, use_weighted_layer_sum=True)
    with pytest.raises(ModelError, match="use_weighted_layer_sum is True"):
        Classifier.load(folder)


def test_blocks_that_change_the_number_of_tokens_are_one_line(tmp_path: Path) -> None:
    model = built(
        "FunnelForSequenceClassification",
        "FunnelConfig",
        d_model=16,
        n_head=2,
        d_head=8,
        d_inner=24,
        block_sizes=[1, 1, 1],
    )
    with pytest.raises(ModelError, match="'funnel' given, which no record describes") as caught:
        Classifier.load(saved(tmp_path, model, word_tokenizer(WORDS)))
    assert "\n" not in str(caught.value)
