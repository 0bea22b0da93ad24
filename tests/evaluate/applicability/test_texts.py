"""Losses with rows shown are of the last answer alone, and neighbours lend the answers that they have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from data import make_config, write_splits
from tiny import tiny_decoder
from zogan.config import ProtocolConfig
from zogan.data.rows import DialogueRow
from zogan.evaluate.applicability.hidden import layers_of, nearest, prompts_of
from zogan.evaluate.applicability.texts import SHOWN, answered_by, look_at_texts
from zogan.models.load import quiet
from zogan.progress import Silent
from zogan.tasks import open_job
from zogan.tasks.generation import Generation
from zogan.tasks.job import Job


def job_of(folder: Path, max_length: int | None = None) -> Job:
    """Rows of which five together are within what the base reads; they may be held to fewer tokens."""
    with quiet():
        tiny_decoder(folder / "base")
    splits = write_splits(folder, "generation", train=9, validation=4, test=2)
    short = [f'{{"prompt": "a{i}", "response": "b{i}"}}\n' for i in range(13)]
    (folder / "train.jsonl").write_text("".join(short[:9]))
    (folder / "validation.jsonl").write_text("".join(short[9:]))
    settings = {"max_new_tokens": 3, "answers": 2}
    train = {"max_length": max_length}
    config = make_config(folder, "generation", data=splits, evaluate=settings, train=train)
    return open_job(config, cache=folder / "cache")


@pytest.mark.parametrize(("max_length", "before"), [(None, SHOWN), (80, 2), (30, 0)])
def test_losses_are_of_the_last_answer_after_the_nearest_rows(
    tmp_path: Path, max_length: int | None, before: int
) -> None:
    job = job_of(tmp_path, max_length)
    task = job.task
    assert isinstance(task, Generation)
    train = [row for row in job.splits.train if isinstance(row, DialogueRow)]
    judged = [row for row in job.splits.validation if isinstance(row, DialogueRow)]
    model = task.model(seed=0)
    states = [layers_of(job, model, prompts_of(task, rows), 4, Silent())[-1] for rows in (train, judged)]
    found = look_at_texts(job, model, train, judged, (states[0], states[1]), Silent())
    assert np.array_equal(found.losses[:, 1], found.shown[:, 1])  # as many tokens are judged
    assert found.before.tolist() == [before] * 4
    assert np.allclose(found.losses, found.shown) == (before == 0)
    closest = nearest(states[1], states[0], number=before)[2][::-1]
    messages = tuple(message for place in closest for message in train[place].messages) + judged[2].messages
    (example,) = task.encode([replace(judged[2], messages=messages)])
    assert not example.cut
    count = int(found.shown[2, 1])
    with torch.no_grad():
        logits = model(torch.tensor([example.ids])).logits[0].log_softmax(-1)
    learnt = [at for at, label in enumerate(example.labels) if label != -100][-count:]
    wanted = -sum(float(logits[at - 1, example.ids[at]]) for at in learnt)
    assert found.shown[2, 0] == pytest.approx(wanted, rel=1e-4)
    assert found.metric.name == "chrf"
    assert len(found.neighbours) == len(found.answers) == 4


def test_the_protocols_metric_counts_where_it_is_of_answers(tmp_path: Path) -> None:
    job = job_of(tmp_path)
    for given, taken in ((None, "chrf"), ("loss", "chrf"), ("rouge_l", "rouge_l")):
        config = job.config.model_copy(update={"protocol": ProtocolConfig(metric=given)})
        assert answered_by(job.under(config)).name == taken
