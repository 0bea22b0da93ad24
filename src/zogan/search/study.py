"""Trials that several processes share, in a database: none is lost when a process dies, none is counted twice."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zogan.errors import ConfigError, one_line
from zogan.search.result import Status, Trial
from zogan.search.space import Between, OneOf, Settings, Space, rounded

try:
    import optuna
    from optuna.trial import TrialState

    from zogan.search.turn import Turn
except ImportError:
    raise ConfigError(
        "a search needs optuna", where="search", todo="Install it with pip install 'zogan[search]'"
    ) from None

GRACE = 3
"""Heartbeats that may fail to come before a trial's process is taken for dead."""

STARTUP = 8
"""Trials that are drawn at random before the sampler learns from them."""

BUSY_SECONDS = 60
"""How long a process waits for another's write to SQLite."""

BEGUN, AGAIN, WITHDRAWN = "begun", "again", "withdrawn"

_LIVE = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING, TrialState.WAITING)


@dataclass(frozen=True)
class Counts:
    """How many trials there are: with a result, at work, and yet to begin."""

    settled: int
    running: int
    waiting: int


@dataclass(frozen=True)
class Claim:
    """A trial that this process has taken. `withdrawn` says why it does not run: another has its settings or place."""

    trial: optuna.Trial
    settings: Settings
    withdrawn: str | None = None


