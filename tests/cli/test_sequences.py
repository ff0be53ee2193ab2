"""Token ids and windows through the command line, from the file to the report."""

import json
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from only_findings import only_findings
from transformers import AutoTokenizer

from cli.calling import Called, CommandLine
from synapse_audit.config import make_config
from synapse_audit.pipeline.stages import Subject, read_subject


def _refused(called: Called, *words: str) -> None:
    assert called.code == 2, called.stderr
    assert called.stderr.splitlines() == called.errors and len(called.errors) == 1
    assert all(word in called.errors[0] for word in words), called.errors[0]


@pytest.fixture(scope="session")
def bare(tiny_folder: Path, tiny_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model without its tokenizer in ``model``, its rows as ids in ``rows.jsonl``."""
    folder = tmp_path_factory.mktemp("bare")
    shutil.copytree(tiny_folder, folder / "model", ignore=shutil.ignore_patterns("token*"))
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    rows = pd.read_csv(tiny_csv)
    rows["text"] = tokenizer(rows["text"].tolist())["input_ids"]
    rows.to_json(folder / "rows.jsonl", orient="records", lines=True)
    return folder


def _subject(model: Path, data: Path, **options: Any) -> Subject:
    return read_subject(
        make_config({"model": str(model), "data": str(data), "preset": "quick"} | options)
    )


def test_ids_give_what_the_texts_give(tiny_folder: Path, tiny_csv: Path, bare: Path) -> None:
    of_texts = _subject(tiny_folder, tiny_csv, max_examples=100)
    of_ids = _subject(bare / "model", bare / "rows.jsonl", max_examples=100, tokens="ids")
    assert list(of_ids.encoded.features) == list(of_texts.encoded.features)
    assert of_ids.data.labels.tolist() == of_texts.data.labels.tolist()
    assert of_ids.splits.evaluate.tolist() == of_texts.splits.evaluate.tolist()
    logits = [
        one.classifier.logits(one.classifier.collate(one.encoded, one.evaluated))
        for one in (of_texts, of_ids)
    ]
    assert logits[0].numpy().tobytes() == logits[1].numpy().tobytes()


def test_inspect_takes_a_model_without_tokenizer(cli: CommandLine, bare: Path) -> None:
    called = cli("inspect", bare / "model", "--tokens", "ids")
    assert called.code == 0 and "no special token is added" in called.stdout


@pytest.fixture(scope="session")
def long_rows(bare: Path) -> pd.DataFrame:
    """100 rows of ids, ten of them longer than the model can read."""
    rows = pd.read_json(bare / "rows.jsonl", lines=True).iloc[:100]
    longest = rows["text"].map(len).nlargest(10).index
    rows.loc[longest, "text"] = rows["text"].map(lambda ids: ids * 12)
    return rows


def test_rows_that_are_cut_are_counted(bare: Path, long_rows: pd.DataFrame, tmp_path: Path) -> None:
    long_rows.to_parquet(tmp_path / "rows.parquet")
    subject = _subject(bare / "model", tmp_path / "rows.parquet", tokens="ids")
    assert subject.encoded.n_truncated == 10 and subject.data.windows is None


def test_an_audit_of_windows(
    cli: CommandLine, bare: Path, long_rows: pd.DataFrame, tiny_grid: Path, tmp_path: Path
) -> None:
    data, run = tmp_path / "rows.parquet", tmp_path / "run"
    long_rows.to_parquet(data)
    with only_findings("redundancy"):
        called = cli(
            *("run", bare / "model", "--data", data, "--tokens", "ids", "--config", tiny_grid),
            *("--window", 16, "--stride", 8, "--out", run),
        )
    assert called.code == 0, called.stderr
    windows = [
        tuple(ids[begin : begin + 16])
        for ids in long_rows["text"].tolist()
        for begin in range(0, max(len(ids) - 16, 0) + 8, 8)
    ]
    facts = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert facts["data"]["windows"] == {
        "n_rows": 100,
        "n_windows": len(windows),
        "n_repeats": len(windows) - len(set(windows)),
    }
    assert (facts["data"]["n_used"], facts["truncated"]) == (len(set(windows)), 0)
    counted = {name: facts["data"][name] for name in ("kind", "n_rows_used", "n_examples")}
    assert counted == {"kind": "ids", "n_rows_used": 100, "n_examples": len(set(windows))}
    splits = pd.read_parquet(run / "splits.parquet")
    assert len(splits) == len(set(windows)) and splits["row"].nunique() == 100
    assert (splits.groupby("row")["split"].nunique() == 1).all()
    report = (run / "report.html").read_text(encoding="utf-8")
    assert f"100 rows became {len(windows)} windows of at most 16 tokens, one every 8" in report
    assert "All 100 sequences that were read were used." in report


def test_a_folder_without_tokenizer_asks_for_the_option(
    cli: CommandLine, bare: Path, tmp_path: Path
) -> None:
    called = cli("run", bare / "model", "--data", bare / "rows.jsonl", "--out", tmp_path / "run")
    _refused(called, "no tokenizer", "--tokens ids")


def test_an_id_outside_the_vocabulary(cli: CommandLine, bare: Path, tmp_path: Path) -> None:
    rows = pd.read_json(bare / "rows.jsonl", lines=True)
    rows.at[6, "text"] = [2, 5, 194, 3]
    rows.to_parquet(tmp_path / "rows.parquet")
    called = cli(
        *("run", bare / "model", "--data", tmp_path / "rows.parquet", "--tokens", "ids"),
        *("--out", tmp_path / "run"),
    )
    _refused(called, "row 7", "token id 194", "from 0 to 193")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--stride", 4), ["stride 4", "window"]),
        (("--window", 65), ["window of 65", "1 to 64"]),
        (("--window", 16, "--stride", 17), ["stride of 17", "1 to 16"]),
        (("--tokens", "numbers"), ["tokens", "'numbers'", "'ids'"]),
    ],
)
def test_options_that_make_no_sense(
    cli: CommandLine, bare: Path, tmp_path: Path, options: tuple[object, ...], words: list[str]
) -> None:
    called = cli(
        *("run", bare / "model", "--data", bare / "rows.jsonl", "--tokens", "ids", *options),
        *("--out", tmp_path / "run"),
    )
    _refused(called, *words)
