"""What the detection view needs reaches a worker."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sweep.rigs import Rig, make_rig, silence
from synapse_audit.model import Classifier
from synapse_audit.sweep import Chunk, clean_pass, run_chunk
from synapse_audit.sweep.executors.worker import make_setup, take_state


@pytest.fixture
def rig(tiny_folder, rows: pd.DataFrame) -> Rig:
    classifier = Classifier.load(tiny_folder)
    return make_rig(classifier, classifier.encode(list(rows["text"][:8])))


def test_a_worker_keeps_the_probability_of_the_benign_class(rig: Rig) -> None:
    with rig.engine() as engine:
        engine = replace(engine, benign=2)
        state = take_state(make_setup(engine, threads=1))
        assert state.engine.benign == 2
        chunk = Chunk("one", "full", (silence("zero", {1: [0, 1]}),))
        batch = rig.classifier.collate(rig.encoded, rig.rows)
        here = run_chunk(engine, rig.clean(engine, rig.rows.tolist()), chunk, rig.labels)
    there = run_chunk(
        state.engine, clean_pass(state.engine.classifier, batch, rig.rows, None), chunk, rig.labels
    )
    np.testing.assert_allclose(there["benign"], here["benign"], atol=1e-6)
    assert here["benign"].shape == (1, 8)
