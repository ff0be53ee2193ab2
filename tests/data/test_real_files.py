"""Real data beside the checkout."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from synapse_audit.data import load_data, split

from .files import SHARED


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason=f"no shared data at {SHARED}")
class TestRealFiles:
    def test_web_payloads_keep_their_rarest_class(self) -> None:
        classes = ("norm", "sqli", "xss", "path-traversal", "cmdi")
        path = str(SHARED / "web_payloads" / "test.csv")
        data = load_data(path, classes=classes, max_examples=600)
        assert len(data) == 600
        assert np.bincount(data.labels).tolist()[2:] == [30, 30, 30]
        whole = np.array([6434, 3617, 177, 97, 30]) / 10355
        parts = split(data, seed=0)
        weighted = np.bincount(data.labels[parts.evaluate], data.weights[parts.evaluate])
        np.testing.assert_allclose(weighted / weighted.sum(), whole, atol=0.005)
        assert (len(parts.fit), len(parts.select), len(parts.evaluate)) == (241, 120, 239)

    def test_web_payloads_with_a_file_to_fit_on(self) -> None:
        classes = ("norm", "sqli", "xss", "path-traversal", "cmdi")
        folder = SHARED / "web_payloads"
        data = load_data(
            str(folder / "test.csv"),
            classes=classes,
            fit_data=str(folder / "train.csv"),
            max_examples=600,
        )
        assert data.n_rows == 20_712 + 10_355
        parts = split(data, seed=0)
        assert (len(parts.fit) + len(parts.select), len(parts.evaluate)) == (360, 240)

    def test_sms_repeats_are_removed(self) -> None:
        data = load_data(str(SHARED / "sms_spam" / "messages.csv"), classes=("ham", "spam"))
        assert (data.n_rows, data.n_repeats, len(data)) == (5574, 403, 5171)
        assert Counter(data.inputs).most_common(1)[0][1] == 1
        parts = split(data, seed=0)
        texts = [{data.inputs[i] for i in p} for p in (parts.fit, parts.select, parts.evaluate)]
        assert not texts[0] & texts[1]
        assert not (texts[0] | texts[1]) & texts[2]

    @pytest.mark.parametrize("max_examples", [None, 600])
    def test_abstracts_stay_whole(self, max_examples: int | None) -> None:
        data = load_data(
            str(SHARED / "pubmed_sections" / "test.csv"),
            classes=("background", "objective", "methods", "results", "conclusions"),
            group_column="pmid",
            max_examples=max_examples,
        )
        assert data.groups is not None
        parts = split(data, seed=0)
        sets = [set(data.groups[p]) for p in (parts.fit, parts.select, parts.evaluate)]
        assert not sets[0] & sets[1]
        assert not (sets[0] | sets[1]) & sets[2]
        whole = np.array([132, 170, 388, 290, 300]) / 1280
        for part, share in zip(
            (parts.fit, parts.select, parts.evaluate), (0.4, 0.2, 0.4), strict=True
        ):
            assert len(part) / len(data) == pytest.approx(share, abs=0.02)
            weighted = np.bincount(data.labels[part], data.weights[part])
            np.testing.assert_allclose(weighted / weighted.sum(), whole, atol=0.02)
