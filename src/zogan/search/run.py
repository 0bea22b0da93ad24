"""The search itself: claim a trial, measure it, write down how it ended, until time or trials are used up."""

from __future__ import annotations

import json
import shutil
import time
from contextlib import closing
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock

from zogan.errors import ConfigError, ZoganError
from zogan.progress import Progress
from zogan.search.halving import STEPS, Rung, goes_on
from zogan.search.measure import Outcome, measure, without_test
from zogan.search.plot import draw
from zogan.search.priors import read_priors, seeds_for
from zogan.search.result import Found, Status, frontier, picked
from zogan.search.space import Settings, Space, space_for, with_settings
from zogan.search.study import Claim, Study, study_name
from zogan.tasks.job import Job
from zogan.train.job import config_digest, digest_of

POLL_SECONDS = 0.5
"""Between looks at the study while the last trials are with other processes."""

SEEDS = 3
"""Settings from the table of priors, at most, that are tried after the configured ones."""

ALIKE = 50
"""Claims in a row that were tried already, after which nothing new is looked for."""

SCORES = {"classification": "share of wrong rows", "generation": "loss, nats a token"}
"""What a trial's score is, by task; lower is better."""


class _Stopped(Exception):  # noqa: N818 - no error: a rung's verdict
    """At a rung, where the score had this standard error."""

    def __init__(self, error: float) -> None:
        self.error = error


class _OutOfTime(Exception):  # noqa: N818 - no error: the trial is taken up again
    """At an epoch's end."""


def search_job(job: Job, *, progress: Progress) -> Found:
    """Search a job's settings; see `zogan.search`."""
    given = job.config.search
    if job.config.train.folds is not None:
        raise ConfigError(
            "a search compares by validation rows, and train.folds leaves none",
            where="train.folds",
            todo="Leave it out for the search; the best settings can be trained with it afterwards",
        )
    job = without_test(job)
    space = space_for(job)
    folder = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    name = study_name(
        {
            "base": job.base.fingerprint.whole,
            "data": job.splits.digest,
            "task": job.task.describe(),
            "config": config_digest(job.config),
            "held_out": job.config.evaluate.model_dump(mode="json", include={"batch_size", "tokens_per_batch"}),
            "space": {key: str(values) for key, values in space.values.items()},
            "rows": given.rows,
            "seed": given.seed,
            "zogan": version("zogan"),
        }
    )
    study = Study(
        given.storage or f"sqlite:///{folder / 'study.db'}",
        name,
        space,
        seed=given.seed,
        heartbeat_seconds=given.heartbeat_seconds,
        lock=folder / ".lock",
    )
    with closing(study):
        # No more than are to be tried in all: several processes would take them up side by side. The study's name does
        # not depend on them, so that one that is there goes on under another table.
        seeds = seeds_for(job, space, read_priors())[:SEEDS]
        begun = study.begin([space.configured, *(seed.settings for seed in seeds)][: given.limit])
        if new := [seed for seed in seeds if seed.settings in begun]:
            progress.note(
                f"tried first: the configured settings, then {len(new)} that were good on other tasks: "
                + ", ".join(dict.fromkeys(seed.name for seed in new))
            )
        Search(job, space, study, folder, progress).run()
        return _written(job, space, study, folder)


