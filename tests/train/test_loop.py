"""The loop: it learns, stops early with the best values, and a killed run ends with the same bytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zogan.config import RegularizeConfig, TrainConfig
from zogan.data import batch
from zogan.errors import IntegrityError, ZoganError
from zogan.progress import Silent
from zogan.tasks.task import Batch, Monitor
from zogan.train.checkpoint import Checkpoint
from zogan.train.loop import Epoch, Trained, Watch, train
from zogan.train.regularize import Restraint


class Killed(Silent):
    """Stops the process' work at a step, as a signal would."""

    def __init__(self, step: int) -> None:
        self.step = step

    def advance(self, done: int, **figures: float) -> None:
        if done == self.step:
            raise KeyboardInterrupt


class Points:
    """Two moons of points, told apart by a small network."""

    def __init__(self, scores: list[float] | None = None) -> None:
        generator = torch.Generator().manual_seed(0)
        self.x = torch.randn(50, 4, generator=generator)
        self.y = (self.x[:, 0] * self.x[:, 1] > 0).long()
        self.lengths = list(range(50))
        self.scores = scores

    def batch(self, rows: list[int]) -> Batch:
        return {"x": self.x[rows], "labels": self.y[rows]}

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, int]:
        return nn.functional.cross_entropy(model(batch["x"]), batch["labels"], reduction="sum"), len(batch["labels"])

    def monitor(self, model: nn.Module) -> Monitor:
        model.eval()
        with torch.no_grad():
            loss = float(self.loss(model, {"x": self.x, "labels": self.y})[0]) / 50
        model.train()
        return Monitor(loss, (self.scores.pop(0),) if self.scores is not None else (loss,))


def network() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2))


def run(
    folder: Path,
    *,
    model: nn.Sequential | None = None,
    feed: Points | None = None,
    progress: Silent | None = None,
    regularize: RegularizeConfig | None = None,
    watch: Watch | None = None,
    **options: object,
) -> tuple[nn.Sequential, Trained]:
    model = model or network()
    settings = TrainConfig.model_validate({"epochs": 4, "batch_size": 8, "checkpoint_seconds": 0.0, **options})
    rates = dict.fromkeys((name for name, _ in model.named_parameters()), 0.01)
    log = folder / "metrics.jsonl"
    folder.mkdir(exist_ok=True)
    old = {name: p.detach().clone() for name, p in model.named_parameters() if name != "3.weight"}
    trained = train(
        model,
        feed or Points(),
        rates,
        settings,
        Checkpoint(folder, "key"),
        restraint=Restraint(regularize, old) if regularize else Restraint(),
        log=log,
        progress=progress or Silent(),
        watch=watch,
    )
    return model, trained


def values(model: nn.Module) -> bytes:
    return b"".join(p.detach().numpy().tobytes() for p in model.parameters())


def lines(folder: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in found]


def test_it_learns(tmp_path: Path) -> None:
    _, trained = run(tmp_path, epochs=40, patience=None)
    assert trained.epochs[-1].validation_loss < 0.5 * trained.epochs[0].validation_loss
    assert [epoch.epoch for epoch in trained.epochs] == list(range(1, 41))


def test_the_same_seed_gives_the_same_bytes_and_the_generator_is_left_alone(tmp_path: Path) -> None:
    state = torch.get_rng_state()
    first, _ = run(tmp_path / "a", model=network())
    torch.set_rng_state(state)
    second, _ = run(tmp_path / "b", model=network())
    other, _ = run(tmp_path / "c", seed=1)
    assert values(first) == values(second) != values(other)


def test_who_watches_is_given_each_epoch_and_may_end_the_training(tmp_path: Path) -> None:
    whole, trained = run(tmp_path / "whole")
    seen: list[Epoch] = []

    def watch(epoch: Epoch) -> None:
        seen.append(epoch)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "ended", watch=watch)
    again, _ = run(tmp_path / "ended", watch=seen.append)
    # What had been trained is not trained again, and told again.
    assert [epoch.epoch for epoch in seen] == [1, 2, 1, 2, 3, 4]
    assert [epoch.validation_score for epoch in seen[2:]] == [epoch.validation_score for epoch in trained.epochs]
    assert values(again) == values(whole)


