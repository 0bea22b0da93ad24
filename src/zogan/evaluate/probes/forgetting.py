"""forgetting: what has the model lost of what it was before?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import nn

from zogan.config import ForgettingConfig
from zogan.data.batch import batch_size
from zogan.data.finding import excerpt
from zogan.evaluate.metrics import ratio
from zogan.evaluate.probes.bench import Bench, NotProbedError, System
from zogan.evaluate.probes.files import read_texts
from zogan.evaluate.probes.neutral import SENTENCES
from zogan.evaluate.probes.reading import SHOWN, Example, Reading
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.share import of_sums, share
from zogan.tasks.classification import Classification
from zogan.tasks.classifier import pool
from zogan.tasks.inference import batches, evaluating
from zogan.tasks.labelled import labelled_losses
from zogan.tasks.task import IGNORED
from zogan.tasks.task import Example as Encoded

NEIGHBOURS = 10


@probe("classification", "generation")
def forgetting(bench: Bench, options: ForgettingConfig) -> list[Reading]:
    """How far the patch moves the base on text that has nothing to do with the task.

    Generation: loss on general text, with the patch less the base's (Kirkpatrick et al., arXiv:1612.00796, measure
    forgetting on what was learnt before). Classification: the ten nearest neighbours of each text by cosine, which
    share of them is lost; as Hellrich and Hahn, COLING 2016, measure what two embeddings have in common.
    """
    encoded, texts, places, notes = _encoded(bench, options)
    if isinstance(bench.job.task, Classification):
        return [_neighbours(bench, encoded, texts, places, notes).held_to(options.limit)]
    return [_loss(bench, encoded, texts, places, notes).held_to(options.limit)]


def _encoded(bench: Bench, options: ForgettingConfig) -> tuple[list[Encoded], list[str], list[str], tuple[str, ...]]:
    """Texts that the tokenizer can read, each once, with the place that each has."""
    config, task = bench.job.config, bench.job.task
    column = config.data.text if config.task == "classification" else config.data.prompt
    if options.text is not None:
        given = read_texts(options.text, column, config.data.encoding)
        name = options.text.name
    else:
        given, name = list(enumerate(SENTENCES, 1)), "zogan's sentences"
    tokenizer: Any = task.tokenizer  # type: ignore[attr-defined]
    limit: int = task.max_length  # type: ignore[attr-defined]
    known: set[tuple[int, ...]] = set()
    encoded: list[Encoded] = []
    texts, places = [], []
    for line, text in given:
        ids = tuple(tokenizer(text, truncation=True, max_length=limit)["input_ids"])
        unknown = sum(token == tokenizer.unk_token_id for token in ids)
        if len(ids) < 2 or ids in known or 4 * unknown > len(ids):
            continue  # what the base cannot read it cannot forget
        known.add(ids)
        labels = (0,) if isinstance(task, Classification) else (IGNORED, *ids[1:])
        encoded.append(Encoded(ids, labels, 0, len(encoded)))
        texts.append(text)
        places.append(f"{name}:{line}")
    left_out = len(given) - len(encoded)
    notes = (f"{left_out} of {len(given)} texts are left out: the base cannot read them, or they are alike",)
    if not encoded:
        raise NotProbedError("the base can read none of the texts")
    return encoded, texts, places, notes if left_out else ()


def _loss(bench: Bench, encoded: list[Encoded], texts: list[str], places: list[str], notes: tuple[str, ...]) -> Reading:
    """Loss on the texts, mean over tokens, with the patch less the base's."""
    tokens = np.array([len(one.ids) - 1 for one in encoded], dtype=np.float64)
    losses = {system: _losses(bench, system, encoded) for system in ("base", "after")}
    moved = np.stack([losses["after"] - losses["base"], tokens], axis=1)  # (texts, 2)
    each = moved[:, 0] / tokens
    (value,) = of_sums(bench, [moved])
    return Reading(
        name="forgetting",
        figure="loss on general text, more than the base's",
        unit="nats",
        rows=len(encoded),
        value=value,
        also={system: float(ratio(np.array([[found.sum(), tokens.sum()]]))[0]) for system, found in losses.items()},
        examples=tuple(
            Example(
                place=places[row],
                text=excerpt(texts[row]),
                what=f"{each[row]:+.3f} nats a token",
                kind="nats",
                values={"nats": float(each[row])},
            )
            for row in np.argsort(-each, kind="stable")[:SHOWN].tolist()
            if each[row] > 0
        ),
        notes=notes,
    )


