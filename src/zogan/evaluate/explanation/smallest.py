"""The smallest part of a patch that keeps the verdict: greedy backward elimination of layers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from zogan.data.rows import Row
from zogan.errors import DataError
from zogan.evaluate.evaluation import Evaluation, Evidence
from zogan.evaluate.evidence import evidence
from zogan.evaluate.explanation.paired import difference_of, value_of
from zogan.evaluate.explanation.part import LayerPart, layers_of, smaller
from zogan.evaluate.explanation.result import Confirmation, Rule, Smallest, Step, Worth
from zogan.evaluate.explanation.switching import Switched
from zogan.evaluate.metrics import Metric, metrics
from zogan.evaluate.protocol.protocol import Protocol
from zogan.evaluate.protocol.slices import members
from zogan.evaluate.verdict.judge import Costs, judge
from zogan.evaluate.verdict.verdict import Outcome, Standing
from zogan.patch import Patch
from zogan.tasks.job import Job
from zogan.tasks.task import Predictions

_EXPLORING = Standing(exploratory=(), frozen_at=None, looks=0)
_NO_TEST = "0" * 64


@dataclass(frozen=True, eq=False)
class Court:
    """Asks the protocol about parts of a patch, on rows of one split.

    Args:
        job: whose rows they are.
        protocol: in full, of one seed.
        rows: that were predicted.
        split: their name.
        rival: what the protocol holds the patch against, on these rows.
        costs: what the run measured of its limits; a part changes size and density alone.
    """

    job: Job
    protocol: Protocol
    rows: Sequence[Row]
    split: str
    rival: Predictions
    costs: Costs

    @property
    def metric(self) -> Metric:
        """That decides."""
        return metrics(self.protocol.task)[self.protocol.metric]

    def evidence(self, predictions: Predictions) -> Evidence:
        """What the protocol's clauses are judged by."""
        settings, seed = self.job.config.evaluate, self.job.config.train.seed
        return evidence(
            self.rows, [self.rival], [predictions], protocol=self.protocol, resamples=settings.resamples, seed=seed
        )

    def outcome(self, patch: Patch, found: Evidence) -> Outcome:
        """What the protocol says of a patch."""
        evaluation = Evaluation(
            task=self.protocol.task,
            split=self.split,
            rows=len(self.rows),
            before_is="head_only" if self.job.new_head else "base",
            level=self.job.config.evaluate.level,
            resamples=self.job.config.evaluate.resamples,
            metrics=(),
            before={},
            evidence=found,
        )
        costs = replace(self.costs, patch_bytes=patch.nbytes, density=patch.density)
        return judge(self.protocol, evaluation, costs, _EXPLORING, patch=patch.digest, test=_NO_TEST).outcome


def for_rows(protocol: Protocol, seed: int, rows: Sequence[Row]) -> Protocol:
    """The protocol of one seed, with the slices that have rows among these: others say nothing here.

    External sets and probes stay out of it: neither is measured on parts.
    """
    slices = {}
    for name, one in protocol.slices.items():
        try:
            members(rows, (one,))
        except DataError:
            continue
        slices[name] = one
    return protocol.model_copy(update={"seeds": (seed,), "slices": slices, "external": {}, "probes": {}})


def search(switched: Switched, court: Court, worth: Worth, whole: Predictions) -> tuple[Smallest, Patch]:
    """Leave out one layer after the other, the least worth first, as long as the verdict stays.

    Where the whole patch is not accepted on these rows, which may be fewer than the test rows, a part must not be shown
    to be worse than the whole at the level of the intervals.

    Args:
        switched: the model with the whole patch.
        court: on the same rows.
        worth: of each layer there.
        whole: predictions with the whole patch.

    Returns:
        What was found, not confirmed yet, and the smaller patch; the whole patch where nothing could be left out.
    """
    patch, metric, settings = switched.patch, court.metric, switched.job.config.evaluate
    first = court.outcome(patch, court.evidence(whole))
    rule: Rule = "verdict" if first == "accepted" else "no_worse"
    left, steps = list(layers_of(patch)), []
    for part in _least_first(left, worth):
        if len(left) == 1 and not patch.tensors and not patch.adapters:
            break  # a patch of nothing is none
        rest = [one for one in left if one is not part]
        said = switched.without([one for one in layers_of(patch) if one not in rest])
        outcome = court.outcome(_of(patch, rest), court.evidence(said))
        difference = difference_of(metric, whole, said, settings, switched.job.config.train.seed)
        kept = outcome == "accepted" if rule == "verdict" else difference.better is not False
        figure = value_of(metric, said)
        steps.append(Step(part=part.name, figure=figure, outcome=outcome, difference=difference, kept=kept))
        left = rest if kept else left
    found = patch if len(left) == len(worth.parts) else _of(patch, left)
    return (
        Smallest(
            rule=rule,
            split=switched.split,
            rows=len(court.rows),
            whole=first,
            steps=tuple(steps),
            parts=tuple(part.name for part in left),
            changed=found.count,
            density=found.density,
            patch=found.digest,
            patch_bytes=found.nbytes,
            confirmation=None,
        ),
        found,
    )


def confirm(court: Court, whole: tuple[Patch, Predictions], part: tuple[Patch, Predictions]) -> Confirmation:
    """Hold the part against the whole by the protocol, on the test rows.

    Args:
        court: on the test rows.
        whole: the patch, and what it said.
        part: the smaller patch, and what it said.
    """
    of_whole, of_part = (court.evidence(said) for _, said in (whole, part))
    first, second = court.outcome(whole[0], of_whole), court.outcome(part[0], of_part)
    return Confirmation(
        rows=of_part.rows,
        whole=first,
        part=second,
        whole_figure=of_whole.after,
        figure=of_part.after,
        difference=of_part.difference,
        kept=first == second,
    )


def _least_first(parts: Sequence[LayerPart], worth: Worth) -> list[LayerPart]:
    """The parts that do the least good first; of those that do as much, the one that changes the most."""
    sign = 1 if worth.higher_is_better else -1
    known = {one.part: (sign * one.worth.value, -one.changed) for one in worth.parts}
    return sorted(parts, key=lambda part: known[part.name])


def _of(patch: Patch, parts: Sequence[LayerPart]) -> Patch:
    return smaller(patch, frozenset[str]().union(*(part.tensors for part in parts)))