@pytest.mark.parametrize("step", [1, 2, 6, 7, 8, 14, 27, 28])
def test_a_killed_run_ends_with_the_same_bytes(tmp_path: Path, step: int) -> None:
    whole, trained = run(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", progress=Killed(step))
    if step == 14:  # twice
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", progress=Killed(step + 3))
    torch.manual_seed(step)
    again, resumed = run(tmp_path / "killed")
    assert values(again) == values(whole)
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")
    figures = [(epoch.train_loss, epoch.validation_loss, epoch.best) for epoch in resumed.epochs]
    assert figures == [(epoch.train_loss, epoch.validation_loss, epoch.best) for epoch in trained.epochs]


@pytest.fixture
def uneven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows, and yet other neighbours in each epoch, so that a budget of tokens cuts them otherwise."""
    monkeypatch.setattr(batch, "_BATCHES_IN_A_CHUNK", 3)


@pytest.mark.usefixtures("uneven")
@pytest.mark.parametrize("step", [1, 17, 25, 40])
def test_so_does_one_whose_epochs_have_their_own_numbers_of_steps(tmp_path: Path, step: int) -> None:
    whole, _ = run(tmp_path / "whole", tokens_per_batch=100)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", tokens_per_batch=100, progress=Killed(step))
    again, _ = run(tmp_path / "killed", tokens_per_batch=100)
    assert values(again) == values(whole)
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")


class Started(Silent):
    """Keeps the number of steps that is told beforehand."""

    def start(self, stage: str, total: int) -> None:
        self.total = total


@pytest.mark.usefixtures("uneven")
def test_the_schedule_ends_with_the_last_step_whatever_the_epochs_hold(tmp_path: Path) -> None:
    listener = Started()
    run(tmp_path, tokens_per_batch=100, patience=None, warmup=0.0, progress=listener)
    steps = [line for line in lines(tmp_path) if line["kind"] == "step"]
    each = [sum(line["epoch"] == epoch for line in steps) for epoch in (1, 2, 3, 4)]
    assert len(set(each)) > 1, "the case is of epochs that differ"
    assert listener.total == len(steps) == sum(each)
    assert steps[-1]["rate"] == pytest.approx(0.01 / len(steps))


HELD = RegularizeConfig(decay=0.5, threshold=0.2, mixout=0.2, average=0.6, interpolate=2)


@pytest.mark.parametrize("step", [3, 14, 20, 28])
def test_so_does_one_that_is_held_back(tmp_path: Path, step: int) -> None:
    whole, trained = run(tmp_path / "whole", regularize=HELD)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", regularize=HELD, progress=Killed(step))
    torch.manual_seed(step)
    again, resumed = run(tmp_path / "killed", regularize=HELD)
    assert values(again) == values(whole) != values(run(tmp_path / "free")[0])
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")
    assert resumed.interpolation == trained.interpolation
    assert len(trained.interpolation) == 4


class Broken(Points):
    """Stops at a look at the validation rows."""

    def __init__(self, look: int) -> None:
        super().__init__()
        self.look = look

    def monitor(self, model: nn.Module) -> Monitor:
        self.look -= 1
        if not self.look:
            raise KeyboardInterrupt
        return super().monitor(model)


@pytest.mark.parametrize("look", [4, 5, 7])
def test_so_does_one_that_was_killed_while_it_was_validated(tmp_path: Path, look: int) -> None:
    whole, _ = run(tmp_path / "whole", regularize=HELD)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", regularize=HELD, feed=Broken(look))
    again, _ = run(tmp_path / "killed", regularize=HELD)
    assert values(again) == values(whole)
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")


def test_the_mean_of_the_last_steps_is_what_is_validated_and_kept(tmp_path: Path) -> None:
    feed = Points()
    model, trained = run(tmp_path, feed=feed, regularize=RegularizeConfig(average=0.5), patience=None)
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    assert state["restraint"]["count"] == 14  # of 28
    assert trained.epochs[-1].best, "the case is of a mean that is the best"
    for name, parameter in model.named_parameters():
        assert torch.equal(parameter, state["restraint"]["values"][name])
        assert not torch.equal(parameter, state["values"][name]), "training went on from its own values"
    assert feed.monitor(model).loss == trained.epochs[-1].validation_loss


def test_what_lies_between_old_and_new_is_told(tmp_path: Path) -> None:
    feed = Points([3.0, 2.0, 2.5, 2.5, 9.0, 1.0, 2.0, 9.0])
    _, trained = run(tmp_path, feed=feed, regularize=RegularizeConfig(interpolate=2), patience=None)
    told = [line for line in lines(tmp_path) if line["kind"] == "interpolation"]
    assert [(line["share"], line["best"]) for line in told] == [(0.0, False), (0.5, True), (1.0, False), (1.5, False)]
    assert [line["validation_loss"] for line in told] == [point.validation_loss for point in trained.interpolation]
    # All of the new values are those of the best epoch.
    assert trained.interpolation[2].validation_loss == trained.epochs[1].validation_loss


def test_a_state_of_another_run_is_not_taken_up(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=Killed(9))
    model = network()
    kept = dict(model.named_parameters())
    assert Checkpoint(tmp_path, "other").load(kept) is None
    assert Checkpoint(tmp_path, "key").load({"0.weight": kept["0.weight"]}) is None
    assert values(model) == values(network())


def test_a_damaged_state_is_told(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, progress=Killed(9))
    path = tmp_path / "state.pt"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(IntegrityError, match=r"state\.pt: cannot be read.*Delete the checkpoint to start over"):
        run(tmp_path)


def test_it_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    _, trained = run(tmp_path / "a", feed=Points([3.0, 2.0, 2.5, 2.5, 1.0]), epochs=5, patience=2)
    assert [epoch.best for epoch in trained.epochs] == [True, True, False, False]
    best, _ = run(tmp_path / "a2", feed=Points([3.0, 2.0, 2.5, 2.5, 1.0]), epochs=5, patience=2)
    two, _ = run(tmp_path / "b", feed=Points([3.0, 2.0, 9.0, 9.0, 9.0]), epochs=5, patience=None)
    assert values(best) == values(two)


def test_no_patience_means_all_epochs(tmp_path: Path) -> None:
    _, trained = run(tmp_path, feed=Points([1.0, 2.0, 3.0, 4.0]), patience=None)
    assert len(trained.epochs) == 4


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
def test_the_rate_rises_and_decays(tmp_path: Path, decay: str) -> None:
    run(tmp_path, decay=decay, warmup=0.25)
    rates = [float(str(line["rate"])) for line in lines(tmp_path) if line["kind"] == "step"]
    assert rates[0] < rates[3] < rates[6]
    assert (rates[-1] == pytest.approx(0.01)) if decay == "constant" else (rates[-1] < 0.002)


def test_accumulated_batches_are_one_larger_batch(tmp_path: Path) -> None:
    def plain() -> nn.Sequential:
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 2))

    small, _ = run(tmp_path / "a", model=plain(), epochs=1, batch_size=25, accumulate=2, warmup=0.0)
    large, _ = run(tmp_path / "b", model=plain(), epochs=1, batch_size=50, warmup=0.0)
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_bf16(tmp_path: Path) -> None:
    model, trained = run(tmp_path, precision="bf16", epochs=10)
    assert trained.epochs[-1].train_loss < trained.epochs[0].train_loss
    assert next(model.parameters()).dtype == torch.float32
    assert not hasattr(model, "_original_forward")


def test_bad_input_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ZoganError, match="there is nothing to train"):
        run(tmp_path, model=network().requires_grad_(False))
    empty = Points()
    empty.lengths = []
    with pytest.raises(ZoganError, match="there are no rows to train on"):
        run(tmp_path, feed=empty)
    broken = Points()
    broken.x = broken.x * float("nan")
    with pytest.raises(ZoganError, match=r"train: the loss is nan\. Lower train\.rate"):
        run(tmp_path, feed=broken)
