"""A damaged file counts as missing, and so does what was made from one that came out otherwise."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synapse_audit.store import RunFolder
from synapse_audit.store.checksums import MADE_FROM, dependents, group_of, without

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


def _flip(path: Path, at: int = -1) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1 << at % 8
    path.write_bytes(content)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    found = RunFolder.claim(tmp_path)
    found.identify({"data": "x"})
    make = found.allocate("activations")
    make("layer_00", (2, 3))[:] = ARRAY
    found.publish("activations")
    for name in ("probes", "rankings", "sufficiency"):
        found.write_arrays(name, {"a": ARRAY})
    found.write_array("outcomes/kl", ARRAY)
    found.write_table("outcomes/actions", pd.DataFrame({"action": ["a"]}))
    return found


def test_the_manifest_has_the_sha256_of_every_file(folder: RunFolder) -> None:
    files = {
        str(path.relative_to(folder.path)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.path.rglob("*.np*")
    }
    assert len(files) == 5
    assert folder.manifest["files"].items() >= files.items()
    assert folder.has(*folder.hashes) and folder.damaged(*folder.hashes) == ()


@pytest.mark.parametrize("how", ["flipped", "cut", "gone", "empty"])
def test_a_damaged_file_counts_as_missing_and_is_named(
    tmp_path: Path, folder: RunFolder, how: str
) -> None:
    path = folder.path / "activations/layer_00.npy"
    if how == "flipped":
        _flip(path)
    elif how == "gone":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[: 10 if how == "cut" else 0])
    for fresh in (folder, RunFolder(tmp_path)):
        assert not fresh.has("probes.npz", "activations/layer_00.npy")
        assert fresh.damaged(*fresh.hashes) == ("activations/layer_00.npy",)


def test_a_file_that_was_never_recorded_counts_as_missing(folder: RunFolder) -> None:
    (folder.path / "stability.parquet").write_bytes(b"left by a kill before it was recorded")
    assert not folder.has("stability.parquet")
    assert folder.damaged("stability.parquet") == ()


def test_the_same_again_leaves_all_that_was_made_from_it(folder: RunFolder) -> None:
    _flip(folder.path / "activations/layer_00.npy")
    folder.allocate("activations")("layer_00", (2, 3))[:] = ARRAY
    folder.publish("activations")
    assert folder.has(*folder.hashes) and len(folder.hashes) == 6


def test_another_one_takes_with_it_what_was_made_from_it(folder: RunFolder) -> None:
    folder.unit_store.save("unit", {"a": ARRAY})
    folder.allocate("activations")("layer_00", (2, 3))[:] = ARRAY + 1
    folder.publish("activations")
    assert set(folder.hashes) == {"activations/layer_00.npy"}
    assert folder.unit_store.load("unit") is None, "it was made from the old activations"


def test_what_does_not_depend_on_it_stays(folder: RunFolder) -> None:
    folder.unit_store.save("unit", {"a": ARRAY})
    folder.write_arrays("sufficiency", {"a": ARRAY + 1})
    assert folder.has("activations/layer_00.npy", "probes.npz", "outcomes/kl.npy")
    assert folder.unit_store.load("unit") is not None


def test_a_forgotten_folder_counts_as_missing_as_a_whole(folder: RunFolder) -> None:
    assert folder.written("outcomes") == ("outcomes/kl.npy", "outcomes/actions.parquet")
    folder.forget("outcomes")
    assert folder.written("outcomes") == () and not folder.has("outcomes/kl.npy")
    assert folder.has("rankings.npz")


def test_dependents_are_followed_to_the_end() -> None:
    assert dependents("summary") == frozenset()
    assert dependents("effects") == {"findings", "summary"}
    assert {"probes", "rankings", "outcomes", "summary"} < dependents("activations")
    assert group_of("activations/layer_00.npy") == "activations"
    assert group_of("findings/redundancy.removal.parquet") == "findings"
    hashes = {"probes.npz": "a", "probes.parquet": "b", "flips.parquet": "c", "splits.parquet": "d"}
    assert without(hashes, "probes.npz") == {k: hashes[k] for k in (*list(hashes)[1:],)}
    assert {source for sources in MADE_FROM.values() for source in sources} <= set(MADE_FROM)


def test_every_flip_of_a_unit_is_noticed(folder: RunFolder) -> None:
    """A unit has no line in the manifest: its zip file's own checksums stand for one."""
    said: list[str] = []
    unit_store = type(folder.unit_store)(folder.unit_store.path, said.append)
    unit_store.save("unit", {"kl": ARRAY[:1]})
    path = unit_store.path / "unit.npz"
    content = path.read_bytes()
    for at in range(len(content)):
        _flip(path, at)
        found = unit_store.load("unit")
        assert found is None or (
            set(found) == {"kl"} and found["kl"].tobytes() == ARRAY[:1].tobytes()
        )
        path.write_bytes(content)
    assert set(said) == {"warning: outcomes/units/unit.npz is damaged; its cells are run again"}
