"""``FILE.py:NAME``: a module of one's own, on a table, from the command line to the report."""

import hashlib
import json
import runpy
import shutil
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from only_findings import only_findings

from cli.calling import Called, CommandLine

NET = """
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Size:
    width: "int" = 16


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        width = Size().width
        self.lift = nn.Linear(1, width)
        layer = lambda: nn.TransformerEncoderLayer(width, 2, 32, batch_first=True, dropout=0.0)
        self.blocks = nn.ModuleList(layer() for _ in range(2))
        self.head = nn.Linear(width, 2)

    def forward(self, values):
        states = self.lift(values[..., None])
        for block in self.blocks:
            states = block(states)
        return self.head(states[:, 0])
"""

MODEL = """
import torch
import synapse_audit as sa
from net import Net

torch.manual_seed(0)
net = Net().eval()
CLASSES = ["low", "high"]


def classifier():
    return sa.Classifier.wrap(net, classes=CLASSES, inputs=sa.table_inputs(4))
"""

OTHERS = """

def wrong():
    return 1

def greedy(path, n=3):
    pass

def broken():
    1 / 0

def leaves():
    raise SystemExit(3)
"""


class Own(NamedTuple):
    """A model's file, and a table whose labels are what its module says."""

    file: Path
    data: Path
    logits: np.ndarray
    """Of the module itself on the numbers of the table."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Own:
    """Made once; the module is run as a script here, not as the command line runs it."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "net.py").write_text(NET)
    (folder / "model.py").write_text(MODEL)
    with pytest.MonkeyPatch.context() as patch, torch.random.fork_rng(devices=[]):
        patch.syspath_prepend(folder)
        net = runpy.run_path(str(folder / "model.py"))["net"]
    del sys.modules["net"]
    numbers = np.random.default_rng(0).standard_normal((600, 4)).astype(np.float32)
    with torch.no_grad():
        logits = net(torch.from_numpy(numbers)).numpy()
    kept = np.sort(np.concatenate([np.flatnonzero(logits.argmax(1) == c)[:40] for c in (0, 1)]))
    assert len(kept) == 80
    table = pd.DataFrame(numbers[kept].astype(float), columns=["d", "c", "b", "a"])
    table.insert(1, "note", [f"patient {i}" for i in range(80)])
    table["label"] = np.array(["low", "high"])[logits[kept].argmax(1)]
    table.to_csv(folder / "rows.csv", index=False)
    return Own(folder / "model.py", folder / "rows.csv", logits[kept])


@pytest.fixture
def own(made: Own, tmp_path: Path) -> Own:
    """A copy to change at will."""
    folder = shutil.copytree(made.file.parent, tmp_path / "own", ignore=lambda *_: ["__pycache__"])
    return Own(folder / "model.py", folder / "rows.csv", made.logits)


def _refused(called: Called, *words: str) -> None:
    assert called.code == 2, called.stderr
    assert called.stderr.splitlines() == called.errors and len(called.errors) == 1
    assert [word for word in words if word not in called.errors[0]] == [], called.errors[0]


def test_inspect_prints_the_parts_that_were_found(cli: CommandLine, own: Own) -> None:
    called = cli("inspect", f"{own.file}:classifier")
    assert called.code == 0, called.stderr
    facts = {line[:17].strip(): line[17:] for line in called.stdout.splitlines()}
    assert facts["model"] == f"{own.file}:classifier"
    assert facts["family"] == "Net (discovered)"
    assert facts["inputs"] == "rows of 4 numbers"
    assert facts["layers"].startswith("2 blocks") and facts["hidden size"] == "16"
    assert facts["label map"] == "0 = low, 1 = high"
    assert "blocks = blocks" in called.stdout and "output_layer = head" in called.stdout
    digests = [hashlib.sha256(text.encode()).hexdigest() for text in (MODEL, NET)]
    assert facts["loaded"] == f"file_sha256 {digests[0]}, imported net.py {digests[1]}"


