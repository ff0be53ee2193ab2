"""What is tried on whatever a stranger or a slip may hand to the product, one property each.

Each is a hypothesis property that takes its fixtures from a :class:`Given`; ``test_fuzz`` runs
five hundred inputs, ``make proofs`` twenty thousand.
"""

import copy
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import assume
from hypothesis import strategies as st
from transformers.utils.logging import set_verbosity_error

from fuzz.calls import call, check_refusal, one_line_or_fine, write
from synapse_audit.config import AuditConfig, Grid, make_config
from synapse_audit.data import load_data
from synapse_audit.model import Classifier
from synapse_audit.store import AuditResult
from synapse_audit.store.checksums import sha256_of
from synapse_audit.store.reading import using

CLASSES = ("calm", "cheer", "rage", "woe")


class Given(NamedTuple):
    """What properties start from; read only."""

    model: Path
    run: Path
    scratch: Path


Property = Callable[[Given, Any], None]

# ---- values ------------------------------------------------------------------------------------

NASTY = [
    "",
    " ",
    "\0",
    "\x1b[2J",
    "=1+1",
    "'",
    '"',
    "..",
    "/",
    "\u202e",
    "nan",
    "inf",
    "-1",
    "1e999",
]
TEXTS = st.one_of(st.sampled_from([*NASTY, *CLASSES]), st.text(max_size=12))
NUMBERS = st.one_of(
    st.integers(-3, 3),
    st.sampled_from([10**6, 10**9, 2**63, -(2**63), 10**40]),
    st.floats(allow_nan=True),
)
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(TEXTS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes with a few of them changed, cut, repeated or replaced."""
    kind = draw(st.sampled_from(["flip", "cut", "drop", "repeat", "replace"]))
    if kind == "replace" or not content:
        return draw(st.binary(max_size=64))
    at = draw(st.integers(0, len(content) - 1))
    if kind == "cut":
        return content[:at]
    if kind == "drop":
        return content[:at] + content[at + draw(st.integers(1, 50)) :]
    if kind == "repeat":
        return content[:at] * 2 + content[at:]
    changed = bytearray(content)
    for place in draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
        changed[place] = draw(st.integers(0, 255))
    return bytes(changed)


@st.composite
def changed(draw: st.DrawFn, tree: Any) -> Any:
    """A JSON value with one of its nodes replaced, removed or renamed."""
    tree = copy.deepcopy(tree)
    node = tree
    while isinstance(node, dict | list) and node:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = draw(st.sampled_from(keys))
        below = node[key]
        if not isinstance(below, dict | list) or not below or draw(st.booleans()):
            if draw(st.booleans()):
                node[key] = draw(TREES)
            else:
                del node[key]
            return tree
        node = below
    return draw(TREES)


# ---- properties --------------------------------------------------------------------------------

OPTIONS = [
    *("--data", "--text-column", "--label-column", "--group-column", "--fit-data", "--preset"),
    *("--config", "--seed", "--seeds", "--device", "--dtype", "--batch-size", "--max-examples"),
    *("--time-budget", "--precision", "--engine", "--workers", "--address", "--benign"),
    *("--neurons", "--window", "--stride", "--tokens", "--columns", "--blocks", "--position"),
    *("--head", "--revision", "--quantization", "--device-map", "--base-model", "--out"),
    *("--exact", "--dry-run", "--no-merge", "--help", "--version", "--none-such", "-x", "--"),
]


def arguments(given: Given, data: st.DataObject) -> None:
    """Commands with options and values of any kind; none of them names a real model."""
    command = data.draw(st.sampled_from(["run", "report", "inspect", "", "runn", "--version"]))
    words = [command]
    if command == "run" or data.draw(st.booleans()):
        words.append(str(given.scratch / "none") if data.draw(st.booleans()) else data.draw(TEXTS))
    for option in data.draw(st.lists(st.sampled_from(OPTIONS), max_size=4)):
        words.append(option)
        if data.draw(st.booleans()):
            words.append(data.draw(st.one_of(TEXTS, NUMBERS.map(str))))
    assume(not any("\0" in word for word in words))  # no system passes one on
    assume(not (command == "run" and not [w for w in words[1:] if not w.startswith("-")]))
    here = Path.cwd()
    os.chdir(given.scratch)  # where --out may put what it likes
    try:
        check_refusal(*call(words))
    finally:
        os.chdir(here)


ROWS = "text,label\n" + "".join(f'"w{i}, x",{CLASSES[i % 4]}\n' for i in range(60))
LINES = "".join(json.dumps({"text": f"w{i}", "label": CLASSES[i % 4]}) + "\n" for i in range(60))


def data_files(given: Given, data: st.DataObject) -> None:
    """Labelled data of every format, whole and damaged."""
    suffix = data.draw(st.sampled_from([".csv", ".tsv", ".jsonl", ".parquet", ".json", ""]))
    if suffix == ".parquet":
        content = (given.run / "predictions.parquet").read_bytes()
    else:
        content = {".csv": ROWS, ".tsv": ROWS.replace(",", "\t")}.get(suffix, LINES).encode()
    path = write(given.scratch, f"rows{suffix}", data.draw(damaged(content)))
    options = data.draw(
        st.dictionaries(
            st.sampled_from(["text_column", "label_column", "group_column", "text_pair_column"]),
            st.one_of(st.sampled_from(["text", "label", "margin"]), TEXTS),
            max_size=2,
        )
    )
    with one_line_or_fine():
        load_data(str(path), classes=CLASSES, **options)


FIELDS = [*AuditConfig.model_fields, *(f"grid.{name}" for name in Grid.model_fields)]


def configurations(given: Given, data: st.DataObject) -> None:
    """TOML files: fields of the configuration with values of any kind, and any text."""
    if data.draw(st.integers(0, 4)) == 0:
        content = data.draw(
            st.one_of(st.binary(max_size=80), damaged(b"seed = 1\n[grid]\ndraws = 2"))
        )
    else:
        names = data.draw(st.lists(st.one_of(st.sampled_from(FIELDS), TEXTS), max_size=4))
        lines = [f"{_key(name)} = {_toml(data.draw(TREES))}" for name in names]
        content = "\n".join(lines).encode("utf-8", "surrogatepass")
    path = write(given.scratch, "config.toml", content)
    with one_line_or_fine():
        make_config({"model": "m", "data": "d"}, path)


def _key(name: str) -> str:
    return ".".join(json.dumps(part) for part in name.split("."))


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if value is None:
        return '"none"'
    return str(value) if isinstance(value, float) else json.dumps(value)


SETTINGS = [
    *("num_labels", "id2label", "problem_type", "architectures", "model_type", "auto_map"),
    *(
        "transformers_weights",
        "quantization_config",
        "dtype",
        "torch_dtype",
        "_attn_implementation",
    ),
    *("attn_implementation", "pad_token_id", "return_dict", "text_config", "tie_word_embeddings"),
]


def models(given: Given, data: st.DataObject) -> None:
    """Model folders whose configuration, index or tokenizer was changed."""
    set_verbosity_error()  # as the command line does
    folder = Path(tempfile.mkdtemp(dir=given.scratch))
    for file in given.model.iterdir():
        os.link(file, folder / file.name)
    name = data.draw(
        st.sampled_from(["config.json"] * 6 + ["tokenizer.json", "tokenizer_config.json", "index"])
    )
    if name == "index":
        tree = {"weight_map": {"classifier.weight": data.draw(TREES)}}
        content = json.dumps(data.draw(changed(tree))).encode()
        name = "model.safetensors.index.json"
    else:
        original = (given.model / name).read_bytes()
        tree = json.loads(original)
        for _ in range(data.draw(st.integers(1, 2))):
            if name == "config.json" and data.draw(st.integers(0, 2)) == 0:
                tree[data.draw(st.sampled_from(SETTINGS))] = data.draw(TREES)
            else:
                tree = data.draw(changed(tree))
            if not isinstance(tree, dict):
                break
        whole = data.draw(st.integers(0, 9))
        content = json.dumps(tree).encode() if whole else data.draw(damaged(original))
        (folder / name).unlink()
    (folder / name).write_bytes(content)
    try:
        with one_line_or_fine():
            Classifier.load(folder)
    finally:
        shutil.rmtree(folder)


def run_folders(given: Given, data: st.DataObject) -> None:
    """Run folders with a file that was damaged, by a disk or by somebody who kept the hashes."""
    names = sorted(json.loads((given.run / "manifest.json").read_text())["files"])
    names = [name for name in names if not name.startswith(("activations", "outcomes/"))]
    name = data.draw(st.sampled_from(["manifest.json", "summary.json", *names]))
    folder = Path(tempfile.mkdtemp(dir=given.scratch)) / "run"
    shutil.copytree(given.run, folder, copy_function=os.link)
    original = (given.run / name).read_bytes()
    if name.endswith(".json") and data.draw(st.booleans()):
        content = json.dumps(data.draw(changed(json.loads(original)))).encode()
    else:
        content = data.draw(damaged(original))
    (folder / name).unlink()
    (folder / name).write_bytes(content)
    if name != "manifest.json" and data.draw(st.integers(0, 3)):
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["files"][name] = sha256_of(folder / name)
        (folder / "manifest.json").unlink()
        (folder / "manifest.json").write_text(json.dumps(manifest))
    try:
        if name.endswith(".json") and data.draw(st.integers(0, 2)) == 0:
            check_refusal(*call(["report", str(folder)]))
        else:
            _read_all(folder)
    finally:
        shutil.rmtree(folder.parent)


RULE_FIELDS = [
    *("figure", "at_least", "at_most", "max_regression", "tests", "on_not_shown", "name", "other"),
]
FIGURES = st.one_of(
    st.sampled_from(["clean.accuracy", "baseline.flip_rate", "redundancy.plateau", "a.b", ""]),
    TREES,
)


def policies(given: Given, data: st.DataObject) -> None:
    """Policies of `check`: rules with values of any kind, whole files and damaged ones."""
    lines = []
    for _ in range(data.draw(st.integers(0, 2))):
        lines.append(data.draw(st.sampled_from(["[[rule]]", "[[rule]]", "[rule]", "[[x]]"])))
        for name in data.draw(st.lists(st.sampled_from(RULE_FIELDS), max_size=3, unique=True)):
            value = data.draw(FIGURES if name == "figure" else TREES)
            lines.append(f"{name} = {_toml(value)}")
    content = "\n".join(lines).encode("utf-8", "surrogatepass")
    if data.draw(st.integers(0, 4)) == 0:
        content = data.draw(damaged(content))
    path = write(given.scratch, "policy.toml", content)
    code, stderr = call(["check", str(given.run), "--policy", str(path)])
    check_refusal(0 if code == 1 else code, stderr)  # 1: the policy is violated


def _read_all(folder: Path) -> None:
    with one_line_or_fine(), using(folder):
        result = AuditResult.load(folder)
        for name in ("manifest", "summary", "splits", "predictions", "probes", "rankings"):
            getattr(result, name)
        for name in ("effects", "class_effects", "findings", "outcomes"):
            getattr(result, name)


FUZZED: dict[str, tuple[Property, int]] = {
    "arguments": (arguments, 120),
    "data files": (data_files, 160),
    "configurations": (configurations, 100),
    "policies": (policies, 50),
    "models": (models, 50),
    "run folders": (run_folders, 20),
}
"""Name → property, and how many inputs the default suite tries; ``make proofs`` tries 40 times."""
