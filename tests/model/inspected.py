"""Writes ``docs/inspect.md``: what ``synapse-audit inspect`` says of a tiny model of each family.

The models are saved and loaded as a user would; ``python -m model.table`` in the folder
``tests`` writes this page too.
"""

import re
from pathlib import Path

from synapse_audit.cli.inspect import facts
from synapse_audit.model import Classifier

from .kinds import KINDS
from .saved import save_model, tokens

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "inspect.md"

INTRODUCTION = """# What `inspect` says of each family

Made by `python -m model.table` (in `tests`): `synapse-audit inspect` on a tiny random model of
each family of [families.md](families.md), saved and loaded as a user would, with 3 blocks (T5 and
BART: 2 and 2; Swin: 1 and 2). A test fails when this page is out of date. Not shown are the lines
that depend on the checkpoint and not on its family: how it was loaded, what it reads, how many
parameters and neurons it has, its classes, its hash; and what is the same for all:

"""

READING = """
Model types that differ in nothing share a row. *Parts*, as `inspect` calls them, are dotted paths
in the loaded model; here all are *recorded*: `synapse_audit/model/families` names them, and
tests hold them against transformers. For a model type without a record, `inspect` says of each part
how it was found and how sure that is: *tested* by runs of the model, or *likely* by its shape.
`--blocks`, `--position` and `--head` (the path of the last linear layer) name a part instead, on
`inspect` and on `run`; it is then *given*, a record is set aside, and what does not give the
model's own logits, or a position that does not move them, is refused in one line.

"""

HEADER = ("model type", "blocks", "layer 0", "last layer", "pooled position", "causal", "routes")
SHARED = ("sites", "operators")


def document(folder: Path) -> str:
    """The whole page; models are saved below a folder."""
    said = {name: _said(name, folder / str(place)) for place, name in enumerate(KINDS)}
    same = [_same(said, name) for name in SHARED]
    rows: dict[tuple[str, ...], list[str]] = {}
    for name, lines in said.items():
        rows.setdefault(_row(lines), []).append(name)
    lines = [HEADER, tuple("---" for _ in HEADER)]
    lines += [("; ".join(names), *row) for row, names in rows.items()]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = [f"- {'; '.join(names)}: {note}." for note, names in _notes(said).items()]
    return (
        f"{INTRODUCTION}{''.join(same)}{READING}{table}\n\n## Notes that it prints\n\n"
        + "\n".join(notes)
        + "\n"
    )


def _said(name: str, folder: Path) -> dict[str, str]:
    save_model(name, folder)
    found = facts(Classifier.load(folder, tokens=tokens(name)))
    mine = [note for note in found["notes"].split("\n") if not note.startswith("reads token ids")]
    return found | {"notes": "\n".join(mine)}


def _row(lines: dict[str, str]) -> tuple[str, ...]:
    parts = dict(part.split(" = ") for part in lines["parts"].split("\n"))
    assert all(part.endswith(" (recorded)") for part in parts.values())
    paths = [_code(parts[p][:-11]) for p in ("blocks", "embeddings", "output_layer")]
    return (*paths, lines["pooled position"], lines["causal"], lines["routes"])


def _code(where: str) -> str:
    return re.sub(r"\w+(\.\w+)+|^\w+$", r"`\g<0>`", where)


def _same(said: dict[str, dict[str, str]], name: str) -> str:
    """A line that nearly all families share, but for the number of layers, and who lacks what."""
    found: dict[str, list[str]] = {}
    for family, lines in said.items():
        found.setdefault(lines[name].replace("layers 0 to 4", "layers 0 to 3"), []).append(family)
    line, *others = sorted(found, key=lambda text: -len(found[text]))
    lacking = "".join(
        f" ({', '.join(found[other])}: not there: {other.partition('; not there: ')[2]})"
        for other in others
    )
    return f"- {name}: {line.replace('layers 0 to 3', 'layers 0 to the last')}{lacking}.\n"


def _notes(said: dict[str, dict[str, str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, lines in said.items():
        for note in lines["notes"].split("\n"):
            if note not in ("", "none"):
                found.setdefault(note, []).append(name)
    return found
