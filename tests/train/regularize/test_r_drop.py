"""R-Drop is the paper's formula, and asks for dropout."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, kl_div

from zogan.errors import ConfigError
from zogan.train.regularize.r_drop import check_dropout, r_drop


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_it_is_both_cross_entropies_and_both_divergences(smoothing: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(10, 4, generator=generator, requires_grad=True)
    targets = torch.randint(0, 4, (5,), generator=generator)
    found = r_drop(logits, targets.repeat(2), 0.7, smoothing) / 10
    p, q = logits[:5].log_softmax(1), logits[5:].log_softmax(1)
    crosses = [cross_entropy(part, targets, label_smoothing=smoothing) for part in (logits[:5], logits[5:])]
    apart = [kl_div(q, p, reduction="batchmean", log_target=True), kl_div(p, q, reduction="batchmean", log_target=True)]
    known = (crosses[0] + crosses[1]) / 2 + 0.7 * (apart[0] + apart[1]) / 2
    torch.testing.assert_close(found, known)
    torch.testing.assert_close(*(torch.autograd.grad(loss, logits, retain_graph=True)[0] for loss in (found, known)))


def test_equal_passes_are_no_apart() -> None:
    logits, targets = torch.eye(3).repeat(2, 1), torch.arange(3).repeat(2)
    assert r_drop(logits, targets, 100.0) == cross_entropy(logits, targets, reduction="sum")


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_a_model_without_dropout_is_refused(chance: float) -> None:
    model = nn.Sequential(nn.Linear(8, 64), nn.Dropout(chance)).eval()
    generator = torch.get_rng_state()
    if chance:
        check_dropout(model, lambda: model(torch.ones(8)).sum())
    else:
        with pytest.raises(ConfigError, match=r"regularize\.r_drop: two passes over a row are equal.*Set regularize"):
            check_dropout(model, lambda: model(torch.ones(8)).sum())
    assert not any(module.training for module in model.modules())
    assert torch.equal(torch.get_rng_state(), generator)
