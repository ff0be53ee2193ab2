"""What `inspect` says of every family, and of a model whose parts were looked for or named."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from sweep.rigs import make_rig, silence
from transformers import MobileBertConfig, MobileBertForSequenceClassification

from synapse_audit.cli.inspect import facts
from synapse_audit.config import Loading
from synapse_audit.errors import AuditError, ModelError, UsageError
from synapse_audit.model import Classifier, Encoded, InputFormat
from synapse_audit.model.user_code.python_classifier import load_own
from synapse_audit.sweep.runners import RUNNERS

from . import inspected
from .families import OLDER, bench
from .table import DOCUMENT

BLOCKS = "mobilebert.encoder.layer"


@pytest.mark.skipif(OLDER, reason="the page is about the pinned transformers")
def test_the_page_of_inspect_is_current(tmp_path: Path) -> None:
    page = inspected.document(tmp_path)
    assert inspected.DOCUMENT.read_text(encoding="utf-8") == page, "run `python -m model.table`"


def _rows(page: Path) -> dict[str, dict[str, str]]:
    lines = [line.strip("| ").split(" | ") for line in page.read_text("utf-8").splitlines()]
    lines = [line for line in lines if len(line) > 3]
    rows = {}
    for line in lines[2:]:
        for name in line[0].split("; "):
            rows[name] = dict(zip(lines[0], line, strict=True))
    return rows


def test_it_promises_the_routes_that_were_measured() -> None:
    measured, said = _rows(DOCUMENT), _rows(inspected.DOCUMENT)
    assert list(measured) == [name for name in measured if name in said]
    for name, row in measured.items():
        routes = said[name]["routes"]
        stream = row["stream"]
        assert (f", stream ({stream})" in routes) == (stream != "–"), name
        assert (", no stream: " in routes) == (stream == "–"), name
        assert ("suffix (from layer" in routes) == (row["suffix"] != "every layer"), name


@pytest.mark.parametrize(
    ("name", "neurons"),
    [
        ("bert", "16"),
        ("gpt2", "16"),
        ("opt", "16"),  # whose head reads 8
        ("wav2vec2", "16"),  # likewise
        ("dinov2", "16"),  # whose head reads 32
        ("swin", "8, 16, 16 (layers 1 to 3)"),
    ],
)
def test_neurons_are_those_of_the_blocks_and_not_what_the_head_reads(
    name: str, neurons: str
) -> None:
    b = bench(name)
    assert facts(b.classifier)["hidden size"] == neurons
    with b.engine() as engine:
        widths = {str(layer.shape[-1]) for layer in b.clean(engine).layers[1:]}
    assert widths == set(re.sub(r" \(.*", "", neurons).split(", "))


@pytest.fixture(scope="module")
def unknown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved model of a type that no record serves."""
    config = MobileBertConfig(
        vocab_size=40,
        hidden_size=16,
        true_hidden_size=16,
        num_hidden_layers=3,
        num_attention_heads=2,
        intermediate_size=24,
        embedding_size=8,
        intra_bottleneck_size=16,
        max_position_embeddings=32,
        initializer_range=0.3,
        num_labels=3,
    )
    folder = tmp_path_factory.mktemp("unknown")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        MobileBertForSequenceClassification(config).save_pretrained(folder)
    return folder


def _encoded(classifier: Classifier) -> Encoded:
    random = np.random.default_rng(0)
    rows = [random.integers(3, 40, size=n) for n in (4, 9, 6, 7, 5, 9)]
    return classifier.encode([" ".join(map(str, row)) for row in rows])


def _outcomes(classifier: Classifier) -> list[torch.Tensor]:
    """Logits, and those of some cells on two routes."""
    rig = make_rig(classifier, _encoded(classifier))
    cells = [
        silence("mean", {2: [1, 4], 3: [0, 5]}),
        silence("zero", {0: [1], 1: [2]}, "all"),
        silence("negate", {2: [1, 4]}, site="mlp_output"),
    ]
    with rig.engine() as engine:
        clean = rig.clean(engine, rig.rows)
        return [
            clean.logits,
            *(RUNNERS[route](engine, clean, cells) for route in ("suffix", "full")),
        ]


