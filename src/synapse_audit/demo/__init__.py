"""The bundled classifier and its rows: where they lie.

A small BERT trained by this project (`scripts/train_bundled.py` of its repository) on real
web-attack payloads, so that an audit runs with nothing else at hand. Importing this package reads
no file and imports no torch. What the model and the rows are, and what they are not good for,
stands in the README.md of `model/` and of `data/`.
"""

from pathlib import Path

__all__ = ["bundled_data", "bundled_fit_data", "bundled_model"]

_HERE = Path(__file__).resolve().parent


def bundled_model() -> Path:
    """Folder with config.json, model.safetensors (float16) and the tokenizer's files."""
    return _HERE / "model"


def bundled_data() -> Path:
    """CSV `text,label` of the rows to audit on, drawn from the source's test file."""
    return _HERE / "data" / "evaluate.csv"


def bundled_fit_data() -> Path:
    """CSV `text,label` of rows for probes and choices, which the model was never trained on."""
    return _HERE / "data" / "fit.csv"
