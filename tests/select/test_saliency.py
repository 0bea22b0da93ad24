"""One pass: which weights may be chosen, what the pass reads, and the model as it was before."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from tiny_net import Batch, Net, Normed, batches, gradients, loss
from zogan.errors import ConfigError, ZoganError
from zogan.progress import Silent
from zogan.select.criteria import CRITERIA
from zogan.select.eligible import eligible, pool_of
from zogan.select.saliency import Loss, choose
from zogan.sparse.selection import Selection


def run(
    model: nn.Module,
    *,
    given: list[Batch] | None = None,
    of: Loss = loss,
    criterion: str = "gradient",
    density: float = 0.1,
    allocation: str = "global",
    include: str = "up|down",
    pattern: str = "elements",
    progress: Silent | None = None,
) -> Selection:
    return choose(
        model,
        batches() if given is None else given,
        of,
        CRITERIA[criterion],
        weights=eligible(model, include=include),
        density=density,
        allocation=allocation,
        seed=0,
        random=criterion == "random",
        pattern=pattern,
        block=4,
        progress=progress,
    )


def same(one: Selection, other: Selection) -> bool:
    return one.shapes == other.shapes and all(
        torch.equal(flat, other.positions[name]) for name, flat in one.positions.items()
    )


def test_the_model_is_left_as_it_was() -> None:
    model = Net()
    model.up.bias.requires_grad_(False)
    model.down.weight.requires_grad_(False)
    model.drop.eval()
    loss(model, batches()[0]).backward()  # type: ignore[no-untyped-call]
    model.pooler.weight.grad = torch.ones(8, 8)
    twin = copy.deepcopy(model)
    grads = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    run(model)
    assert [module.training for module in model.modules()] == [module.training for module in twin.modules()]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), twin.parameters(), strict=True))
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in twin.parameters()]
    assert {name for name, p in model.named_parameters() if p.grad is not None} == grads.keys()
    for name, grad in grads.items():
        now = model.get_parameter(name).grad
        assert now is not None
        assert torch.equal(now, grad)
    assert not any(p._post_accumulate_grad_hooks for p in model.parameters())


def test_also_where_the_loss_fails() -> None:
    model = Net()
    model.up.weight.requires_grad_(False)
    seen = []

    def fails(model: nn.Module, batch: Batch) -> Tensor:
        seen.append(batch)
        if len(seen) == 2:
            raise RuntimeError("out of luck")
        return loss(model, batch)

    with pytest.raises(RuntimeError, match="out of luck"):
        run(model, of=fails)
    assert model.training
    assert not model.up.weight.requires_grad
    assert all(p.grad is None and not p._post_accumulate_grad_hooks for p in model.parameters())


def test_what_stood_in_the_gradients_scores_nothing() -> None:
    model = Net()
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 1e6)
    assert same(run(model), run(Net()))


def test_dropout_rests() -> None:
    torch.manual_seed(1)
    first = run(Net())
    torch.manual_seed(2)
    assert same(run(Net()), first)
    assert same(run(Net().eval()), first)


def test_no_gradient_outlives_its_tensor() -> None:
    held: list[int] = []
    model = Net()

    def watch(model: nn.Module, batch: Batch) -> Tensor:
        held.append(sum(p.grad is not None for p in model.parameters()))
        return loss(model, batch)

    run(model, of=watch)
    assert held == [0, 0, 0]


def test_what_the_loss_never_reaches_counts_not() -> None:
    found = run(Net(), include="up|pooler", density=0.5)
    assert found.shapes == {"up.weight": (16, 8)}
    assert found.count == 64


def test_of_a_pattern_neither() -> None:
    found = run(Net(), include="up|pooler", density=0.5, pattern="coupled")
    assert found.shapes == {"up.weight": (16, 8)}
    assert found.count == 64


@pytest.mark.parametrize("criterion", ["gradient", "fisher", "contribution", "movement"])
def test_rows_take_the_best_by_their_mean(criterion: str) -> None:
    found = run(Net(), density=0.25, pattern="rows", criterion=criterion, include="up")
    rule, weight = CRITERIA[criterion], Net().up.weight.detach()
    assert rule.fold is not None
    scores = torch.zeros(16)
    for grads in gradients(Net(), ("up.weight",)):
        scores += rule.score(rule.fold(weight, grads["up.weight"])).mean(1)
    assert (found.positions["up.weight"][::8] // 8).tolist() == scores.topk(4).indices.sort().values.tolist()


@settings(max_examples=40, deadline=None)
@given(
    density=st.floats(0.0005, 1),
    allocation=st.sampled_from(["global", "tensor", "row"]),
    criterion=st.sampled_from(["gradient", "magnitude"]),
)
def test_the_share_is_never_passed(density: float, allocation: str, criterion: str) -> None:
    found = run(Net(), density=density, allocation=allocation, criterion=criterion, include=".*")
    total = sum(rows * columns for rows, columns in found.shapes.values())
    assert total == 128 + 128 + 24
    # One weight is the least there is.
    assert 1 <= found.count <= max(1, density * total)
    if allocation == "global":
        assert found.count == max(1, int(density * total))


@settings(max_examples=60, deadline=None)
@given(
    density=st.floats(0.15, 1),
    pattern=st.sampled_from(["rows", "columns", "blocks", "coupled"]),
    allocation=st.sampled_from(["global", "tensor"]),
    criterion=st.sampled_from(list(CRITERIA)),
)
def test_nor_is_that_of_a_pattern(density: float, pattern: str, allocation: str, criterion: str) -> None:
    found = run(Net(), density=density, pattern=pattern, allocation=allocation, criterion=criterion)
    assert 0 < found.count <= density * 256
    assert found.count % (16 if pattern in ("blocks", "coupled") else 8) == 0


@pytest.mark.parametrize("allocation", ["global", "tensor", "row"])
def test_allocations_take_the_best(allocation: str) -> None:
    found = run(Net(), given=batches(1), allocation=allocation, density=0.125)  # of one batch the pass is exact
    (grads,) = gradients(Net(), ("up.weight", "down.weight"), count=1)
    dense = {name: grad.abs() for name, grad in grads.items()}
    if allocation == "row":  # one of the eight of each row; of sixteen two
        for name, total in dense.items():
            flat, part = found.positions[name], total.shape[1] // 8
            kept = total.reshape(-1)[flat].view(-1, part).sort(descending=True).values  # (rows, part)
            assert torch.equal(flat // total.shape[1], torch.arange(len(total)).repeat_interleave(part))
            assert torch.equal(kept, total.topk(part, dim=1).values)
        return
    every = torch.cat([total.reshape(-1) for total in dense.values()])
    for name, total in dense.items():
        limit = every.topk(32).values[-1] if allocation == "global" else total.reshape(-1).topk(16).values[-1]
        assert found.positions[name].tolist() == (total.reshape(-1) >= limit).nonzero().squeeze(1).tolist()


def test_small_gradients_in_fp16_are_not_nothing() -> None:
    # The square of 1e-4 is 0 in fp16, and half of all scores would be ties.
    model = nn.Linear(8, 4, bias=False).half()
    x = 1e-4 * torch.arange(1, 33).view(4, 8)

    def tiny(model: nn.Module, batch: Tensor) -> Tensor:
        weight = model.get_parameter("weight")
        return (weight.float() * batch).sum()

    found = choose(
        model,
        [x],
        tiny,
        CRITERIA["fisher"],
        weights=eligible(model),
        density=0.25,
        allocation="global",
        seed=0,
        random=False,
    )
    assert found.positions["weight"].tolist() == list(range(24, 32))


@pytest.mark.parametrize("reentrant", [True, False])
def test_under_activation_checkpointing(reentrant: bool) -> None:
    class Checkpointed(Net):
        def forward(self, ids: Tensor) -> Tensor:
            hidden = self.embedding(ids).requires_grad_()
            hidden = checkpoint(lambda x: self.down(self.up(x).relu()), hidden, use_reentrant=reentrant)
            logits: Tensor = self.head(hidden.mean(1))
            return logits

    assert same(run(Checkpointed()), run(Net()))


def test_progress_is_told() -> None:
    class Heard(Silent):
        def __init__(self) -> None:
            self.said: list[Any] = []

        def start(self, stage: str, total: int) -> None:
            self.said.append((stage, total))

        def advance(self, done: int, **figures: float) -> None:
            self.said.append((done, round(figures["loss"], 4)))

    heard, model = Heard(), Net().eval()
    run(Net(), progress=heard)
    losses = [round(loss(model, batch).item(), 4) for batch in batches()]
    assert heard.said == [("select", 3), *((done, found) for done, found in enumerate(losses, start=1))]
    heard = Heard()
    run(Net(), progress=heard, criterion="magnitude")
    assert heard.said == [("select", 1), (1, losses[0])]


def steep(model: nn.Module, batch: Batch) -> Tensor:
    """A finite loss whose gradient is not: the root's slope at nothing."""
    nothing: Tensor = 0 * model(batch[0]).abs().sum()
    return nothing.sqrt()


