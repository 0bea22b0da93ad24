"""A model that is surer than right is told from one that is as sure as right; a temperature mends it."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

import data
from planted import Planted, Says, planted_job
from zogan.config import CalibrationConfig
from zogan.data.rows import Row
from zogan.evaluate.probes.calibration import calibration, cooled, fitted_temperature
from zogan.tasks.task import ClassPredictions

ROWS = data.text_rows(600)


def chance(row: Row) -> float:
    return zlib.crc32(row.input.encode()) / 2**32


def model(shift: float) -> Says:
    """Sure from 0.5 to 0.95, and right so much less often."""

    def says(row: Row) -> tuple[str, float]:
        sure = 0.5 + 0.45 * (zlib.crc32(row.input[::-1].encode()) / 2**32)
        right = chance(row) < sure - shift
        place = data.LABELS.index(row.target)
        return data.LABELS[place if right else (place + 1) % 3], sure

    return says


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    job = planted_job(tmp_path_factory.mktemp("job"), "classification", test=ROWS)
    return Planted(job, {"before": model(0.0), "after": model(0.25)})


def test_a_shift_is_found_and_its_absence_too(bench: Planted) -> None:
    (found,) = calibration.look(bench, CalibrationConfig(limit=0.1))
    assert found.before is not None
    assert found.difference is not None
    assert found.value.value == pytest.approx(0.25, abs=0.05)
    assert found.outcome == "broken"
    assert (found.before.low, found.before.method) == (0.0, "basic")
    assert found.before.value < 0.1
    assert found.difference.low > 0.05
    (clean,) = calibration.look(Planted(bench.job, {"after": model(0.0)}), CalibrationConfig(limit=0.1))
    assert (clean.outcome, clean.before, clean.difference) == ("kept", None, None)


def test_a_temperature_mends_it(bench: Planted) -> None:
    (found,) = calibration.look(bench, CalibrationConfig())
    assert (found.also["temperature"] or 0) > 1.3
    assert (found.also["with_temperature"] or 1) < found.value.value / 2


def test_the_table_adds_up(bench: Planted) -> None:
    (found,) = calibration.look(bench, CalibrationConfig(bins=10))
    (table,) = found.tables
    assert [row[0] for row in table.rows] == [60] * 10
    gaps = [abs(float(sure or 0) - float(right or 0)) for _, sure, right in table.rows]
    assert float(np.mean(gaps)) == pytest.approx(found.value.value)


def test_the_worst_are_the_surest_faults(bench: Planted) -> None:
    (found,) = calibration.look(bench, CalibrationConfig())
    rows = {str(row.place): row for row in ROWS}
    sure = [bench.says["after"](rows[example.place])[1] for example in found.examples]
    assert sure == sorted(sure, reverse=True)
    assert all(bench.says["after"](rows[one.place])[0] != rows[one.place].target for one in found.examples)


def test_without_validation_rows_no_temperature_is_fitted(tmp_path: Path, bench: Planted) -> None:
    from dataclasses import replace

    job = replace(bench.job, splits=replace(bench.job.splits, validation=()))
    (found,) = calibration.look(Planted(job, {"after": model(0.0)}), CalibrationConfig())
    assert "temperature" not in found.also
    assert found.notes == ("no validation rows to fit a temperature on",)


def test_a_temperature_is_found_again() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(4000, 3)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    truth = np.array([generator.choice(3, p=row) for row in probabilities], dtype=np.int64)
    true = ClassPredictions(data.LABELS, truth, probabilities, np.zeros(4000))
    assert fitted_temperature(true) == pytest.approx(1, abs=0.1)
    sharp = cooled(true, 0.5)
    assert (sharp.choice == true.choice).all()
    assert fitted_temperature(sharp) == pytest.approx(2, abs=0.2)
