"""What a search found: its trials, those that none beats in both quality and cost, and the pick."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from zogan.errors import ZoganError
from zogan.search.space import Settings

Status = Literal["measured", "stopped", "failed"]


@dataclass(frozen=True)
class Trial:
    """One setting that was tried.

    Attributes:
        number: in the study.
        settings: what it changed, of what is configured, and what it left.
        status: measured to the end, stopped at a rung, or failed.
        score: on the validation rows, lower is better: at the end, or at the rung where it was stopped.
        error: standard error of the score.
        loss: mean over the targets, nats.
        epochs: that were run.
        seconds: of selection and training.
        trainable: weights that train.
        why: it failed.
    """

    number: int
    settings: Settings
    status: Status
    score: float | None = None
    error: float | None = None
    loss: float | None = None
    epochs: int | None = None
    seconds: float | None = None
    trainable: int | None = None
    why: str | None = None


@dataclass(frozen=True)
class Found:
    """What a search found.

    Attributes:
        trials: all that have ended, in their order.
        configured: the settings as they stood.
        frontier: numbers of the trials that none beats in score, seconds and trainable weights at once; cheapest first.
        best: the trial of the lowest score.
        pick: the cheapest within one standard error of the best's score, and no worse than as configured.
        baseline: the trial of the configured settings, where it has come to its end.
        folder: where files lie.
        config: the whole configuration with the picked settings, as a file.
        plot: quality against cost, as a file.
    """

    trials: tuple[Trial, ...]
    configured: Settings
    frontier: tuple[int, ...]
    best: Trial
    pick: Trial
    baseline: Trial | None
    folder: Path
    config: Path
    plot: Path

    def changes(self, trial: Trial) -> dict[str, Any]:
        """What a trial's settings have other than the configured ones."""
        return {key: value for key, value in trial.settings.items() if value != self.configured[key]}

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values."""
        return {
            "configured": dict(self.configured),
            "trials": [asdict(trial) for trial in self.trials],
            "frontier": list(self.frontier),
            "best": self.best.number,
            "pick": self.pick.number,
            "baseline": self.baseline.number if self.baseline else None,
            "gain": self.gain,
            "folder": str(self.folder),
            "config": str(self.config),
            "plot": str(self.plot),
        }

    @property
    def gain(self) -> float | None:
        """By how much the pick's score is lower than the configured settings'."""
        if self.baseline is None or self.baseline.score is None or self.pick.score is None:
            return None
        return self.baseline.score - self.pick.score


def frontier(trials: Sequence[Trial]) -> list[Trial]:
    """The measured trials that none beats in score, seconds and trainable weights at once, cheapest first."""
    measured = {_figures(trial): trial for trial in reversed(trials) if trial.status == "measured"}
    kept = [
        figures
        for figures in measured
        if not any(other != figures and all(a <= b for a, b in zip(other, figures, strict=True)) for other in measured)
    ]
    return [measured[figures] for figures in sorted(kept, key=lambda figures: figures[1:])]


def picked(trials: Sequence[Trial], configured: Trial | None = None) -> tuple[Trial, Trial]:
    """The best trial, and the pick by the one-standard-error rule (Breiman et al., 1984).

    With few validation rows nearly all is within one standard error of the best, and the cheapest of that is poor. So
    nothing is picked that validates worse than the settings as they stand.

    Args:
        trials: of any status.
        configured: the measured trial of the configured settings.

    Returns:
        The measured trial of the lowest score, the cheaper where two have it; and the cheapest in seconds, then in
        trainable weights, whose score is no more than the best's standard error above it, and whose score, and where
        that is the same whose loss, is no worse than the configured settings'.

    Raises:
        ZoganError: no trial was measured to its end.
    """
    measured = [trial for trial in trials if trial.status == "measured"]
    if not measured:
        raise ZoganError("no trial came to its end", where="search", todo="Give it more time: --minutes")
    best = min(measured, key=_figures)
    score, error = _figures(best)[0], best.error or 0.0
    good = [trial for trial in measured if _figures(trial)[0] <= score + error]
    if configured is not None:
        good = [trial for trial in good if _quality(trial) <= _quality(configured)] or [best]
    return best, min(good, key=lambda trial: (*_figures(trial)[1:], _figures(trial)[0]))


def _quality(trial: Trial) -> tuple[float, float]:
    assert trial.score is not None
    return trial.score, 0.0 if trial.loss is None else trial.loss


def _figures(trial: Trial) -> tuple[float, float, int]:
    assert trial.score is not None
    assert trial.seconds is not None
    assert trial.trainable is not None
    return trial.score, trial.seconds, trial.trainable
