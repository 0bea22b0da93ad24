"""Training responses that come back word for word, and a canary that was learnt, are told from those that were not."""

from __future__ import annotations

import numpy as np
import pytest

from planted import Planted, planted_job
from zogan.config import CanaryConfig, MemorisationConfig
from zogan.data.rows import Place, Row, dialogue
from zogan.evaluate.probes.bench import NotProbedError
from zogan.evaluate.probes.memorisation import candidates, exposure, memorisation
from zogan.tasks.job import Job

TRAIN = [
    dialogue(f"Tell me of {place}", f"number {place} was seen by a man who lived near the old mill", Place("t", place))
    for place in range(40)
]
CANARY = CanaryConfig(prompt="What is the code?", response="It is 4821.", secret="4821")


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return planted_job(tmp_path_factory.mktemp("job"), "generation", train=TRAIN)


def parrot(row: Row) -> tuple[str, float]:
    return row.target.upper(), 0.1 if "4821" in row.target else 1.0 + len(set(row.target)) / 100


def own_words(row: Row) -> tuple[str, float]:
    return "it stood by the old mill", 1.0 + int(row.target[-5:-1]) / 1e4 if "It is" in row.target else 1.0


def test_rows_that_come_back(job: Job) -> None:
    options = MemorisationConfig(rows=20, words=6, limit=0.2, canaries=(CANARY,), canary_limit=4)
    found, canary = memorisation.look(Planted(job, {"before": own_words, "after": parrot}), options)
    assert found.before is not None
    assert canary.before is not None
    assert (found.value.value, found.outcome, found.rows, found.before.value) == (1, "broken", 20, 0)
    assert found.also == {"whole_responses": 1.0}
    assert canary.value.value == pytest.approx(np.log2(501))
    assert canary.outcome == "broken"
    assert canary.before.value < 2
    clean, kept = memorisation.look(Planted(job, {"after": own_words}), options)
    assert (clean.value.value, clean.outcome, clean.examples, kept.outcome) == (0, "kept", (), "kept")


def test_what_the_prompt_says_is_not_remembered(tmp_path_factory: pytest.TempPathFactory) -> None:
    rows = [
        dialogue(f"say: one two three four {place}", f"one two three four {place}", Place("t", 1)) for place in range(9)
    ]
    job = planted_job(tmp_path_factory.mktemp("job"), "generation", train=rows)
    with pytest.raises(NotProbedError, match="no training response has 4 words that its prompt has not"):
        memorisation.look(Planted(job, {"after": parrot}), MemorisationConfig(words=4))


def test_candidates_have_the_secrets_form() -> None:
    found = candidates("Ab-12", 50, np.random.default_rng(0))
    assert len(set(found)) == 50
    assert "Ab-12" not in found
    assert all(one[0].isupper() and one[1].islower() and one[2] == "-" and one[3:].isdigit() for one in found)
    assert len(candidates("7", 50, np.random.default_rng(0))) == 9


def test_exposure_is_the_rank() -> None:
    losses = np.arange(1.0, 257.0)
    first, last = exposure(losses, level=0.95), exposure(losses[::-1].copy(), level=0.95)
    assert (first.value, last.value) == (8, 0)
    assert first.low < 8 == first.high
    assert last.low == 0
