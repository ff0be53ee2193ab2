"""An index of weights names plain safetensors files of its own folder; anything else is refused."""

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest

from synapse_audit.errors import ModelError
from synapse_audit.model import Classifier
from synapse_audit.model.loading.weight_files import check_weight_files

SHARD = "model-00001-of-00001.safetensors"


def _sharded(source: Path, folder: Path, name: Any = SHARD) -> Path:
    """The same model with its one file under an index that names ``name``."""
    shutil.copytree(source, folder)
    (folder / "model.safetensors").rename(folder / SHARD)
    index = {"metadata": {}, "weight_map": {"classifier.weight": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


class Mark:
    """Leaves a mark when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "name",
    [
        *("evil.bin", "evil.pt", "../evil.safetensors", "sub/evil.safetensors", "", ".."),
        *("/tmp/evil.safetensors", "..\\evil.safetensors", "a\0.safetensors", 3, None, ["x"]),
    ],
)
def test_a_name_that_is_no_safetensors_file_of_the_folder_is_refused_unopened(
    tiny_folder: Path, tmp_path: Path, name: Any
) -> None:
    folder = _sharded(tiny_folder, tmp_path / "model", name)
    mark = tmp_path / "mark"
    for place in (folder / "evil.bin", folder / "evil.pt", tmp_path / "evil.safetensors"):
        place.write_bytes(pickle.dumps(Mark(mark)))
    with pytest.raises(ModelError, match=r"model\.safetensors\.index\.json'") as refused:
        Classifier.load(folder)
    assert "\n" not in str(refused.value) and not mark.exists()


def test_what_leads_out_of_the_folder_is_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = _sharded(tiny_folder, tmp_path / "model")
    outside = tmp_path / "outside.safetensors"
    (folder / SHARD).rename(outside)
    with pytest.raises(ModelError, match=r"names '.*', which is not there"):
        Classifier.load(folder)
    (folder / SHARD).symlink_to(outside)
    with pytest.raises(ModelError, match="is a link that leads out of the model folder"):
        Classifier.load(folder)


def test_links_into_the_blobs_of_the_hubs_cache_are_at_home(
    tiny_folder: Path, tmp_path: Path
) -> None:
    folder = _sharded(tiny_folder, tmp_path / "cache" / "snapshots" / "abc")
    blobs = tmp_path / "cache" / "blobs"
    blobs.mkdir()
    (folder / SHARD).rename(blobs / "123")
    (folder / SHARD).symlink_to("../../blobs/123")
    check_weight_files(folder)


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"weight_map": 3}', "null", '{"weight_map": [1]}', "[" * 100_000]
)
def test_a_broken_index_is_one_line(tiny_folder: Path, tmp_path: Path, text: str) -> None:
    folder = _sharded(tiny_folder, tmp_path / "model")
    (folder / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ModelError, match=r"index\.json' cannot be read; expected an index"):
        Classifier.load(folder)


@pytest.mark.parametrize(
    "named", ["x.safetensors.index.json", "adapter_model.bin", "../x.safetensors", 3]
)
def test_a_configuration_does_not_name_other_weights(
    tiny_folder: Path, tmp_path: Path, named: Any
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"transformers_weights": named}))
    with pytest.raises(ModelError, match=r"\(transformers_weights .*\); expected a \*\.safe"):
        Classifier.load(folder)
