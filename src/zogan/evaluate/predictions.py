"""What two models said of the same rows, kept as one file: predictions.safetensors.

Safetensors, as patches and selections are: typed arrays that come back bit for bit, so that figures from the file are
those of the models, and nothing in it that runs. No text of a row is in it: rows are known by hashes and places.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64, Int64, UInt8
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from zogan.data.rows import Place, Row
from zogan.errors import IntegrityError, one_line
from zogan.evaluate.metrics import metrics
from zogan.evaluate.protocol.sample import row_key
from zogan.patch.meta import Sha256, canonical
from zogan.tasks.job import Job
from zogan.tasks.task import ClassPredictions, Predictions, TextPredictions

NAME = "predictions.safetensors"

_TODO = "Delete it, and run `zogan evaluate`"

BeforeIs = Literal["base", "head_only"]
Arrays = dict[str, np.ndarray]
Measures = Mapping[str, Float64[np.ndarray, "rows parts"]]
"""What each row adds to each metric, by its name: of all rows, or of the first, those that were answered."""


@dataclass(frozen=True, slots=True, eq=False)
class Predicted:
    """What the models before and after say of the same rows; `after` is None where there is no such model."""

    before: Predictions
    after: Predictions | None
    before_is: BeforeIs


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """What one model says of rows, without their text.

    Args:
        predictions: of text, without references.
        measures: of its metrics.
        patch: digest of the patch that made it; None for a base.
    """

    predictions: Predictions
    measures: Measures
    patch: str | None


class About(BaseModel):
    """What the models and the rows are.

    Attributes:
        task: as `Task.describe` has it.
        base: fingerprint.
        before_is: what the model before is.
        before: digest of its patch; None for the base itself.
        after: digest of the patch; None without one.
        max_new_tokens: generation: of the answers; None for classification.
        files: of the rows' places.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    task: dict[str, Any]
    base: Sha256
    before_is: BeforeIs
    before: Sha256 | None
    after: Sha256 | None
    max_new_tokens: int | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """The content of predictions.safetensors.

    Args:
        about: the models and the rows.
        keys: of each row, as a protocol's lock has them.
        places: where each row stands.
        before: the model before.
        after: the model after, where there is one.
    """

    about: About
    keys: tuple[str, ...]
    places: tuple[Place, ...]
    before: System
    after: System | None

    def predicted(self, rows: Sequence[Row]) -> Predicted:
        """The predictions as the models gave them.

        Args:
            rows: what was predicted: references are theirs.

        Raises:
            IntegrityError: these are other rows.
        """
        if tuple(map(row_key, rows)) != self.keys:
            raise IntegrityError("holds the predictions of other rows", where=NAME, todo=_TODO)

        def whole(system: System) -> Predictions:
            found = system.predictions
            if isinstance(found, ClassPredictions):
                return found
            return replace(found, references=tuple(row.target for row in rows[: len(found.answers)]))

        return Predicted(whole(self.before), whole(self.after) if self.after else None, self.about.before_is)


def keep(job: Job, rows: Sequence[Row], predicted: Predicted, *, before: str | None, after: str | None) -> Kept:
    """Leave the rows' text out of what was predicted.

    Args:
        job: whose task it was.
        rows: what was predicted.
        predicted: by the models.
        before: digest of the patch of the model before; None where it is the base.
        after: digest of the patch; None without one.
    """
    about = About(
        task=job.task.describe(),
        base=job.base.fingerprint.whole,
        before_is=predicted.before_is,
        before=before,
        after=after,
        max_new_tokens=job.config.evaluate.max_new_tokens if job.config.task == "generation" else None,
        files=tuple(dict.fromkeys(row.place.file for row in rows)),
    )
    return Kept(
        about,
        tuple(map(row_key, rows)),
        tuple(row.place for row in rows),
        system(predicted.before, before),
        None if predicted.after is None else system(predicted.after, after),
    )


def system(predictions: Predictions, patch: str | None) -> System:
    """What a model said, without the rows' text; `patch` is the digest of what made it."""
    if isinstance(predictions, ClassPredictions):
        return System(predictions, _measures("classification", predictions), patch)
    return System(replace(predictions, references=()), _measures("generation", predictions), patch)


def save(kept: Kept, path: Path) -> None:
    """Write the file, whole or not at all; the same content makes the same bytes."""
    files = {name: index for index, name in enumerate(kept.about.files)}
    arrays: Arrays = {
        "rows/key": np.frombuffer(bytes.fromhex("".join(kept.keys)), np.uint8).reshape(len(kept.keys), -1),
        "rows/file": np.array([files[place.file] for place in kept.places], np.int64),
        "rows/line": np.array([place.line for place in kept.places], np.int64),
    }
    if isinstance(kept.before.predictions, ClassPredictions):
        arrays["rows/truth"] = kept.before.predictions.truth
    for name, one in (("before", kept.before), ("after", kept.after)):
        if one is not None:
            arrays |= {f"{name}/{key}": array for key, array in _arrays(one).items()}
    partial = path.with_name(path.name + ".partial")
    arrays = {name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())}
    # One key: the library keeps several in no fixed order, and the file's bytes shall not vary.
    save_file(arrays, partial, {"zogan": canonical(kept.about.model_dump(mode="json"))})
    partial.replace(path)