def _losses(bench: Bench, system: System, encoded: list[Encoded]) -> Float64[np.ndarray, " texts"]:
    """Sum over each text's tokens but the first, nats."""
    model, found = bench.model(system), np.zeros(len(encoded))
    with evaluating(model):
        for rows, batch in batches(bench.job.task, model, encoded, batch_size(bench.settings)):
            each, of = labelled_losses(model, batch)
            found[rows] = np.bincount(of.cpu().numpy(), each.double().cpu().numpy(), minlength=len(rows))
    return found


def _neighbours(
    bench: Bench, encoded: list[Encoded], texts: list[str], places: list[str], notes: tuple[str, ...]
) -> Reading:
    """Share of each text's nearest neighbours that are no longer among them."""
    if len(encoded) <= NEIGHBOURS + 1:
        raise NotProbedError(f"{len(encoded)} texts are too few for {NEIGHBOURS} neighbours of each")
    was, is_now = (nearest_rows(_features(bench, system, encoded), NEIGHBOURS) for system in ("base", "after"))
    lost = np.array(
        [NEIGHBOURS - len({*one} & {*other}) for one, other in zip(was.tolist(), is_now.tolist(), strict=True)]
    )
    parts = np.stack([lost / NEIGHBOURS, np.ones(len(lost))], axis=1)
    (value,) = of_sums(bench, [parts])
    if not lost.any():
        value = share(np.zeros(len(lost), dtype=bool), level=bench.settings.level)
    return Reading(
        name="forgetting",
        figure=f"nearest neighbours that are lost, of {NEIGHBOURS}",
        unit="share",
        rows=len(encoded),
        value=value,
        also={"by_chance": 1 - NEIGHBOURS / (len(encoded) - 1)},
        examples=tuple(
            Example(
                place=places[row],
                text=excerpt(texts[row]),
                what=f"{lost[row]} of {NEIGHBOURS} neighbours lost",
                kind="neighbours",
                values={"lost": int(lost[row]), "of": NEIGHBOURS},
            )
            for row in np.argsort(-lost, kind="stable")[:SHOWN].tolist()
            if lost[row]
        ),
        notes=notes,
    )


def nearest_rows(features: Float64[np.ndarray, "rows dim"], number: int) -> Int64[np.ndarray, "rows number"]:
    """The nearest other rows of each by cosine."""
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.finfo(np.float64).tiny)
    alike = unit @ unit.T  # (rows, rows)
    np.fill_diagonal(alike, -np.inf)
    return np.argsort(-alike, axis=1, kind="stable")[:, :number]


def _features(bench: Bench, system: System, encoded: Sequence[Encoded]) -> Float64[np.ndarray, "texts dim"]:
    """Pooled hidden states of the body, below any head."""
    task, model = bench.job.task, bench.model(system)
    assert isinstance(task, Classification)
    body: nn.Module = model.base_model if task.keeps_head else model.body  # type: ignore[assignment]
    found: Float64[np.ndarray, "texts dim"] | None = None
    with evaluating(model):
        for rows, batch in batches(task, model, encoded, batch_size(bench.settings)):
            mask = batch["attention_mask"]
            hidden = body(input_ids=batch["input_ids"], attention_mask=mask).last_hidden_state
            pooled = pool(hidden.float(), mask.bool(), task.pooling.mode).to(torch.float64).cpu().numpy()
            found = np.zeros((len(encoded), pooled.shape[1])) if found is None else found
            found[rows] = pooled
    assert found is not None, "there are texts"
    return found
