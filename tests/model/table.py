"""Writes ``docs/families.md`` from what the contract tests measure, and ``docs/inspect.md``.

Run as ``python -m model.table`` in the folder ``tests``.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from synapse_audit.model import FAMILIES, HEAD_INPUT, INNER, POSITIONS
from synapse_audit.plan import HEAD, STREAM, SUFFIX

from . import inspected
from .families import TOLERANCE, Bench, bench, gaps_on_the_left, gaps_on_the_right, own_logits
from .kinds import KINDS

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "families.md"

INTRODUCTION = """# Model families

Made by `python -m model.table` (in `tests`) from what `tests/model/test_families.py`
measures on a tiny random model of each family; a test fails when this page is out of date.

- **logits**: those of transformers, bit for bit.
- **sites**: where neurons can be read and rewritten besides the output of every block.
- **routes**: *stream* runs the pooled row alone, *suffix* resumes above the first layer touched;
  each agrees with plain hooks within 1e-4 wherever it is used. A dash means plain hooks for those
  cells: slower, never wrong. *head* and *full* are there for every family.
- **padding**: the sides on which a batch may be padded.

A family is found by `model_type` in `config.json`; the parts of anything else are looked for in its
modules and in one traced batch, and refused where that fails. `--blocks`, `--position` and `--head`
name what is not found, or found wrongly. [What `inspect` says of each family](inspect.md). Adding a
family is one record in `synapse_audit/model/families`.

"""

HEADER = (
    "model type",
    "family",
    "head reads",
    "logits",
    "attention_head",
    "attention_output",
    "mlp_output",
    "mlp_activation",
    "head_input",
    "head",
    "stream",
    "suffix",
    "padding",
)


def document() -> str:
    """The whole page."""
    rows = [HEADER, tuple("---" for _ in HEADER), *(_row(name) for name in KINDS)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    reads = "\n".join(f"- *{name}*: {words}." for name, words in POSITIONS.items())
    notes = "\n".join(f"- {f.name}: {f.note}." for f in FAMILIES if f.note)
    return f"{INTRODUCTION}{table}\n\n## What the head reads\n\n{reads}\n\n## Notes\n\n{notes}\n"


def _row(name: str) -> tuple[str, ...]:
    b = bench(name)
    c, gaps = b.classifier, gaps_on_the_right(name)
    sites = [_mark(site in c.sites) for site in (*INNER, HEAD_INPUT)]
    routes = {route for route, _ in gaps if max(gaps.values()) <= TOLERANCE}
    return (
        name,
        c.architecture,
        c.position,
        _mark(_faithful(b)),
        *sites,
        _mark(HEAD in routes),
        _stream(b) if STREAM in routes else "–",
        _suffix(b) if SUFFIX in routes else "–",
        _padding(name),
    )


def _mark(holds: bool) -> str:
    return "yes" if holds else "–"


def _faithful(b: Bench) -> bool:
    expected = own_logits(b.classifier.model, b.batch)
    return torch.equal(b.classifier.logits(b.batch), expected)


def _stream(b: Bench) -> str:
    return "every layer" if b.classifier.causal else "last two layers"


def _suffix(b: Bench) -> str:
    above = b.classifier.resumable
    if not above:
        return "every layer"
    return "decoder" if "encoder" in " ".join(b.classifier.notes) else "last stage"


def _padding(name: str) -> str:
    sides = list(_sides(name))
    return " and ".join(sides) or "none"


def _sides(name: str) -> Iterator[str]:
    if "attention_mask" in bench(name).batch:
        yield "right"
    if KINDS[name].left and max(gaps_on_the_left(name).values()) <= TOLERANCE:
        yield "left"


def main() -> None:
    """Writes both pages."""
    DOCUMENT.write_text(document(), encoding="utf-8")
    with TemporaryDirectory() as folder:
        page = inspected.document(Path(folder))
    inspected.DOCUMENT.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