def load(path: Path) -> Kept:
    """Read the file.

    Raises:
        IntegrityError: not such a file, or arrays that do not fit each other.
    """
    try:
        with safe_open(path, framework="np") as file:
            about = About.model_validate(json.loads((file.metadata() or {})["zogan"]))
            arrays: Arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        keys = _shaped(arrays["rows/key"], np.uint8, (None, None))
        files, lines = (_shaped(arrays[f"rows/{name}"], np.int64, (len(keys),)) for name in ("file", "line"))
        places = tuple(
            Place(about.files[file], line) for file, line in zip(files.tolist(), lines.tolist(), strict=True)
        )
        after = _system(arrays, "after", about, len(keys), about.after) if "after/losses" in arrays else None
        return Kept(
            about,
            tuple(key.tobytes().hex() for key in keys),
            places,
            _system(arrays, "before", about, len(keys), about.before),
            after,
        )
    except KeyError as error:
        what = f"holds no predictions: {error} is missing"
    except (SafetensorError, TypeError, ValueError, IndexError, RecursionError, OSError) as error:
        what = f"holds no predictions: {one_line(error)}"
    raise IntegrityError(what, where=str(path), todo=_TODO)


def _arrays(one: System) -> Arrays:
    found = one.predictions
    if isinstance(found, ClassPredictions):
        return {"probabilities": found.probabilities, "losses": found.losses}
    code = [answer.encode() for answer in found.answers]
    return {
        "losses": found.losses,
        "tokens": found.tokens,
        "answers": np.frombuffer(b"".join(code), np.uint8),
        "answer_ends": np.cumsum([len(text) for text in code], dtype=np.int64),
        **{f"metric/{name}": rows for name, rows in one.measures.items()},
    }


def _system(arrays: Arrays, name: str, about: About, rows: int, patch: str | None) -> System:
    losses = _shaped(arrays[f"{name}/losses"], np.float64, (rows,))
    if about.task["task"] == "classification":
        labels = tuple(about.task["labels"])
        truth = _shaped(arrays["rows/truth"], np.int64, (rows,))
        probabilities = _shaped(arrays[f"{name}/probabilities"], np.float64, (rows, len(labels)))
        if rows and not (truth.min() >= 0 and truth.max() < len(labels)):
            raise ValueError("a right label is none of the labels")
        return system(ClassPredictions(labels, truth, probabilities, losses), patch)
    tokens = _shaped(arrays[f"{name}/tokens"], np.int64, (rows,))
    answers = _texts(arrays[f"{name}/answers"], _shaped(arrays[f"{name}/answer_ends"], np.int64, (None,)))
    prefix = f"{name}/metric/"
    measures = {key.removeprefix(prefix): array for key, array in arrays.items() if key.startswith(prefix)}
    for key, array in measures.items():
        if len(_shaped(array, np.float64, (None, None))) not in (rows, len(answers)):
            raise ValueError(f"metric {key!r} is of {len(array)} rows")
    # in the metrics' own order, those that are known here first
    known = [key for key in metrics("generation") if key in measures]
    ordered = {key: measures[key] for key in (*known, *sorted(measures.keys() - set(known)))}
    return System(TextPredictions(losses, tokens, answers, ()), ordered, patch)


def _texts(code: UInt8[np.ndarray, " bytes"], ends: Int64[np.ndarray, " answers"]) -> tuple[str, ...]:
    whole, starts = _shaped(code, np.uint8, (None,)).tobytes(), [0, *ends.tolist()]
    if starts[-1] != len(whole) or sorted(starts) != starts:
        raise ValueError("answers do not end where they say")
    return tuple(whole[start:end].decode() for start, end in pairwise(starts))


def _measures(task: Literal["classification", "generation"], predictions: Predictions) -> Measures:
    return {name: metric.rows(predictions) for name, metric in metrics(task).items()}


def _shaped(array: np.ndarray, dtype: type[np.generic], shape: tuple[int | None, ...]) -> np.ndarray:
    fits = array.ndim == len(shape) and all(want in (None, size) for want, size in zip(shape, array.shape, strict=True))
    if array.dtype != dtype or not fits:
        raise ValueError(f"an array of {array.dtype} {list(array.shape)} stands where {list(shape)} must be")
    return array
