"""A classifier that the user's own Python file makes: ``path/to/file.py:name``.

In: the file, and the name in it of a :class:`Classifier` or of a function without arguments that
returns one. Out: that classifier, with the hashes of the code among its origin. The file is run, as
Python would import it, and only because it was named so: nothing of a folder or a hub id ever is.

A function that trains must come to the same weights every time, or a run cannot be resumed.
"""

from __future__ import annotations

import inspect
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from synapse_audit.config import Loading
from synapse_audit.errors import AuditError, DataError, ModelError, UsageError, choices, first_line
from synapse_audit.model.classifier import Classifier
from synapse_audit.model.inputs.encoded import Encoded, Encoder
from synapse_audit.model.inputs.input_format import InputFormat
from synapse_audit.model.loading.options import check_loading
from synapse_audit.model.placement import device_of
from synapse_audit.model.user_code.python_file import Ran, beside, brought, imported, run_file

EXPECTED = "a Classifier (Classifier.wrap), or a function without arguments that returns one"

FLAGS = {"merge_adapter": "no-merge", "output_layer": "head"}
"""Fields of :class:`Loading` whose options have other names."""

_ADDRESS = re.compile(r"(?P<file>.+\.py):(?P<name>[^:/\\]*)", re.DOTALL)


class Address(NamedTuple):
    """What the user wrote."""

    source: str
    file: Path
    name: str


def is_own(source: str) -> bool:
    """Whether a model is named as ``file.py:name``, or as a file of Python without a name."""
    path = Path(source)
    if path.is_dir():
        return False
    return _ADDRESS.fullmatch(source) is not None or (path.suffix == ".py" and path.is_file())


def open_classifier(source: str, loading: Loading, reads: InputFormat | None = None) -> Classifier:
    """A classifier by any name the command line takes: folder, hub id, or ``file.py:name``.

    Raises:
        ModelError, UsageError: as :meth:`Classifier.load` and :func:`load_own` do.
    """
    reads = reads or InputFormat()
    if is_own(source):
        return load_own(source, loading, reads)
    return Classifier.load(source, loading, **reads._asdict())


def load_own(source: str, loading: Loading, reads: InputFormat) -> Classifier:
    """Runs the file and takes the classifier, on the device asked for, its weights held still.

    Raises:
        ModelError: no such file or name, something else than a classifier, or the file or function
            raises; the message is one line that says where.
        UsageError: options that only whoever makes the model can heed.
    """
    _check_options(source, loading, reads)
    check_loading(loading)
    address = _address(source)
    with beside(address.file.parent) as note:
        ran = _run(address)
        note(ran.module)
        found = _made(address, _named(address, ran.module))
        note(ran.module)  # the function may have imported more
    found.model.requires_grad_(False)
    origin = {**found.origin, "file_sha256": ran.sha256}
    others = imported(ran.module, address.file.parent)
    if others:
        origin["imported"] = ", ".join(f"{name} {sha256}" for name, sha256 in others.items())
    encoder = _reported(address, found.encoder)
    return _moved(replace(found, name=source, encoder=encoder, origin=origin), loading.device)


def _check_options(source: str, loading: Loading, reads: InputFormat) -> None:
    usual = Loading()
    for field in fields(loading):
        value = getattr(loading, field.name)
        if field.name != "device" and value != getattr(usual, field.name):
            flag = FLAGS.get(field.name, field.name.replace("_", "-"))
            raise _meant_for_the_file(source, f"--{flag}" + f" {value}" * (flag != "no-merge"))
    if reads.window is not None:
        raise _meant_for_the_file(source, f"--window {reads.window.size}")
    for name in ("max_tokens", "text_prefix", "lower_case"):
        if value := getattr(reads, name):
            flag = name.replace("_", "-")
            raise _meant_for_the_file(source, f"--{flag}" + f" {value}" * (value is not True))
    reads.check()


def _meant_for_the_file(source: str, option: str) -> UsageError:
    return UsageError(
        f"{option} given with '{source}', whose file makes model and encoder itself; expected that "
        "choice in the file, and of these options --device alone"
    )