class Study:
    """The trials of one search.

    Whatever takes a trial, ends it or gives it back does so in a turn, one process after the other. SQLite alone would
    let two processes take the same trial; and between one's giving back and another's putting back, one more could be
    drawn than was asked for.

    Args:
        url: of the database, as SQLAlchemy writes it.
        name: of the study; another data, base or configuration has another.
        space: what may be tried.
        seed: of what is tried.
        heartbeat_seconds: between signs of life of a trial.
        lock: file of the turns, where the database has no locks of its own.

    Raises:
        ConfigError: the database cannot be reached.
    """

    def __init__(self, url: str, name: str, space: Space, *, seed: int, heartbeat_seconds: int, lock: Path) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.name, self.space, self._seed, self._beat = name, space, seed, heartbeat_seconds
        self._distributions = {key: _distribution(values) for key, values in space.values.items()}
        url = url.replace("postgresql://", "postgresql+psycopg://", 1)
        with _opening():
            self._turn = Turn(url, lock)
            with self._turn.taken(), _unwarned():
                self._storage = _storage(url, heartbeat_seconds)
                self._study = optuna.create_study(storage=self._storage, study_name=name, load_if_exists=True)
        self._id = self._storage.get_study_id_from_name(name)

    def close(self) -> None:
        """Let the database go."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def begin(self, seeds: Sequence[Settings]) -> list[Settings]:
        """Put settings in front of what is drawn, where they do not stand there already.

        Args:
            seeds: each with all keys of the space, in the order in which they are to be tried.

        Returns:
            Those that did not.
        """
        with self._turn.taken():
            known = [self.settings(trial) for trial in self.trials()]
            new = [settings for settings in seeds if settings not in known]
            for settings in new:
                self._enqueue(settings, {})
        return new

    def trials(self) -> list[optuna.trial.FrozenTrial]:
        """All of them, as they stand now."""
        found: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False)
        return found

    def counts(self) -> Counts:
        """How many there are."""
        states = [trial.state for trial in self.trials()]
        settled = states.count(TrialState.COMPLETE) + states.count(TrialState.PRUNED)
        return Counts(settled, states.count(TrialState.RUNNING), states.count(TrialState.WAITING))

    def mend(self) -> None:
        """Put back what a process had begun that is dead: as another trial with the same settings, that names it."""
        with self._turn.taken():
            self._mend()

    def claim(self, limit: int | None) -> Claim:
        """Take the next trial: one that waits, else a new one.

        Args:
            limit: trials in all.
        """
        with self._turn.taken(), _unwarned():
            self._mend()
            drawn = sum(trial.state in _LIVE or WITHDRAWN in trial.user_attrs for trial in self.trials())
            # By how many there are, and not by a generator's state: a search that was killed draws as it would have,
            # and several processes as one would, while draws are at random.
            self._study.sampler = optuna.samplers.TPESampler(
                n_startup_trials=STARTUP,
                multivariate=True,
                constant_liar=True,
                seed=int.from_bytes(hashlib.sha256(f"{self._seed} {drawn}".encode()).digest()[:4], "big"),
            )
            trial = self._study.ask()
            waited = bool(trial.params)
            for key, values in self.space.values.items():
                _suggest(trial, key, values)
            settings = self.settings(trial)
            earlier = [other for other in self.trials() if other.number < trial.number and other.state in _LIVE]
            withdrawn = None
            if any(self.settings(other) == settings for other in earlier):
                withdrawn = "tried already"
            elif not waited and limit is not None and len(earlier) >= limit:
                withdrawn = "not needed"
            if withdrawn:
                self._attribute(trial.number, WITHDRAWN, withdrawn)
                self._tell(trial.number, TrialState.FAIL)
            else:
                self._storage.record_heartbeat(self._key(trial.number))
                self._attribute(trial.number, BEGUN, True)
        return Claim(trial, settings, withdrawn)

    @contextmanager
    def alive(self, trial: optuna.Trial) -> Iterator[None]:
        """Inside, the trial gives signs of life; the first it gave when it was claimed."""
        key = self._key(trial.number)
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(self._beat):
                try:
                    self._storage.record_heartbeat(key)
                except Exception:  # A database that is busy for a while: the next beat tells, or the trial is put back.
                    continue
            self._storage.remove_session()

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def reached(self, trial: optuna.Trial, step: int, score: float) -> list[float]:
        """Write down a trial's score at a rung.

        Returns:
            The scores there of the other trials.
        """
        # Of a trial that has been put back in the meantime nothing is written any more.
        with _overtaken():
            trial.report(score, step)
        return [
            other.intermediate_values[step]
            for other in self.trials()
            if step in other.intermediate_values and other.state in _LIVE and other.number != trial.number
        ]

    def end(self, trial: optuna.Trial, status: Status, about: Mapping[str, Any]) -> bool:
        """Write down how a trial ended.

        Args:
            trial: that was claimed.
            status: measured, stopped or failed.
            about: figures, as JSON values: of one that is measured its `score`, of one that failed `why`.

        Returns:
            Whether it is written: not where the trial was put back in the meantime.
        """
        measured = status == "measured"
        with self._turn.taken():
            for key, value in about.items():
                self._attribute(trial.number, key, value)
            return self._tell(trial.number, TrialState.COMPLETE if measured else TrialState.PRUNED, about.get("score"))

    def leave(self, trial: optuna.Trial) -> bool:
        """Give a trial back, to be taken up again.

        Returns:
            Whether it was this process' to give: not where it was put back in the meantime.
        """
        with self._turn.taken():
            ours = self._storage.get_trial(self._key(trial.number)).state == TrialState.RUNNING
            return ours and self._tell(trial.number, TrialState.FAIL)

    def results(self) -> list[Trial]:
        """The trials that have ended, in their order."""
        found = []
        for kept in self.trials():
            if kept.state in (TrialState.COMPLETE, TrialState.PRUNED):
                about, why = kept.user_attrs, kept.user_attrs.get("why")
                status: Status = "measured" if kept.state == TrialState.COMPLETE else "failed" if why else "stopped"
                figures = {name: about.get(name) for name in ("error", "loss", "epochs", "seconds", "trainable")}
                score = None if why else kept.value
                found.append(Trial(kept.number, self.settings(kept), status, score, **figures, why=why))
        return found

    def settings(self, trial: optuna.Trial | optuna.trial.FrozenTrial) -> Settings:
        """What a trial tries; drawn numbers as people would write them."""
        configured = self.space.configured
        return {
            key: value if isinstance(self.space.values[key], OneOf) or value == configured[key] else rounded(value)
            for key, value in trial.params.items()
            if key in configured
        }

    def _mend(self) -> None:
        with _unwarned():
            optuna.storages.fail_stale_trials(self._study)
        for trial in self.trials():
            # Its process died in its turn, before the first sign of life, which alone optuna looks for.
            if trial.state == TrialState.RUNNING and BEGUN not in trial.user_attrs:
                self._tell(trial.number, TrialState.FAIL)
        trials = self.trials()
        followed = {trial.user_attrs.get(AGAIN) for trial in trials}
        for trial in trials:
            whole = trial.params.keys() == self._distributions.keys()
            lost = trial.state == TrialState.FAIL and WITHDRAWN not in trial.user_attrs
            if lost and whole and trial.number not in followed:
                self._enqueue(trial.params, {AGAIN: trial.number})

    def _enqueue(self, settings: Settings, about: dict[str, Any]) -> None:
        self._study.add_trial(
            optuna.create_trial(
                state=TrialState.WAITING,
                params=dict(settings),
                distributions=self._distributions,
                user_attrs=about,
            )
        )

    def _key(self, number: int) -> int:
        """A trial's key in the database."""
        found: int = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
        return found

    def _attribute(self, number: int, name: str, value: Any) -> None:
        with _overtaken():
            self._storage.set_trial_user_attr(self._key(number), name, value)

    def _tell(self, number: int, state: TrialState, score: float | None = None) -> bool:
        try:
            with _unwarned():
                told = self._study.tell(number, score, state=state, skip_if_finished=True)
        except optuna.exceptions.UpdateFinishedTrialError:  # at this very instant
            return False
        return bool(told.state == state)


