"""What each layer's changes are worth: the figure with the whole patch less that with the layer switched off."""

from __future__ import annotations

from collections.abc import Sequence

from zogan.evaluate.explanation.paired import difference_of, value_of
from zogan.evaluate.explanation.part import LayerPart, layers_of
from zogan.evaluate.explanation.result import PartWorth, Worth
from zogan.evaluate.explanation.switching import Switched
from zogan.evaluate.metrics import Metric
from zogan.tasks.task import Predictions


def worth(switched: Switched, metric: Metric, whole: Predictions) -> Worth:
    """Switch off one layer at a time.

    Leaving one out, after Covert, Lundberg and Lee, "Explaining by removing", JMLR 22 (2021): layers that stand in for
    each other may each be worth little, and much together.

    Args:
        switched: the model.
        metric: the protocol's figure.
        whole: predictions with the whole patch.
    """
    job, parts = switched.job, layers_of(switched.patch)
    settings, seed = job.config.evaluate, job.config.train.seed

    def without(some: Sequence[LayerPart], name: str, layer: int | None) -> PartWorth:
        left = switched.without(some) if some else whole
        return PartWorth(
            part=name,
            layer=layer,
            changed=sum(len(switched.patch.changes[tensor].positions) for part in some for tensor in part.tensors),
            without=value_of(metric, left),
            worth=difference_of(metric, left, whole, settings, seed),
        )

    return Worth(
        metric=metric.name,
        higher_is_better=metric.higher_is_better,
        split=switched.split,
        rows=len(metric.rows(whole)),
        level=settings.level,
        whole=value_of(metric, whole),
        parts=tuple(without([part], part.name, part.layer) for part in parts),
        together=without(parts, "all", None),
        cut=switched.cut,
    )