@pytest.mark.parametrize(
    "options",
    [
        {"blocks": BLOCKS, "position": "first", "output_layer": "classifier"},
        {"blocks": ", ".join(f"{BLOCKS}.{i}" for i in range(3))},
        {"position": "first"},
    ],
)
def test_what_is_named_gives_what_is_found(unknown: Path, options: dict[str, str]) -> None:
    found = Classifier.load(unknown, tokens="ids")
    named = Classifier.load(unknown, tokens="ids", **options)
    assert found.discovered is not None and named.discovered is not None
    sure = {clue.part: clue.sure for clue in named.discovered.clues}
    assert {part for part, how in sure.items() if how == "given"} == set(options)
    assert [*map(str, named.blocks)] == [*map(str, found.blocks)] and named.n_layers == 3
    for mine, theirs in zip(_outcomes(named), _outcomes(found), strict=True):
        assert torch.equal(mine, theirs)
    assert not any("set aside" in note for note in named.notes)


def test_a_record_is_set_aside_and_gives_the_same(tiny_folder: Path) -> None:
    recorded = Classifier.load(tiny_folder)
    named = Classifier.load(tiny_folder, blocks="bert.encoder.layer", output_layer="classifier")
    assert "the record of BERT is set aside: blocks, output_layer given" in named.notes
    assert named.position == recorded.position
    texts = ["word1 calm2", "rage1 word3 word4 rage2", "woe1", "cheer3 word9"]
    rigs = [make_rig(one, one.encode(texts)) for one in (recorded, named)]
    cells = [silence("mean", {1: [1, 4], 3: [0, 5]}), silence("zero", {2: [1]}, "all")]
    outcomes = []
    for rig in rigs:
        with rig.engine() as engine:
            outcomes.append(RUNNERS["full"](engine, rig.clean(engine, rig.rows), cells))
    torch.testing.assert_close(outcomes[0], outcomes[1], atol=1e-6, rtol=0)


WRONG = {
    "no such blocks": (
        {"blocks": "mobilebert.layers"},
        "blocks='mobilebert.layers' given; expected",
    ),
    "no blocks": ({"blocks": "mobilebert.embeddings"}, "run once each, in order"),
    "half of them": ({"blocks": f"{BLOCKS}.1, {BLOCKS}.0"}, "run once each, in order"),
    "below the last": (
        {"blocks": f"{BLOCKS}.0, {BLOCKS}.1", "position": "first"},
        "position does not fit: the logits move with tokens 0, 1, 2",
    ),
    "another token": (
        {"position": "last"},
        "another position=... to Classifier.wrap, or --position",
    ),
    "too many tokens": ({"position": "mean"}, "the logits move with tokens 0: not those of 'mean'"),
    "no such position": ({"position": "middle"}, "choices: first, last, eos, mean, patches, pair"),
    "no such head": ({"output_layer": "head"}, "output_layer='head' given"),
    "no linear layer": ({"output_layer": "mobilebert"}, "expected nn.Linear"),
    "another layer": (
        {"output_layer": f"{BLOCKS}.2.output.dense"},
        "is not the logits; expected output_layer=... to Classifier.wrap, or --head",
    ),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_what_does_not_fit_is_refused_in_one_line(unknown: Path, case: str) -> None:
    options, words = WRONG[case]
    with pytest.raises(AuditError) as caught:
        Classifier.load(unknown, tokens="ids", **options)
    message = str(caught.value)
    assert isinstance(caught.value, ModelError | UsageError)
    assert words in message and "\n" not in message


def test_a_file_of_ones_own_names_its_parts_itself(tmp_path: Path) -> None:
    (tmp_path / "mine.py").touch()
    with pytest.raises(UsageError, match=r"--head classifier given with .*mine\.py"):
        load_own(f"{tmp_path}/mine.py:model", Loading(output_layer="classifier"), InputFormat())


def _parts(classifier: Classifier) -> list[str]:
    return facts(classifier)["parts"].split("\n")


def test_it_says_how_sure_each_part_is(unknown: Path, tiny_folder: Path) -> None:
    found = _parts(Classifier.load(unknown, tokens="ids"))
    assert found[0].startswith(f"blocks = {BLOCKS} (likely: 3 modules")
    assert any(line.startswith("position = first (tested: ") for line in found)
    assert found[-1].endswith("--blocks, --position, --head")
    named = _parts(Classifier.load(unknown, tokens="ids", blocks=BLOCKS))
    assert named[0] == f"blocks = {BLOCKS} (given: 3 modules)"
    recorded = _parts(Classifier.load(tiny_folder))
    assert recorded == [
        "blocks = bert.encoder.layer.0 to 2 (recorded)",
        "embeddings = bert.embeddings (recorded)",
        "output_layer = classifier (recorded)",
    ]
    notes = facts(Classifier.load(unknown, tokens="ids"))["notes"]
    assert notes == "reads token ids as they are given: no special token is added"
