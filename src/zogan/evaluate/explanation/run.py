"""All of an explanation, from a run's folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from zogan.errors import ConfigError, IntegrityError, RunError
from zogan.evaluate import predictions
from zogan.evaluate.comparison.side import config_of
from zogan.evaluate.explanation.attribution import require_captum
from zogan.evaluate.explanation.paired import needs_answers
from zogan.evaluate.explanation.result import Explanation, Smallest, Worth
from zogan.evaluate.explanation.rows import explain_rows, in_fp32
from zogan.evaluate.explanation.smallest import Court, confirm, for_rows, search
from zogan.evaluate.explanation.switching import Switched
from zogan.evaluate.explanation.wanted import Wanted, a_text, numbered, telling
from zogan.evaluate.explanation.where import where
from zogan.evaluate.explanation.worth import worth
from zogan.evaluate.predictions import Predicted
from zogan.evaluate.probes.bench import Bench
from zogan.evaluate.protocol.protocol import Protocol, deciding, in_full
from zogan.evaluate.protocol.sample import digest_of_test
from zogan.evaluate.run import made_for, predict
from zogan.evaluate.verdict.judge import Costs
from zogan.patch import Patch
from zogan.progress import Progress
from zogan.tasks.job import Job, Split, open_job
from zogan.tasks.task import Predictions
from zogan.train.methods import load_adapters
from zogan.train.need import to_evaluate
from zogan.train.plan import plan_for

Looked = Callable[[str, str], None]
"""Told of each look at the test rows: digests of the patch and of the rows, SHA-256 in hex."""


def explain_run(
    run: Path,
    *,
    rows: Sequence[int],
    texts: Sequence[str],
    smallest: Path | None,
    cache: Path | None,
    progress: Progress,
    looked: Looked | None,
) -> Explanation:
    """See `zogan.explain_run`."""
    tuned = _Tuned(run, cache, progress)
    asked = [numbered(tuned.job, number) for number in rows] + [a_text(tuned.job, text) for text in texts]
    found = Explanation(
        task=tuned.job.config.task,
        patch=tuned.patch.digest,
        seed=tuned.job.config.train.seed,
        where=where(tuned.patch),
    )
    if asked:
        require_captum()
        return found.model_copy(update={"rows": explain_rows(tuned.bench(), asked)})
    skipped = {}
    if tuned.patch.changes:
        value, part, why = _parts(tuned, smallest, looked)
        found = found.model_copy(update={"worth": value, "smallest": part})
        if part is None:
            skipped["smallest"] = why
    else:
        skipped["worth"] = skipped["smallest"] = "no weight of the base changes"
    try:
        found = found.model_copy(update={"rows": explain_rows(tuned.bench(), tuned.telling())})
    except ConfigError as error:  # no captum, or too little memory for the whole model
        skipped["rows"] = str(error)
    return found.model_copy(update={"skipped": skipped})


class _Tuned:
    """A run that is evaluated: its job, its patch, and what the patch is held against.

    Raises:
        RunError: not a run, or it is not evaluated.
        ModelError: a patch of another task.
        IntegrityError: the base or the test rows are not those of the run.
    """

    def __init__(self, run: Path, cache: Path | None, progress: Progress) -> None:
        if not (run / "zogan.yaml").is_file():
            raise RunError("is not a run: it has no zogan.yaml", where=str(run), todo="Give the folder of a run")
        for file in ("patch.safetensors", predictions.NAME):
            if not (run / file).is_file():
                raise RunError(f"has no {file} yet", where=str(run), todo="Run `zogan pilot` first")
        self.run, self.progress = run, progress
        self.job: Job = open_job(config_of(run), cache=cache, progress=progress)
        self.patch = Patch.load(run / "patch.safetensors")
        made_for(self.job, self.patch)
        if self.patch.meta.base.whole != self.job.base.fingerprint.whole:
            raise IntegrityError("the patch is of another base", where=str(run), todo="Put the run's base back")
        kept = predictions.load(run / predictions.NAME)
        if kept.about.after != self.patch.digest:
            raise RunError("was evaluated with another patch", where=str(run), todo="Run `zogan pilot` again")
        self.predicted: Predicted = kept.predicted(self.job.splits.test)
        self.protocol: Protocol = in_full(self.job)

    def before(self) -> Patch | None:
        """A head alone; None where there is none."""
        file = self.run / "before.safetensors"
        return Patch.load(file) if self.job.new_head and file.is_file() else None

    def rival(self) -> Patch | None:
        """What the protocol holds the patch against; None for the base itself."""
        config = self.job.config.protocol
        names = {"head_only": self.run / "before.safetensors", "full": self.run / "full.safetensors"}
        file = config.patch if self.protocol.against == "production" else names.get(self.protocol.against)
        return None if file is None else Patch.load(file)

    def costs(self) -> Costs:
        """What the run measured while rows were predicted."""
        path = self.run / "costs.json"
        try:
            tree = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
            stages = tree.get("stages", {})
            return Costs(tree.get("latency_ms"), stages.get("evaluate", {}).get("peak_bytes") or None)
        except (ValueError, AttributeError):
            raise IntegrityError("is damaged", where=str(path), todo="Run `zogan pilot` again") from None

    def bench(self) -> Bench:
        """The models before and after, in fp32.

        Raises:
            ConfigError: the whole model does not fit into the memory.
        """
        job, before = in_fp32(self.job), self.before()
        if plan_for(job, to_evaluate(job, "test", [self.patch])) is not None:
            todo = "Give budget.memory more, or explain on a larger machine"
            raise ConfigError("attributions need the whole model in memory", where="budget.memory", todo=todo)
        return Bench(job, self.patch, before=before, production=None, adapt=load_adapters, progress=self.progress)

    def telling(self) -> list[Wanted]:
        """Test rows that tell the most."""
        return telling(self.job, self.predicted)


def _parts(tuned: _Tuned, file: Path | None, looked: Looked | None) -> tuple[Worth, Smallest | None, str]:
    """What each layer is worth, and the smallest part that keeps the verdict; or why that was not sought."""
    job, patch, metric = tuned.job, tuned.patch, deciding(tuned.job.config)
    split: Split = "validation" if job.splits.validation else "train"
    if split == "train":
        tuned.progress.note("there are no validation rows: layers are switched off on the training rows")
    answers = job.config.evaluate.answers if needs_answers(metric) else 0
    assert tuned.predicted.after is not None  # of this patch
    on_test = _court(tuned, "test", answers)
    outcome = on_test.outcome(patch, on_test.evidence(tuned.predicted.after))
    court = _court(tuned, split, answers) if outcome == "accepted" else None  # before a model is held here
    switched = Switched(job, patch, split, answers=answers, adapt=load_adapters, progress=tuned.progress)
    whole = switched.without([])
    value = worth(switched, metric, whole)
    if court is None:
        return value, None, f"the protocol's verdict is {outcome}: there is none to keep"
    found, part = search(switched, court, value, whole)
    del switched
    if part is not patch:
        switched = Switched(job, part, "test", answers=answers, adapt=load_adapters, progress=tuned.progress)
        said = switched.without([])
        if looked is not None:
            looked(part.digest, digest_of_test(job.splits.test))
        confirmation = confirm(on_test, (patch, tuned.predicted.after), (part, said))
        found = found.model_copy(update={"confirmation": confirmation})
    if file is not None and found.stands:
        part.save(file)
    return value, found, ""


def _court(tuned: _Tuned, split: Split, answers: int) -> Court:
    """Of the run's own seed. What a head alone, or the base, says of the test rows is known."""
    job, rows = tuned.job, getattr(tuned.job.splits, split)
    known = split == "test" and tuned.protocol.against in ("base", "head_only")
    rival = tuned.predicted.before if known else _said_by_rival(tuned, split, answers)
    return Court(job, for_rows(tuned.protocol, job.config.train.seed, rows), rows, split, rival, tuned.costs())


def _said_by_rival(tuned: _Tuned, split: Split, answers: int) -> Predictions:
    evaluate = tuned.job.config.evaluate.model_copy(update={"answers": answers})
    job = tuned.job.under(tuned.job.config.model_copy(update={"evaluate": evaluate}))
    return predict(job, before=tuned.rival(), split=split, adapt=load_adapters, progress=tuned.progress).before