class Search:
    """One process' part in a study.

    Args:
        job: without test rows.
        space: what is tried.
        study: where trials are claimed.
        folder: of selections and checkpoints.
        progress: told of each trial.
    """

    def __init__(self, job: Job, space: Space, study: Study, folder: Path, progress: Progress) -> None:
        self.job, self.space, self.study, self.folder, self.progress = job, space, study, folder, progress
        minutes = job.config.search.minutes
        self._ends = None if minutes is None else time.monotonic() + 60 * minutes

    def run(self) -> None:
        """Measure trials until time or trials are used up.

        Raises:
            ZoganError: the configured settings themselves cannot be trained with.
        """
        limit, alike = self.job.config.search.limit, 0
        while not self._late():
            self.study.mend()
            counts = self.study.counts()
            if limit is not None and counts.settled >= limit:
                break
            if limit is not None and not counts.waiting and counts.settled + counts.running >= limit:
                time.sleep(POLL_SECONDS)  # the last are with other processes, one of which may die
                continue
            claim = self.study.claim(limit)
            if claim.withdrawn is None:
                alike = 0
                done = f"{counts.settled}" if limit is None else f"{counts.settled} of {limit}"
                self._try(claim, f"trial {claim.trial.number} ({done} done)")
            elif claim.withdrawn == "tried already":
                alike += 1
                if alike == ALIKE:
                    self.progress.note(f"nothing new was found in {ALIKE} draws: the space is tried out")
                    break
        counts = self.study.counts()
        if limit is not None and counts.settled >= limit and not counts.running:
            shutil.rmtree(self.folder / "trials", ignore_errors=True)  # nobody begins another

    def _late(self) -> bool:
        return self._ends is not None and time.monotonic() >= self._ends

    def _try(self, claim: Claim, label: str) -> None:
        try:
            with self.study.alive(claim.trial):
                status, about = self._ended(claim, label)
        except _OutOfTime:
            self.study.leave(claim.trial)
            self.progress.note(f"{label}: the time is over; the next call goes on with it")
            return
        except BaseException as error:  # its settings are not to blame, or nothing can be tried at all
            if self.study.leave(claim.trial) or not isinstance(error, Exception):
                raise
            # Whoever took it up has ended it, and cleared its folder away; or will meet the same error.
            self.progress.note(f"{label}: another process took it up, for no sign of life had come from here")
            return
        if self.study.end(claim.trial, status, about):
            shutil.rmtree(self._place(claim), ignore_errors=True)
        self.progress.note(f"{label}: {self._told(claim.settings, status, about)}")

    def _ended(self, claim: Claim, label: str) -> tuple[Status, dict[str, Any]]:
        try:
            return "measured", asdict(self._measure(claim, label))
        except _Stopped as stopped:
            return "stopped", {"error": stopped.error}
        except ZoganError as error:
            if claim.settings == self.space.configured:
                raise
            return "failed", {"why": str(error)}

    def _measure(self, claim: Claim, label: str) -> Outcome:
        def reached(rung: Rung, score: float, error: float) -> None:
            if not goes_on(score, error, self.study.reached(claim.trial, STEPS[rung], score)):
                raise _Stopped(error)

        def each() -> None:
            if self._late() and self.study.counts().settled:
                raise _OutOfTime

        job = self.job.under(with_settings(self.job.config, claim.settings))
        shared, within = self.folder / "selections", _Within(self.progress, label)
        return measure(job, self._place(claim), shared, reached=reached, each=each, progress=within)

    def _place(self, claim: Claim) -> Path:
        return self.folder / "trials" / digest_of([self.study.name, dict(claim.settings)])[:24]

    def _told(self, settings: Settings, status: Status, about: dict[str, Any]) -> str:
        changed = {key: value for key, value in settings.items() if value != self.space.configured[key]}
        what = ", ".join(f"{key.split('.')[-1]} {value}" for key, value in changed.items()) or "as configured"
        if status == "measured":
            return f"{what}: {SCORES[self.job.config.task]} {about['score']:.4f}, {about['seconds']:.1f} s"
        return f"{what}: {'stopped early' if status == 'stopped' else about['why']}"


class _Within:
    """Progress of a trial's stages, under the trial's name; what they note is not the user's concern here."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._label = progress, label

    def start(self, stage: str, total: int) -> None:
        """See `zogan.progress.Progress`."""
        self._progress.start(f"{self._label}: {stage}", total)

    def advance(self, done: int, **figures: float) -> None:
        """See `zogan.progress.Progress`."""
        self._progress.advance(done, **figures)

    def note(self, message: str) -> None:
        """See `zogan.progress.Progress`."""


def _written(job: Job, space: Space, study: Study, folder: Path) -> Found:
    """The result, in files too: those of another process that ends later hold what it knows more."""
    trials = study.results()
    baseline = next((one for one in trials if one.settings == space.configured and one.status == "measured"), None)
    best, pick = picked(trials, baseline)
    found = Found(
        trials=tuple(trials),
        configured=space.configured,
        frontier=tuple(one.number for one in frontier(trials)),
        best=best,
        pick=pick,
        baseline=baseline,
        folder=folder,
        config=folder / "best.yaml",
        plot=folder / "search.svg",
    )
    chosen = with_settings(job.config, {key: pick.settings[key] for key in found.changes(pick)})
    tree = chosen.model_copy(update={"output": folder / "best"}).model_dump(mode="json", exclude={"search"})
    with FileLock(folder / ".lock"):
        _replace(found.config, yaml.safe_dump(tree, sort_keys=False, allow_unicode=True))
        about = {"score": SCORES[job.config.task], "validation_rows": len(job.splits.validation), **found.as_json()}
        _replace(folder / "search.json", json.dumps(about, indent=2, ensure_ascii=False) + "\n")
        drawn = folder / "partial.svg"
        draw(found, drawn, score=SCORES[job.config.task])
        drawn.replace(found.plot)
    return found


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(file.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(file)