def test_an_audit_of_a_table_and_what_may_not_change(
    cli: CommandLine, own: Own, tiny_grid: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(own.file.parents[1])
    run, path = Path("runs/model-classifier-quick"), [*sys.path]
    command = ("run", "own/model.py:classifier", "--data", own.data, "--config", tiny_grid)
    with only_findings():
        called = cli(*command, "--columns", "*")
    assert (called.code, called.errors) == (0, []), called.stderr
    assert called.stdout == f"{run / 'report.html'}\n" and (run / "report.html").is_file()
    assert sys.path == path
    predictions = pd.read_parquet(run / "predictions.parquet")
    np.testing.assert_allclose(predictions[["logit_0", "logit_1"]], own.logits, atol=1e-5)
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["data"]["columns"] == ["d", "c", "b", "a"]
    assert manifest["model"]["name"] == "own/model.py:classifier"
    assert manifest["model"]["file_sha256"] == hashlib.sha256(MODEL.encode()).hexdigest()

    _refused(cli(*command, "--columns", "a,b,c,d"), "another run (different", "columns: ")
    for file, text in ((own.file, MODEL), (own.file.with_name("net.py"), NET)):
        file.write_text(f"{text}\n# another\n")
        _refused(cli(*command, "--columns", "*"), "another run (different", "code")
        file.write_text(text)
    assert cli(*command, "--columns", "*", "--dry-run").errors == []


@pytest.mark.proof
def test_workers_of_ray_get_the_module_without_its_file(
    cli: CommandLine, own: Own, tiny_grid: Path, tmp_path: Path
) -> None:
    pytest.importorskip("ray")
    data = ("--data", own.data, "--columns", "*", "--config", tiny_grid)
    for engine in ("local", "ray"):
        out = tmp_path / engine
        called = cli("run", f"{own.file}:classifier", *data, "--out", out, "--engine", engine)
        assert called.code == 0, called.stderr
    local, ray = (pd.read_parquet(tmp_path / name / "effects.parquet") for name in ("local", "ray"))
    pd.testing.assert_frame_equal(local, ray)


def test_the_file_is_seen_anew_each_time(cli: CommandLine, own: Own) -> None:
    """Also what it imports, and a file of the same name elsewhere."""
    other = own.file.parents[1] / "other"
    other.mkdir()
    (other / "net.py").write_text(NET.replace("16", "8"))
    (other / "model.py").write_text(MODEL)
    sizes = []
    for file in (own.file, other / "model.py", own.file):
        said = cli("inspect", f"{file}:classifier").stdout
        sizes.append(said.partition("hidden size")[2].split()[0])
    own.file.with_name("net.py").write_text(NET.replace("16", "12"))
    sizes.append(
        cli("inspect", f"{own.file}:classifier").stdout.partition("hidden size")[2].split()[0]
    )
    assert sizes == ["16", "8", "16", "12"]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "clasifier",
            ["has no such name", "did you mean 'classifier'? choices: classifier, wrong"],
        ),
        ("net", ["is or returns Net, a torch.nn.Module", "Classifier.wrap"]),
        ("Net", ["the class Net"]),
        ("CLASSES", ["is or returns list"]),
        ("wrong", ["is or returns int"]),
        ("greedy", ["a function of (path, n=3)", "without arguments"]),
        ("broken", ["broken() raises ZeroDivisionError in line {1 / 0}: division by zero"]),
        ("leaves", ["leaves() raises SystemExit in line {raise SystemExit}: 3"]),
        ("", ["names nothing in the file", "model.py:NAME"]),
    ],
)
def test_names_that_make_no_classifier(
    cli: CommandLine, own: Own, name: str, words: list[str]
) -> None:
    text = MODEL + OTHERS
    own.file.write_text(text)
    for code in ("1 / 0", "raise SystemExit"):
        line = str(text[: text.index(code)].count("\n") + 1)
        words = [word.replace(f"{{{code}}}", line) for word in words]
    _refused(cli("inspect", f"{own.file}:{name}"), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("import torch\nimport nowhere\n", ["ModuleNotFoundError in line 2: No module named"]),
        ("raise ValueError('two\\nlines')\n", ["ValueError in line 1: two;"]),
        ("def f(:\n", ["raises SyntaxError: ", "line 1"]),
        ("import sys\nsys.exit()\n", ["raises SystemExit in line 2"]),
        ("import net\n", ["raises KeyError in line 1: 'inside'"]),
        ("", ["has no such name", "it holds none"]),
    ],
)
def test_a_file_that_does_not_run(
    cli: CommandLine, tmp_path: Path, text: str, words: list[str]
) -> None:
    path = [*sys.path]
    (tmp_path / "net.py").write_text("raise KeyError('inside')")
    (tmp_path / "m.py").write_text(text)
    _refused(cli("run", f"{tmp_path}/m.py:x", "--data", "rows.csv"), *words)
    assert sys.path == path and "net" not in sys.modules


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("nowhere/m.py:x", ["no such file 'nowhere/m.py'"]),
        ("m.py", ["names nothing", "expected m.py:NAME"]),
    ],
)
def test_a_file_that_is_not_there_or_not_named_in_full(
    cli: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("m.py").write_text("raise ValueError('was run')")
    _refused(cli("inspect", source), *words)


def test_a_folder_is_never_run_whatever_it_is_called(cli: CommandLine, tmp_path: Path) -> None:
    folder = tmp_path / "m.py:x"
    folder.mkdir()
    (tmp_path / "m.py").write_text("raise ValueError('was run')")
    _refused(cli("inspect", folder), "no config.json")


@pytest.mark.parametrize(
    "options",
    [
        ("--revision", "main"),
        ("--quantization", "8bit"),
        ("--device-map", "auto"),
        ("--base-model", "base"),
        ("--attn-implementation", "eager"),
        ("--dtype", "bfloat16"),
        ("--no-merge",),
        ("--head", "head"),
        ("--window", "8"),
    ],
)
def test_options_that_only_the_file_could_heed(
    cli: CommandLine, tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "m.py").write_text("raise ValueError('was run')")
    called = cli("run", f"{tmp_path}/m.py:x", "--data", "rows.csv", *options)
    _refused(called, f"{' '.join(options)} given with", "--device alone")


def test_a_device_that_is_not_there(cli: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "m.py").write_text("raise ValueError('was run')")
    _refused(cli("inspect", f"{tmp_path}/m.py:x", "--device", "cuda:77"), "device 'cuda:77'")


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ("a,b,c", ["row 1 of", "holds 3 numbers; expected 4"]),
        ("a,b,c,note", ["column 'note' of", "row 1 holds 'patient 0'"]),
        ("a,b,c,e", ["input column 'e' given", "choices: "]),
        ("a,,b", ["columns: 'a,,b' given"]),
        (None, ["no columns given", "--columns a,b,c", "--columns '*'"]),
    ],
)
def test_columns_that_do_not_fit(
    cli: CommandLine, own: Own, tmp_path: Path, columns: str | None, words: list[str]
) -> None:
    options = () if columns is None else ("--columns", columns)
    command = ("run", f"{own.file}:classifier", "--data", own.data, "--out", tmp_path / "run")
    _refused(cli(*command, *options), *words)


def test_columns_for_a_model_of_texts(cli: CommandLine, single: Path, tmp_path: Path) -> None:
    data = ("--data", single / "rows.csv", "--columns", "label", "--out", tmp_path / "run")
    _refused(cli("run", single / "model", *data), "columns label given", "reads texts")


def test_what_an_encoder_of_ones_own_raises_is_one_line(
    cli: CommandLine, own: Own, tmp_path: Path
) -> None:
    text = MODEL + (
        "\nfrom dataclasses import replace\n\n"
        "def encoder(inputs):\n    return {one['age'] for one in inputs}\n\n"
        "wrapped = replace(classifier(), encoder=encoder)\n"
    )
    own.file.write_text(text)
    line = text[: text.index("one['age']")].count("\n") + 1
    command = ("run", f"{own.file}:wrapped", "--data", own.data, "--out", tmp_path / "run")
    said = f"raises TypeError in line {line}: 'Signal' object is not subscriptable"
    _refused(cli(*command, "--columns", "*"), "the encoder of", said)
