"""The guarded model: as the host on clean inputs, refused where anything was changed."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from planted import Planted
from safetensors.numpy import load, save
from transformers import AutoModelForSequenceClassification, AutoTokenizer, pipeline

from synapse_audit import ModelError, RunFolderError, UsageError
from synapse_audit.guard import GuardedModel, GuardSettings, load_guarded
from synapse_audit.guard.attacks import silenced
from synapse_audit.guard.audited import guarded_classifier
from synapse_audit.guard.building import check_audited
from synapse_audit.guard.folder import ARRAYS, FACTS, read_guard
from synapse_audit.model import Classifier
from synapse_audit.model.hooks import count_hooks

from .conftest import Guarded


def _batch(made: Guarded, n: int = 12) -> dict[str, torch.Tensor]:
    return dict(made.classifier.collate(made.encoded, made.clean.fit[:n]))


def test_clean_inputs_are_answered_as_before(made: Guarded) -> None:
    hooks = count_hooks(made.classifier.model)
    guarded = load_guarded(made.classifier, made.folder, head="host")
    batch = _batch(made)
    # Inputs of fit lie inside ranges that are their own smallest and largest values; other batches
    # than then round otherwise.
    assert_allclose(guarded(**batch).logits, made.clean.logits[made.clean.fit[:12]], atol=1e-4)
    assert count_hooks(made.classifier.model) == hooks
    assert not guarded.training


@pytest.mark.parametrize(("head", "least"), [("hardened", 0.95), ("vote", 0.8)])
def test_heads_of_the_guard_name_the_same_classes(made: Guarded, head: str, least: float) -> None:
    found = load_guarded(made.classifier, made.folder, head=head)(**_batch(made, 40))
    wanted = made.clean.logits[made.clean.fit[:40]].argmax(axis=1)
    assert (found.logits.argmax(dim=1).numpy() == wanted).mean() >= least


def test_a_state_outside_the_ranges_is_clamped_and_alarms(made: Guarded) -> None:
    guarded, batch = load_guarded(made.classifier, made.folder, head="host"), _batch(made)
    clean = guarded(**batch)
    attack = silenced(made.classifier, {1: lambda pooled: pooled + 100.0})
    with attack(batch):
        host = made.classifier.logits(batch)
        attacked = guarded(**batch)
    assert bool(attacked.alarm.all())
    assert not bool(clean.alarm.all())
    gap = (attacked.logits - clean.logits).abs().max()
    assert float(gap) < float((host - clean.logits).abs().max())
    seen = guarded.look(batch)
    high = torch.from_numpy(made.guard.ranges.high[-1])
    assert bool((seen.head_input <= high + 1e-6).all())


def test_an_embedding_that_no_text_changes_gives_itself_away(made: Guarded) -> None:
    """That of [CLS]: moved by a tenth of its size, which ranges take back."""
    guarded, batch = load_guarded(made.classifier, made.folder, head="host"), _batch(made)
    clean = guarded(**batch)
    sign = torch.from_numpy(np.random.default_rng(0).choice([-0.1, 0.1], 32).astype(np.float32))
    with silenced(made.classifier, {0: lambda pooled: pooled + sign * pooled.std()})(batch):
        attacked = guarded(**batch)
    assert bool(attacked.alarm.all()) and not bool(clean.alarm.all())
    assert_allclose(attacked.logits, clean.logits, atol=1e-4)


def test_batches_and_threads_raise_no_alarm_where_nothing_varies(made: Guarded) -> None:
    """Other batches and threads round otherwise: less than a thousandth of what one unit scores."""
    guarded = load_guarded(made.classifier, made.folder)
    before = torch.get_num_threads()
    try:
        for threads, rows in product((1, 2), ([0], range(16), [3, 40, 5])):
            torch.set_num_threads(threads)
            assert torch.get_num_threads() == threads
            batch = dict(made.classifier.collate(made.encoded, made.clean.evaluate[[*rows]]))
            scores = guarded.scores.each(guarded.look(batch).pooled)[0]  # places in order
            assert float(scores.abs().max()) < 1e-3
    finally:
        torch.set_num_threads(before)


def test_a_pipeline_takes_it_for_the_host(
    made: Guarded, tiny_folder: Path, texts: list[str]
) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    module = AutoModelForSequenceClassification.from_pretrained(tiny_folder)
    plain = pipeline("text-classification", model=module, tokenizer=tokenizer)
    guarded = load_guarded(module, made.folder, head="host")
    behind = pipeline("text-classification", model=guarded, tokenizer=tokenizer)
    one, other = plain(texts, batch_size=4), behind(texts, batch_size=4)
    assert [row["label"] for row in one] == [row["label"] for row in other]


def test_per_class_ranges_run_twice_and_clamp_more(made: Guarded) -> None:
    from synapse_audit.guard.building import make_guard

    settings = GuardSettings(head="host", per_class=True, false_alarm_rate=0.05)
    guard = make_guard(made.clean, made.classifier, settings)
    guarded, batch = GuardedModel(made.classifier, guard), _batch(made)
    first = guarded.look(batch)
    named = first.logits.argmax(dim=1)
    second = guarded.look(batch, named)
    high = torch.from_numpy(guard.ranges.class_high[-1])[named]
    assert bool((second.head_input <= high + 1e-6).all())
    assert_allclose(guarded(**batch).logits, second.logits)


# ---- integrity -----------------------------------------------------------------------------------


def _copy(tiny_folder: Path) -> torch.nn.Module:
    return AutoModelForSequenceClassification.from_pretrained(tiny_folder)


def test_one_flipped_bit_is_refused_by_name(made: Guarded, tiny_folder: Path) -> None:
    module = _copy(tiny_folder)
    weight = module.bert.encoder.layer[1].output.dense.weight
    bits = weight.data.view(torch.int32)
    bits[3, 4] ^= 1  # the lowest bit of the mantissa
    with pytest.raises(ModelError, match=r"tensor 'bert\.encoder\.layer\.1\.output\.dense\.weight"):
        load_guarded(module, made.folder)


def test_a_change_after_loading_is_found_by_the_canaries(made: Guarded, tiny_folder: Path) -> None:
    module = _copy(tiny_folder)
    guarded, batch = load_guarded(module, made.folder), _batch(made)
    object.__setattr__(guarded.guard, "check_every", 2)
    with torch.no_grad():
        module.bert.encoder.layer[0].output.dense.weight *= 1.5
    with pytest.raises(ModelError, match=r"canary inputs otherwise"):
        guarded.ask_canaries()
    guarded(**batch)
    with pytest.raises(ModelError, match=r"output\.dense\.weight' is different"):
        guarded(**batch)


def test_a_change_of_the_guards_own_head_is_found_too(made: Guarded) -> None:
    guarded = load_guarded(made.classifier, made.folder, head="hardened")
    guarded.verify()
    with torch.no_grad():
        guarded.head.linear.bias[0] += 1.0
    with pytest.raises(ModelError, match="canary"):
        guarded.verify()


def test_canaries_see_what_moves_no_prediction(made: Guarded) -> None:
    """One weight of a block a little larger, by a thousandth: far less than any margin."""
    guarded = load_guarded(made.classifier, made.folder)
    weight = made.classifier.blocks[0].output.dense.weight
    column = int(weight[3].abs().argmax())
    kept = float(weight[3, column])
    clean = guarded(**_batch(made)).logits.argmax(dim=1)
    try:
        with torch.no_grad():
            weight[3, column] = kept * 1.001
        assert_array_equal(guarded(**_batch(made)).logits.argmax(dim=1), clean)
        with pytest.raises(ModelError, match="canary inputs otherwise than when it was loaded"):
            guarded.ask_canaries()
    finally:
        with torch.no_grad():
            weight[3, column] = kept
    guarded.verify()


def test_a_weight_that_no_canary_reads_is_found_by_its_checksum(made: Guarded) -> None:
    guarded = load_guarded(made.classifier, made.folder)
    guarded.guard = replace(guarded.guard, check_every=2)
    words = made.classifier.embeddings.word_embeddings.weight
    read = torch.from_numpy(made.guard.canaries.inputs["input_ids"]).unique()
    row = next(i for i in range(len(words)) if i not in read.tolist())
    kept = words[row].clone()
    batch = _batch(made)
    try:
        with torch.no_grad():
            words[row] += 1.0
        guarded.ask_canaries()  # nothing is seen
        guarded(**batch)
        with pytest.raises(ModelError, match=r"word_embeddings\.weight' is different"):
            guarded(**batch)
    finally:
        with torch.no_grad():
            words[row] = kept


def test_scores_are_those_of_each_place_alone(made: Guarded) -> None:
    """All in one product, beside place by place and score by score."""
    guarded = load_guarded(made.classifier, made.folder, head="host")
    seen = guarded.look(_batch(made))
    detector = made.guard.detector
    raw = guarded.scores.raw(seen.pooled).numpy()
    wanted = ((raw - detector.centre) / detector.scale).max(axis=1) / detector.tail
    assert_allclose(guarded.scores.scaled(seen.pooled).numpy(), wanted, rtol=1e-4, atol=1e-5)
    for place, pooled in enumerate(seen.pooled):
        assert_allclose(pooled.numpy(), made.clean.places[place][made.clean.fit[:12]], atol=1e-4)


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.3])
def test_the_threshold_is_where_alarms_begin(made: Guarded, rate: float) -> None:
    scores = load_guarded(made.classifier, made.folder).scores
    limit = scores.threshold(rate)
    tried = torch.tensor([limit - 1e-4, limit, limit + 1e-4])
    assert (scores.p_values(tried) <= rate).tolist() == [False, False, True]


def test_canaries_are_nobodys_texts(made: Guarded) -> None:
    ids = made.guard.canaries.inputs["input_ids"]
    texts = {tuple(row["input_ids"]) for row in made.encoded.features}
    assert not texts & {tuple(row) for row in ids.tolist()}
    assert len(np.unique(ids, axis=0)) == len(ids)


def test_the_wrong_model_is_refused(
    made: Guarded, plant: Callable[[str], Planted], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match="expected those of the guard"):
        load_guarded(plant("single").save(tmp_path) / "model", made.folder)


def test_a_model_with_a_threshold_is_refused_whatever_the_run_says(made: Guarded) -> None:
    deciding = made.classifier.at_threshold({"calm": 0.7})
    with pytest.raises(ModelError, match=r"has a decision threshold \(the class that leads"):
        check_audited({}, deciding)


# ---- the folder is a stranger's ------------------------------------------------------------------


def test_what_was_written_is_read(made: Guarded) -> None:
    found = read_guard(made.folder)
    assert_array_equal(found.ranges.low[2], made.guard.ranges.low[2])
    assert_array_equal(found.vote.voter, made.guard.vote.voter)
    assert found.tensors == made.guard.tensors
    assert found.head == "hardened"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "has format 9"),
        ({"places": 3}, "does not fit together"),
        ({"places": "many"}, "does not fit together"),
        ({"head": "other"}, "head is none of"),
        ({"false_alarm_rate": 2}, "false-alarm rate"),
        ({"tensors": None}, "does not fit together"),
        ({"canary_inputs": ["../x"]}, "does not fit together"),
        ({"arrays_sha256": "0"}, "does not belong to"),
        ({"places": float("inf")}, "does not fit together"),
        ({"neighbours": float("inf")}, "does not fit together"),
        ({"tolerance": float("inf")}, "tolerance that is no positive number"),
    ],
)
def test_facts_that_do_not_fit_are_refused(
    made: Guarded, tmp_path: Path, change: dict[str, object], said: str
) -> None:
    shutil.copytree(made.folder, tmp_path / "g")
    facts = json.loads((tmp_path / "g" / FACTS).read_text())
    (tmp_path / "g" / FACTS).write_text(json.dumps(facts | change))
    with pytest.raises(RunFolderError, match=said):
        read_guard(tmp_path / "g")


def test_a_folder_of_the_first_layout_is_read_as_it_was(made: Guarded, tmp_path: Path) -> None:
    """It has no units; what never varied does not count there."""
    shutil.copytree(made.folder, tmp_path / "g")
    arrays = load((tmp_path / "g" / ARRAYS).read_bytes())
    kept = {name: one for name, one in arrays.items() if not name.startswith("scorer.unit")}
    (tmp_path / "g" / ARRAYS).write_bytes(save(kept))
    facts = json.loads((tmp_path / "g" / FACTS).read_text())
    facts["arrays_sha256"] = hashlib.sha256((tmp_path / "g" / ARRAYS).read_bytes()).hexdigest()
    (tmp_path / "g" / FACTS).write_text(json.dumps(facts))
    with pytest.raises(RunFolderError, match="does not fit together"):
        read_guard(tmp_path / "g")  # of the second layout, without units
    (tmp_path / "g" / FACTS).write_text(json.dumps(facts | {"format": 1}))
    found = read_guard(tmp_path / "g").detector.scorers[0]
    assert np.isinf(found.spread).all() and np.isinf(found.unit).all()
    guarded, batch = load_guarded(made.classifier, tmp_path / "g"), _batch(made)
    with silenced(made.classifier, {0: lambda pooled: pooled * 1.1})(batch):
        moved = guarded(**batch)
    assert_allclose(moved.score, guarded(**batch).score, atol=1e-3)


def test_damaged_arrays_are_refused(made: Guarded, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "g")
    content = bytearray((tmp_path / "g" / ARRAYS).read_bytes())
    content[-1] ^= 1
    (tmp_path / "g" / ARRAYS).write_bytes(bytes(content))
    with pytest.raises(RunFolderError, match="does not belong to"):
        read_guard(tmp_path / "g")


def _with_arrays(
    made: Guarded, folder: Path, change: Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
) -> Path:
    """The guard with some arrays changed by somebody who kept the hashes."""
    shutil.copytree(made.folder, folder)
    arrays = load((folder / ARRAYS).read_bytes())
    (folder / ARRAYS).write_bytes(save(arrays | change(arrays)))
    facts = json.loads((folder / FACTS).read_text())
    facts["arrays_sha256"] = hashlib.sha256((folder / ARRAYS).read_bytes()).hexdigest()
    (folder / FACTS).write_text(json.dumps(facts))
    return folder


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("range.low.0", lambda a: a.astype(np.float64), "type float64"),
        ("range.low.0", lambda a: np.full_like(a, np.nan), "no finite number"),
        ("range.low.1", lambda a: np.stack([a, a], axis=1), "does not fit together"),
        ("range.low.1", lambda a: a + 1e6, "ends before it begins"),
        ("scorer.spread.0", lambda a: -a, "not positive"),
        ("scorer.unit.1", lambda a: -a, "unit that is not positive"),
        ("scorer.unit.1", lambda a: a * np.nan, "unit that is not positive"),
        ("scorer.unit.1", lambda a: a * np.inf, "unit larger than the spread"),
        ("scorer.unit.1", lambda a: a[1:], "does not fit together"),
        ("scorer.bank.0", lambda a: a[1:], "several sizes"),
        ("detector.calibration", lambda a: a[:0], "no calibration"),
        ("vote.voter", lambda a: np.stack([a, a], axis=1), "does not fit together"),
        ("canaries.logits", lambda a: a[:0], "does not fit together"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    made: Guarded,
    tmp_path: Path,
    name: str,
    change: Callable[[np.ndarray], np.ndarray],
    said: str,
) -> None:
    changed = _with_arrays(
        made, tmp_path / "g", lambda arrays: {name: np.ascontiguousarray(change(arrays[name]))}
    )
    with pytest.raises(RunFolderError, match=said):
        read_guard(changed)


@pytest.mark.parametrize(
    "change",
    [
        lambda ids: ids + 10**6,  # no word of the model
        lambda ids: np.repeat(ids, 300, axis=1),  # longer than it can read
    ],
)
def test_canaries_that_the_model_cannot_read_are_refused(
    made: Guarded, tmp_path: Path, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    changed = _with_arrays(
        made,
        tmp_path / "g",
        lambda arrays: {n: change(a) for n, a in arrays.items() if n.startswith("canaries.inputs")},
    )
    with pytest.raises(ModelError, match="cannot read the guard's canary inputs"):
        load_guarded(made.classifier, changed)


def test_settings_name_the_choices() -> None:
    with pytest.raises(UsageError, match=r"head 'votes' given; did you mean 'vote'"):
        GuardSettings(head="votes")
    with pytest.raises(UsageError, match=r"quantile 0\.5"):
        GuardSettings(quantile=0.5)


# ---- behind an audit -----------------------------------------------------------------------------


def test_an_audited_guard_answers_as_the_served_one(made: Guarded, tiny_folder: Path) -> None:
    audited = guarded_classifier(Classifier.load(tiny_folder), made.folder)
    served = load_guarded(made.classifier, made.folder)
    batch = _batch(made)
    attack = silenced(audited, {1: lambda pooled: pooled * 50, 2: lambda pooled: pooled - 30})
    with attack(batch):
        found = audited.logits(batch)
    with silenced(made.classifier, {1: lambda p: p * 50, 2: lambda p: p - 30})(batch):
        wanted = served(**batch).logits
    assert_allclose(found, wanted, atol=1e-4)
    assert "guard_sha256" in audited.origin


def test_a_vote_is_not_audited(made: Guarded, tiny_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(made.folder, tmp_path / "g")
    facts = json.loads((tmp_path / "g" / FACTS).read_text())
    (tmp_path / "g" / FACTS).write_text(json.dumps(facts | {"head": "vote"}))
    with pytest.raises(ModelError, match="answers by vote"):
        guarded_classifier(Classifier.load(tiny_folder), tmp_path / "g")