def _address(source: str) -> Address:
    match = _ADDRESS.fullmatch(source)
    file, name = match.group("file", "name") if match else (source, "")
    if not name:
        raise ModelError(f"model '{source}' names nothing in the file; expected {file}:NAME")
    path = Path(file)
    if not path.is_file():
        raise ModelError(
            f"model '{source}' given; no such file '{file}'; expected a Python file and the name "
            f"in it of {EXPECTED}"
        )
    return Address(source, path, name)


def _run(address: Address) -> Ran:
    try:
        return run_file(address.file)
    except (Exception, SystemExit) as error:  # whatever the user's code raises
        raise _raised(address, f"'{address.file}'", error) from error


def _named(address: Address, module: ModuleType) -> Any:
    held = vars(module)
    if address.name in held:
        return held[address.name]
    names = [name for name, value in held.items() if _could_be_meant(module, name, value)]
    hint = choices(address.name, names) if names else f"it holds none; expected {EXPECTED}"
    raise ModelError(f"model '{address.source}': '{address.file}' has no such name; {hint}")


def _could_be_meant(module: ModuleType, name: str, value: Any) -> bool:
    """Whether it is public and a classifier, or a function of the user's."""
    if name.startswith("_") or isinstance(value, type | nn.Module):
        return False
    homes = {module.__name__, *brought(module)}
    return isinstance(value, Classifier) or (
        callable(value) and getattr(value, "__module__", None) in homes
    )


def _made(address: Address, value: Any) -> Classifier:
    """What the name stands for, or what the function of that name returns."""
    if callable(value) and not isinstance(value, type | nn.Module):
        _check_takes_nothing(address, value)
        try:
            value = value()
        except (Exception, SystemExit) as error:  # whatever the user's code raises
            raise _raised(address, f"{address.name}()", error) from error
    if isinstance(value, Classifier):
        return value
    kind = f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
    kind += ", a torch.nn.Module" if isinstance(value, nn.Module) else ""
    raise ModelError(f"model '{address.source}' is or returns {kind}; expected {EXPECTED}")


def _check_takes_nothing(address: Address, function: Callable[..., Any]) -> None:
    signature = inspect.signature(function)
    try:
        signature.bind()
    except TypeError as error:
        raise ModelError(
            f"model '{address.source}' is a function of {signature}; expected {EXPECTED}"
        ) from error


def _raised(address: Address, what: str, error: BaseException) -> ModelError:
    wanted = "" if isinstance(error, AuditError) else f"; expected {EXPECTED}"
    return ModelError(f"model '{address.source}': {what} {_raises(address, error)}{wanted}")


def _raises(address: Address, error: BaseException) -> str:
    """The error in words, with the last line of the user's file that led to it."""
    path = str(address.file.resolve())
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    where = f" in line {lines[-1]}" if lines else ""
    return f"raises {type(error).__name__}{where}: {first_line(error)}"


def _reported(address: Address, encoder: Encoder) -> Encoder:
    """The same encoder; what it raises on data becomes one line."""

    def encode(inputs: Sequence[Any]) -> Encoded:
        try:
            return encoder(inputs)
        except AuditError:
            raise
        except Exception as error:  # whatever the user's code raises
            raise DataError(
                f"the encoder of '{address.source}' {_raises(address, error)}; expected it to take "
                "inputs as they are read: texts, pairs of texts, or with --columns Signal objects "
                "whose content is a vector of numbers, for which table_inputs() has an encoder"
            ) from error

    return encode


def _moved(classifier: Classifier, device: str) -> Classifier:
    """On the device; a model that cannot be moved (a quantised one) must be there already.

    One on several devices stays where it is, unless another device is asked for.
    """
    if len(classifier.devices) > 1 and device == Loading().device:
        return classifier
    here, wanted = device_of(classifier.model), torch.device(device)
    if here.type == wanted.type and (here.index or 0) == (wanted.index or 0):
        return replace(classifier, device=device)
    try:
        return classifier.to(device)
    except (ValueError, RuntimeError) as error:
        raise UsageError(
            f"device '{device}' given; '{classifier.name}' made its model on '{here}', from where "
            f"it cannot be moved: {first_line(error)}; expected --device {here}"
        ) from error
