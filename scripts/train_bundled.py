"""The recipe of the bundled classifier: payload rows in, a checkpoint and two small files out.

Enters: a folder with `train.csv` and `test.csv` (columns `text,label`), from HttpParamsDataset.
Leaves: `data/fit.csv` (held out of training), `data/evaluate.csv` (drawn from the test file),
`model/` (float16 weights, tokenizer, metrics.json). Repeats bit for bit on one machine when the
seed and the thread count are the same.

    python scripts/train_bundled.py --data web_payloads --out rebuilt
"""

import argparse
import json
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from bundled_recipe import CLASSES, Recipe, Rows, sample_rows
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils import logging

Integers = npt.NDArray[np.int64]

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(texts: list[str], recipe: Recipe) -> PreTrainedTokenizerFast:
    """Byte-level BPE: no payload is ever [UNK], and case, blanks and escapes survive a round trip.

    Words, digits and punctuation are cut apart first: merges across them would turn a whole
    injection prefix into one token, and the class into a look-up.
    """
    inner = Tokenizer(models.BPE(unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=recipe.vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(token, inner.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        model_max_length=recipe.max_tokens,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def build_model(recipe: Recipe, vocabulary: int) -> BertForSequenceClassification:
    """A BERT of the recipe's size with fresh weights, drawn from torch's global generator."""
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=recipe.hidden,
        num_hidden_layers=recipe.layers,
        num_attention_heads=recipe.heads,
        intermediate_size=4 * recipe.hidden,
        max_position_embeddings=recipe.max_tokens,
        hidden_dropout_prob=recipe.dropout,
        attention_probs_dropout_prob=recipe.dropout,
        pad_token_id=SPECIAL_TOKENS.index("[PAD]"),
        id2label=dict(enumerate(CLASSES)),
        label2id={label: i for i, label in enumerate(CLASSES)},
    )
    return BertForSequenceClassification(config)


def epoch_batches(
    labels: Integers, lengths: Integers, recipe: Recipe, rng: np.random.Generator
) -> list[Integers]:
    """Row numbers of each batch of one epoch, in random order.

    `labels` and `lengths` (in tokens) are (examples,). Each class gives `recipe.epoch_rows` rows,
    drawn again where it has fewer. A batch holds rows of like length: little padding.
    """
    drawn = []
    for label, name in enumerate(CLASSES):
        rows = np.flatnonzero(labels == label)
        wanted = recipe.epoch_rows[name]
        drawn.append(rng.choice(rows, wanted, replace=wanted > len(rows)))
    order = rng.permutation(np.concatenate(drawn))
    batches: list[Integers] = []
    # Sorted within windows only, so that batches still mix classes of unlike length.
    window = 8 * recipe.batch_size
    for start in range(0, len(order), window):
        part = order[start : start + window]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches += np.split(part, range(recipe.batch_size, len(part), recipe.batch_size))
    return [batches[i] for i in rng.permutation(len(batches))]


def fit_model(
    model: BertForSequenceClassification,
    tokenizer: PreTrainedTokenizerBase,
    rows: pd.DataFrame,
    recipe: Recipe,
) -> None:
    """Train `model` in place with AdamW, the learning rate rising and then falling linearly."""
    rng = np.random.default_rng(recipe.seed)
    texts = rows["text"].to_numpy()
    labels = rows["label"].map(CLASSES.index).to_numpy(dtype=np.int64)
    lengths = np.array([len(ids) for ids in tokenizer(list(texts), truncation=True)["input_ids"]])
    epochs = [epoch_batches(labels, lengths, recipe, rng) for _ in range(recipe.epochs)]
    batches = [batch for epoch in epochs for batch in epoch]
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay
    )
    rising = max(1, round(recipe.warmup * len(batches)))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / rising, (len(batches) - step) / (len(batches) - rising + 1)),
    )
    model.train()
    for batch in batches:
        inputs = tokenizer(list(texts[batch]), truncation=True, padding=True, return_tensors="pt")
        loss = model(**inputs, labels=torch.from_numpy(labels[batch])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.train(False)


def build(rows: pd.DataFrame, recipe: Recipe, folder: Path) -> None:
    """Train tokenizer and model on `rows` and save both, weights as float16, into `folder`."""
    tokenizer = train_tokenizer(list(rows["text"]), recipe)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(recipe.seed)
        model = build_model(recipe, len(tokenizer))
        fit_model(model, tokenizer, rows, recipe)
    model.half().save_pretrained(folder)  # type: ignore[no-untyped-call]
    tokenizer.save_pretrained(folder)
    # transformers 5 writes a name of its class that 4 does not know; both know the older one.
    file = folder / "tokenizer_config.json"
    known = file.read_text().replace("TokenizersBackend", "PreTrainedTokenizerFast")
    file.write_text(known)


@torch.no_grad()
def predict(folder: Path, texts: list[str]) -> Integers:
    """Class number of each text, (examples,), by the saved checkpoint run in float32."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    predicted = np.empty(len(texts), dtype=np.int64)
    for start in range(0, len(order), 256):
        batch = order[start : start + 256]
        inputs = tokenizer(
            [texts[i] for i in batch], truncation=True, padding=True, return_tensors="pt"
        )
        predicted[batch] = model(**inputs).logits.argmax(-1).numpy()
    return predicted


def score(folder: Path, rows: pd.DataFrame) -> dict[str, Any]:
    """Accuracy, macro-F1, per-class F1 and confusion (rows true, columns predicted) on `rows`."""
    predicted = np.array(CLASSES)[predict(folder, list(rows["text"]))]
    labels = list(CLASSES)
    f1 = f1_score(rows["label"], predicted, labels=labels, average=None, zero_division=0.0)
    return {
        "n": len(rows),
        "accuracy": float(accuracy_score(rows["label"], predicted)),
        "macro_f1": float(f1.mean()),
        "f1": dict(zip(CLASSES, map(float, f1), strict=True)),
        "confusion": confusion_matrix(rows["label"], predicted, labels=labels).tolist(),
    }


def describe(folder: Path, rows: Rows, recipe: Recipe, seconds: float) -> dict[str, Any]:
    """What metrics.json says: the recipe, what it ran on, and the scores of the saved model."""
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokens = [len(t) for t in tokenizer(list(rows.evaluate["text"]), truncation=True)["input_ids"]]
    return {
        "recipe": asdict(recipe),
        "seed": recipe.seed,
        "torch_threads": torch.get_num_threads(),
        "training_seconds": round(seconds, 1),
        "n_parameters": model.num_parameters(),
        "n_train": len(rows.train),
        "train_counts": {c: int((rows.train["label"] == c).sum()) for c in CLASSES},
        "mean_tokens": round(float(np.mean(tokens)), 2),
        "classes": list(CLASSES),
        "fit": score(folder, rows.fit),
        "evaluate": score(folder, rows.evaluate),
        "test": score(folder, rows.test),
        "versions": {name: version(name) for name in ("torch", "transformers", "tokenizers")},
    }


def main() -> None:
    """Rebuild the bundled data and model under `--out`, and print the scores."""
    parser = argparse.ArgumentParser(description="Train the bundled classifier from its rows.")
    parser.add_argument("--data", type=Path, required=True, help="folder with train.csv, test.csv")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    recipe = Recipe(seed=arguments.seed)
    rows = sample_rows(arguments.data, recipe)
    (arguments.out / "data").mkdir(parents=True, exist_ok=True)
    for name in ("fit", "evaluate"):
        getattr(rows, name).to_csv(arguments.out / "data" / f"{name}.csv", index=False)
    start = time.perf_counter()
    build(rows.train, recipe, arguments.out / "model")
    seconds = time.perf_counter() - start
    metrics = describe(arguments.out / "model", rows, recipe, seconds)
    (arguments.out / "model" / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
    for name in ("fit", "evaluate", "test"):
        print(f"{name}: macro-F1 {metrics[name]['macro_f1']:.4f}, n {metrics[name]['n']}")


if __name__ == "__main__":
    main()