def study_name(tree: Any) -> str:
    """A name from all that a trial's result depends on, besides its settings."""
    return "zogan-" + hashlib.sha256(json.dumps(tree, sort_keys=True, default=str).encode()).hexdigest()[:16]


@contextmanager
def _overtaken() -> Iterator[None]:
    """Inside, it does not matter that another process has ended the trial already."""
    try:
        yield
    except optuna.exceptions.UpdateFinishedTrialError:
        return


@contextmanager
def _unwarned() -> Iterator[None]:
    """Inside, optuna does not say which of its parts are young, nor that its own loop is not used."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _opening() -> Iterator[None]:
    """Inside, whatever goes wrong is said of the database."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"its driver is not installed: {error.__cause__ or error}",
            where="search.storage",
            todo="Install it with pip install 'zogan[postgresql]'",
        ) from None
    except Exception as error:
        line = one_line(error)
        raise ConfigError(f"the study's database cannot be opened: {line}", where="search.storage") from None


def _storage(url: str, heartbeat_seconds: int) -> optuna.storages.RDBStorage:
    options: dict[str, Any] = {"pool_pre_ping": True}
    if url.startswith("sqlite:///"):
        # Readers and a writer at once; stays with the file.
        with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=BUSY_SECONDS) as file:
            file.execute("PRAGMA journal_mode=WAL")
        file.close()
        options = {"connect_args": {"timeout": BUSY_SECONDS}}
    return optuna.storages.RDBStorage(
        url,
        engine_kwargs=options,
        heartbeat_interval=heartbeat_seconds,
        grace_period=GRACE * heartbeat_seconds,
    )


def _distribution(values: OneOf | Between) -> optuna.distributions.BaseDistribution:
    if isinstance(values, OneOf):
        return optuna.distributions.CategoricalDistribution(values.values)
    return optuna.distributions.FloatDistribution(values.low, values.high, log=True)


def _suggest(trial: optuna.Trial, key: str, values: OneOf | Between) -> None:
    if isinstance(values, OneOf):
        trial.suggest_categorical(key, values.values)
    else:
        trial.suggest_float(key, values.low, values.high, log=True)