@pytest.mark.parametrize(
    ("given", "of", "include", "said"),
    [
        ([], loss, "up", "the saliency pass needs at least one batch"),
        (None, lambda model, batch: loss(model, batch) * float("inf"), "up", "select: the loss of batch 1 is inf"),
        (None, loss, "pooler", "select: the loss reaches none of the weights that may be chosen"),
        (None, lambda model, batch: torch.zeros(()), "up", "the loss reaches none of the weights"),
        (None, steep, "up", r"up\.weight: a gradient is not finite\. Check the rows"),
    ],
)
def test_what_cannot_be_scored_is_refused(
    given: list[Batch] | None, of: Callable[[nn.Module, Batch], Tensor], include: str, said: str
) -> None:
    model = Net()
    with pytest.raises(ZoganError, match=said):
        run(model, given=given, of=of, include=include)
    assert model.training
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


HEAD = ("head.weight", "head.bias")
EVERY = ("matrices", "biases", "norms")
VECTORS = {"norm.weight": 8, "norm.bias": 8, "scale.weight": 16, "up.bias": 16}
"""Of `Normed`, beside 256 weights of its matrices: all that the loss reaches, but for the head's."""


def pooled(
    kinds: tuple[str, ...] = EVERY,
    density: float = 0.25,
    *,
    criterion: str = "gradient",
    pattern: str = "elements",
    allocation: str = "global",
) -> Selection:
    model = Normed()
    pool = pool_of(model, kinds, whole=HEAD)
    return choose(
        model,
        batches(),
        loss,
        CRITERIA[criterion],
        weights=pool.weights,
        density=density,
        allocation=allocation,
        seed=0,
        random=criterion == "random",
        pattern=pattern,
        block=4,
        counted=pool.counted,
        rowless=pool.tables,
        vectors=pool.vectors,
    )


