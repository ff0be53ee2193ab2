"""Options that say how a model is loaded, the same on every command that loads one."""

from __future__ import annotations

from typing import Annotated

import typer

MODEL = (
    "Local folder, hub id, or FILE.py:NAME: a Classifier, or a function that returns one, in a "
    "Python file of your own. Only a file named so is run, never code of a folder or hub id."
)
"""Help of the argument that names a model."""

Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub model.")]
Attention = Annotated[
    str | None, typer.Option(help="eager, sdpa, flash_attention_2. Default: the model's own.")
]
DeviceMap = Annotated[str | None, typer.Option(help="auto: accelerate chooses the device.")]
Quantization = Annotated[
    str | None, typer.Option(help="8bit or 4bit, by bitsandbytes, inside the blocks.")
]
BaseModel = Annotated[
    str | None, typer.Option(help="Base model of an adapter, if not where its config says.")
]
Blocks = Annotated[
    str | None,
    typer.Option(
        help="Path of the list of blocks in the model (bert.encoder.layer), or all paths."
    ),
]
HeadReads = Annotated[
    str | None,
    typer.Option("--position", help="What the head reads: first, last, eos, mean, patches, pair."),
]
Head = Annotated[
    str | None, typer.Option("--head", help="Path of the head's last linear layer in the model.")
]
NoMerge = Annotated[
    bool, typer.Option("--no-merge", help="Keep an adapter beside the base model's weights.")
]
