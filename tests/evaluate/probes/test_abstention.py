"""A model that knows where it errs is told from one that does not; texts out of scope are told apart or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

import data
from planted import Planted, planted_job
from zogan.config import AbstentionConfig
from zogan.data.rows import Row
from zogan.evaluate.probes.abstention import abstention
from zogan.tasks.job import Job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return planted_job(tmp_path_factory.mktemp("job"), "classification", test=data.text_rows(120))


def number(row: Row) -> int:
    return int(row.input.split()[-1])


def wrong(row: Row) -> bool:
    return number(row) % 4 == 0


def label(row: Row) -> str:
    return data.LABELS[(data.LABELS.index(row.target) + wrong(row)) % 3]


def knows(row: Row) -> tuple[str, float]:
    return label(row), (0.5 if wrong(row) else 0.9) + number(row) / 10_000


def surest_where_wrong(row: Row) -> tuple[str, float]:
    return label(row), (0.9 if wrong(row) else 0.5) + number(row) / 10_000


def test_risk_and_coverage(job: Job) -> None:
    options = AbstentionConfig(accuracy=0.9, limit=0.2)
    (found,) = abstention.look(Planted(job, {"before": knows, "after": surest_where_wrong}), options)
    assert found.before is not None
    assert found.outcome == "broken"
    # 30 of 120 rows are wrong and come first, so that the risk is 1 and then 30 of all that are answered
    assert found.value.value == pytest.approx((30 + sum(30 / at for at in range(31, 121))) / 120)
    # 90 right rows come first
    assert found.before.value == pytest.approx(sum((at - 90) / at for at in range(91, 121)) / 120)
    assert found.also == {"threshold": None, "coverage": 0.0}
    assert found.notes == ("no part of the rows is answered 90% right",)
    assert found.examples[0].what.startswith("answered before 99% of the rows")
    (clean,) = abstention.look(Planted(job, {"after": knows}), options)
    assert clean.outcome == "kept"
    assert clean.also["coverage"] == pytest.approx(100 / 120)
    assert clean.also["accuracy"] == pytest.approx(0.9)


def test_a_model_alike_sure_of_all_has_its_error_as_area(job: Job) -> None:
    (found,) = abstention.look(Planted(job, {"after": lambda row: (label(row), 0.6)}), AbstentionConfig())
    assert found.value.value == pytest.approx(0.25)


def test_out_of_scope(job: Job, tmp_path: Path) -> None:
    file = tmp_path / "strange.txt"
    file.write_text("".join(f"strange {place}\n\n" for place in range(200, 240)))

    def aware(row: Row) -> tuple[str, float]:
        return label(row), (0.4 if "strange" in row.input else 0.6) + number(row) / 1000

    def unaware(row: Row) -> tuple[str, float]:
        return label(row), 0.5 + number(row) / 1000

    options = AbstentionConfig(out_of_scope=file, precision=0.9, out_of_scope_limit=0.3)
    _, found = abstention.look(Planted(job, {"before": aware, "after": unaware}), options)
    assert found.before is not None
    assert (found.name, found.outcome) == ("abstention.out_of_scope", "broken")
    inside = [unaware(row)[1] for row in job.splits.test]
    outside = [0.5 + place / 1000 for place in range(200, 240)]
    area = roc_auc_score([1] * 120 + [0] * 40, np.array(inside + outside))
    assert found.value.value == pytest.approx(1 - area)
    assert found.before.value < 0.2
    assert found.examples[0].place == "strange.txt:79"
    _, clean = abstention.look(Planted(job, {"after": aware}), options)
    assert clean.outcome == "kept"
    assert (clean.also["answered_in_scope"] or 0) > 0.7
