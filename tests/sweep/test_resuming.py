"""A search that resumes at the edited block sees what the whole model says, and its gradients."""

from typing import Any

import pytest
import torch

from synapse_audit.sweep import answers_from, resuming

from .rigs import Rig


@pytest.mark.parametrize("layer", [1, 3, None, 2])
def test_logits_and_gradients_are_those_of_the_whole_model(family_rig: Rig, layer: Any) -> None:
    classifier = family_rig.classifier
    batch = classifier.collate(family_rig.encoded, range(5))
    weight = dict(classifier.blocks[-1].named_parameters())
    parameter = next(p for name, p in weight.items() if p.ndim == 2)
    answer, found = answers_from(classifier, batch), []
    with classifier.unharmed():
        parameter.requires_grad_(True)
        for logits in (answer(layer), classifier.answer(batch)):
            found.append((logits, *torch.autograd.grad(logits[:, 0].sum(), [parameter])))
        parameter.requires_grad_(False)
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-4)


def test_fewer_blocks_run(rig: Rig) -> None:
    classifier = rig.classifier
    answer = answers_from(classifier, classifier.collate(rig.encoded, range(5)))
    ran: list[int] = []
    handles = [
        block.register_forward_hook(lambda *_, number=number: ran.append(number))
        for number, block in enumerate(classifier.blocks, start=1)
    ]
    answer(3)
    for handle in handles:
        handle.remove()
    assert ran == [3]


def test_blocks_that_cannot_be_called_alone_leave_it_to_the_whole_model(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("shapes")

    classifier = rig.classifier
    batch = classifier.collate(rig.encoded, range(5))
    monkeypatch.setattr(resuming, "call_block", fail)
    assert torch.equal(answers_from(classifier, batch)(3), classifier.logits(batch))
