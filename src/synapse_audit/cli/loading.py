"""Options that say how a model is loaded, the same on every command that loads one."""

from __future__ import annotations

from typing import Annotated

import typer

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
NoMerge = Annotated[
    bool, typer.Option("--no-merge", help="Keep an adapter beside the base model's weights.")
]
