"""Rows are predicted once by each model, and each model is what it is said to be, in whatever order they are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import data
from planted import planted_job
from zogan.evaluate.probes.bench import Bench
from zogan.patch import Patch
from zogan.sparse.attach import Delta
from zogan.tasks.job import Job

NAME = "bert.encoder.layer.1.output.dense.weight"


def patch(job: Job, seed: int, **more: Any) -> Patch:
    model = job.task.model(seed=0)
    old = model.get_parameter(NAME).detach().reshape(-1).clone()
    new = old + torch.randn(old.shape, generator=torch.Generator().manual_seed(seed))
    delta = Delta(torch.arange(old.numel()), old, new)
    return Patch.capture(
        {NAME: delta},
        job.task.tensor_names(model),
        job.base.fingerprint,
        job.base.folder,
        task=job.task.describe(),
        **more,
    )


def test_each_model_is_itself_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = planted_job(tmp_path, "classification")
    bench = Bench(job, patch(job, 1), before=None, production=patch(job, 2), adapt=lambda model, patch: model)
    assert [bench.has(system) for system in ("base", "before", "after", "production")] == [True] * 4
    calls: list[int] = []
    plain = type(job.task).predict

    def predict(self: Any, model: Any, rows: Any, *rest: Any) -> Any:
        calls.append(len(rows))
        return plain(self, model, rows, *rest)

    monkeypatch.setattr(type(job.task), "predict", predict)
    first = {system: bench.classes(system, bench.test).losses for system in ("before", "after", "production")}
    assert len({losses.tobytes() for losses in first.values()}) == 3
    assert bench.classes("after", bench.test) is bench.on_test("after")
    assert len(calls) == 3
    again = bench.classes("before", bench.test[:12]).losses
    assert again == pytest.approx(first["before"][:12], abs=1e-6)
    assert bench.classes("base", bench.test[:12]).losses is again
    assert bench.model("after") is bench.model("after")


def test_adapters_leave_with_their_model(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification")
    name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
    one = patch(job, 1, adapters={name: torch.ones(2, 2)}, adapter={"r": 2})

    def adapt(model: torch.nn.Module, given: Patch) -> torch.nn.Module:
        assert given is one
        model.get_parameter("classifier.bias").data.add_(torch.tensor([5.0, 0.0, 0.0]))
        return model

    bench = Bench(job, one, before=None, production=None, adapt=adapt)
    before = bench.model("before").get_parameter("classifier.bias").clone()
    assert not torch.equal(bench.model("after").get_parameter("classifier.bias"), before)
    assert torch.equal(bench.model("before").get_parameter("classifier.bias"), before)


def test_drawn_rows_keep_their_order(tmp_path: Path) -> None:
    job = planted_job(tmp_path, "classification")
    bench = Bench(job, patch(job, 1), before=None, production=None, adapt=lambda model, patch: model)
    rows = data.text_rows(50)
    drawn = bench.draw(rows, 10)
    assert len(drawn) == 10
    assert [rows.index(row) for row in drawn] == sorted(rows.index(row) for row in drawn)  # type: ignore[arg-type]
    assert drawn == bench.draw(rows, 10)
    assert bench.draw(rows, 50) == tuple(rows)


@pytest.mark.parametrize("task", ["classification", "generation"])
def test_what_is_known_is_not_predicted_again(tmp_path: Path, task: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    job = planted_job(tmp_path, task)
    settings = job.config.evaluate.model_copy(update={"answers": 4, "max_new_tokens": 3})
    job = job.under(job.config.model_copy(update={"evaluate": settings}))
    model = job.task.model(seed=0)
    said = job.task.predict(model, job.splits.test, job.config.evaluate)
    none = Patch.capture({}, job.task.tensor_names(model), job.base.fingerprint, job.base.folder)
    first = Bench(job, none, before=None, production=None, adapt=lambda model, patch: model)
    known = Bench(job, none, before=None, production=None, adapt=lambda model, patch: model, known={"before": said})
    monkeypatch.setattr(known, "model", lambda system: pytest.fail("is predicted again"))
    assert known.on_test("before") is said
    chosen = [job.splits.test[place] for place in (3, 1)]
    found, expected = (bench.predictions("before", chosen, answers=2) for bench in (known, first))
    assert found.losses == pytest.approx(expected.losses, abs=1e-5)
    assert getattr(found, "answers", ()) == getattr(expected, "answers", ())
    if task == "generation":
        with pytest.raises(pytest.fail.Exception, match="predicted again"):
            known.predictions("before", job.splits.test[3:6], answers=3)  # the last two are not answered