def elements(found: Selection) -> int:
    return sum(len(flat) for flat in found.positions.values())


@pytest.mark.parametrize("criterion", sorted(CRITERIA))
def test_vectors_are_whole_and_as_many_fewer_elements_are_chosen(criterion: str) -> None:
    found, plain = pooled(criterion=criterion), pooled(("matrices",), criterion=criterion)
    assert found.whole == found.vectors == tuple(sorted(VECTORS))
    assert {name: found.shapes[name] for name in VECTORS} == {name: (size,) for name, size in VECTORS.items()}
    assert found.count == plain.count == elements(plain) == 64
    assert elements(found) == 64 - sum(VECTORS.values())
    # The best of those that are chosen without vectors.
    assert all(set(flat.tolist()) <= set(plain.positions[name].tolist()) for name, flat in found.positions.items())


@settings(max_examples=40, deadline=None)
@given(
    density=st.floats(0.19, 1),
    kinds=st.sets(st.sampled_from([*EVERY, "embeddings"]), min_size=1),
    allocation=st.sampled_from(["global", "tensor", "row"]),
)
def test_nor_is_that_with_vectors(density: float, kinds: set[str], allocation: str) -> None:
    found = pooled(tuple(sorted(kinds)), density, allocation=allocation)
    total = 256 + (80 if "embeddings" in kinds else 0)
    assert sum(shape.numel() for name in found.positions if (shape := torch.Size(found.shapes[name]))) == total
    assert found.count <= density * total
    if "matrices" in kinds:
        assert found.count == int(density * total)
    assert bool(found.vectors) == bool(kinds & {"biases", "norms"})


