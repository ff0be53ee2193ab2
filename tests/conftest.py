"""Shared fixtures: tiny classifiers, their rows, planted classifiers. Nothing uses a network.

torch and transformers, which take seconds, are imported where they are used: the process that
hands the tests out to others needs neither.
"""

from __future__ import annotations

import gc
import os
import sys

# Tiny models gain nothing from threads, and lose much where other processes want the cores; the
# variable is for subprocesses.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import jaxtyping
import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import pandas as pd
    from planted import Planted
    from tiny import Tiny
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

ROOT = Path(__file__).resolve().parents[1]
SHARED_MODELS = ROOT.parent / "shared" / "models"

LONGEST = (
    *("test_examples.py", "test_interrupted.py", "test_sections.py", "test_families.py"),
    *("test_findings.py", "test_damage.py", "test_interrupt.py", "test_audits.py"),
    *("test_fuzz.py", "test_verify.py", "test_running.py", "test_routes.py", "test_guard.py"),
    *("test_signals.py", "test_benchmarks.py", "test_public_api.py", "test_planted.py"),
    *("test_class_names.py", "test_comparison.py", "test_results.py", "test_against.py"),
    *("test_own_attention.py", "test_commands.py", "test_inputs.py", "test_attributions.py"),
    *("test_groups.py", "test_planted_models.py", "test_architecture.py"),
)
"""Files of five seconds and more. They go first, so that none is left to one process at the end."""


def with_shapes() -> list[str]:
    """The modules that name the axes of their arrays; a check of all others would find nothing."""
    source = ROOT / "src"
    files = [
        f for f in (source / "synapse_audit").rglob("*.py") if "jaxtyping" in f.read_text("utf-8")
    ]
    parts = (file.relative_to(source).with_suffix("").parts for file in files)
    return [".".join(one).removesuffix(".__init__") for one in parts]


# Each of the dozens of processes of a run would otherwise compile every file again.
sys.dont_write_bytecode = False

# Before anything imports the package: what is imported already is not checked.
jaxtyping.install_import_hook(with_shapes(), "checking.check")

# How long an example takes is no test's business: a busy machine is no bug.
settings.register_profile("busy", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy")


def pytest_configure(config: pytest.Config) -> None:
    """Files are handed out in the order below, not by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Every other process reads the files from the last to the first.

    Where the two meet, each finds compiled what the other has read.
    """
    report = yield
    if isinstance(collector, pytest.Directory) and _worker() % 2:
        report.result.reverse()
    return report


def _worker() -> int:
    """Number of this process among those of pytest-xdist; 0 where there is one."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """The same order in every process: the longest files, then all others by name.

    In between pytest puts tests side by side that share a parameter, whatever their file.
    """
    items.sort(key=_turn)
    yield
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> tuple[bool, Path]:
    return item.path.name not in LONGEST, item.path


def pytest_collection_finish() -> None:
    """What is imported stays: the garbage collector need not look through it again and again."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Shapes are checked or not from before the first fixture on, of whatever scope."""
    unchecked = item.get_closest_marker("unchecked") is not None
    jaxtyping.config.update("jaxtyping_disable", unchecked)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Gives the tests of every family, and of every planted classifier, their names."""
    own = {str(mark.args[0]) for mark in metafunc.definition.iter_markers("parametrize")}
    if "family_folder" in metafunc.fixturenames:
        from tiny import FAMILIES

        metafunc.parametrize("family_folder", sorted(FAMILIES), indirect=True, scope="session")
    if "planted" in metafunc.fixturenames and "planted" not in own:
        from planted import PLANTS

        metafunc.parametrize("planted", sorted(PLANTS), indirect=True)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny() -> Tiny:
    """A tiny BERT classifier and its tokenizer; leave it as you found it."""
    from tiny import tiny_classifier

    return tiny_classifier("bert")


@pytest.fixture(scope="session")
def tiny_bert(tiny: Tiny) -> PreTrainedModel:
    """The tiny BERT alone: 3 blocks, 32 neurons, 4 classes."""
    return tiny.model


@pytest.fixture(scope="session")
def tiny_tokenizer(tiny: Tiny) -> PreTrainedTokenizerFast:
    """Its tokenizer."""
    return tiny.tokenizer


@pytest.fixture(scope="session")
def tiny_folder(tiny: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny BERT and its tokenizer as a saved folder; read only."""
    from tiny import save

    return save(tiny, tmp_path_factory.mktemp("tiny-bert"))


@pytest.fixture(scope="session")
def family_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved tiny classifier of each family in turn; read only."""
    from tiny import save, tiny_classifier

    return save(tiny_classifier(request.param), tmp_path_factory.mktemp(f"tiny-{request.param}"))


@pytest.fixture(scope="session")
def rows() -> pd.DataFrame:
    """The tiny rows: ``text``, ``label``; 60 of each of four classes."""
    from tiny import tiny_rows

    return tiny_rows()


@pytest.fixture(scope="session")
def tiny_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny rows as a CSV file; read only."""
    from tiny import tiny_rows

    path = tmp_path_factory.mktemp("tiny-rows") / "rows.csv"
    # Not the fixture `rows`: a folder that overrides it would change this file for everybody.
    tiny_rows().to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def plant() -> Callable[[str], Planted]:
    """Gives a planted classifier by name, built once; leave it as you found it."""
    from planted import PLANTS

    built: dict[str, Planted] = {}

    def get(name: str) -> Planted:
        if name not in built:
            built[name] = PLANTS[name]()
        return built[name]

    return get


@pytest.fixture
def planted(request: pytest.FixtureRequest, plant: Callable[[str], Planted]) -> Planted:
    """Every planted classifier in turn."""
    return plant(request.param)


@pytest.fixture(scope="session")
def shared_models() -> Path:
    """Folder of full-sized classifiers beside the checkout; skips where there is none."""
    if not SHARED_MODELS.is_dir():
        pytest.skip("no ../shared/models beside the checkout")
    return SHARED_MODELS