def test_vectors_may_fill_the_share() -> None:
    found = pooled(density=48 / 256)
    assert (found.count, elements(found)) == (48, 0)


@pytest.mark.parametrize(
    ("kinds", "density", "said"),
    [
        (
            EVERY,
            0.1,
            r"25 of 256 weights may change, and vectors that train whole hold 16 of biases and 32 of norms\. Take at "
            r"least 0\.2, or of these biases alone$",
        ),
        (("norms",), 0.1, r"whole hold 32 of norms\. Take at least 0\.13$"),
    ],
)
def test_vectors_that_do_not_fit_are_told_with_what_would(kinds: tuple[str, ...], density: float, said: str) -> None:
    with pytest.raises(ConfigError, match=r"^budget\.density: .*" + said):
        pooled(kinds, density)


def test_what_would_fit_does() -> None:
    assert pooled(density=0.2).count == 51
    assert pooled(("matrices", "biases"), 0.1).count == 25
    assert pooled(("norms",), 0.13).count == 32


def test_where_vectors_are_more_than_the_matrices_nothing_would() -> None:
    model = nn.Sequential(nn.Linear(1, 4), nn.LayerNorm(4))
    pool = pool_of(model, EVERY)
    with pytest.raises(ConfigError, match=r"4 of biases and 8 of norms\. Of these biases alone$"):
        choose(
            model,
            [torch.ones(2, 1)],
            lambda model, batch: model(batch).square().sum(),
            CRITERIA["gradient"],
            weights=pool.weights,
            density=1.0,
            allocation="global",
            seed=0,
            random=False,
            vectors=pool.vectors,
        )


def test_units_stand_beside_vectors() -> None:
    found = pooled(density=0.25, pattern="rows")
    assert (elements(found), found.count) == (16, 64)
    # A row holds 8, and of 51 that may change 3 are left.
    with pytest.raises(
        ConfigError, match=r"3 of 256 weights may change, and the smallest unit holds 8\. Take at least 0\.22"
    ):
        pooled(density=0.2, pattern="rows")
    assert elements(pooled(density=0.22, pattern="rows")) == 8


def test_kinds_alone() -> None:
    norms = pooled(("norms",))
    assert set(norms.whole) == {"norm.weight", "norm.bias", "scale.weight"}
    assert elements(norms) == 0
    assert norms.positions.keys() == {"up.weight", "down.weight"}  # of which the share is one
    tables = pooled(("embeddings",), 0.1)
    assert (tables.count, len(tables.positions["embedding.weight"]), tables.whole) == (33, 33, ())


@pytest.mark.parametrize("criterion", ["gradient", "fisher", "second_order"])
def test_embeddings_are_chosen_by_their_dense_scores(criterion: str) -> None:
    found, names = (
        pooled(("matrices", "embeddings"), 0.6, criterion=criterion),
        ("embedding.weight", "up.weight", "down.weight"),
    )
    rule, model, dense = CRITERIA[criterion], Normed(), {}
    assert rule.fold is not None
    for name in names:
        weight = model.get_parameter(name).detach()
        folded = torch.stack([rule.fold(weight, grads[name]) for grads in gradients(Normed(), names)])
        dense[name] = rule.score(folded.sum(0)).reshape(-1)
    kept = torch.cat([dense[name][found.positions[name]] for name in names])
    assert len(kept) == int(0.6 * 336)
    assert len(found.positions["embedding.weight"])
    torch.testing.assert_close(kept.sort().values, torch.cat(list(dense.values())).topk(len(kept)).values.sort().values)


@pytest.mark.parametrize("pattern", ["elements", "rows"])
def test_vectors_are_worth_what_their_elements_score(pattern: str) -> None:
    worth = pooled(pattern=pattern).meta["worth"]
    grads = torch.stack([grads["scale.weight"] for grads in gradients(Normed(), ("scale.weight",))])
    # As of the elements: the score of the sum, and of units the sum of the scores.
    expected = grads.sum(0).abs().sum() if pattern == "elements" else grads.abs().sum()
    assert worth["scale.weight"] == pytest.approx(expected.item(), rel=1e-3)
    assert worth.keys() == {"up.weight", "down.weight", *VECTORS}
