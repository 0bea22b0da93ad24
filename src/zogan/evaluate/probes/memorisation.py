"""memorisation: does a language model give its training responses back word for word?"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np
from scipy import stats

from zogan.config import MemorisationConfig
from zogan.data.finding import excerpt
from zogan.data.rows import Place, dialogue
from zogan.evaluate.evaluation import Figure
from zogan.evaluate.probes.bench import Bench, NotProbedError, System
from zogan.evaluate.probes.reading import SHOWN, Example, Reading, Table
from zogan.evaluate.probes.registry import probe
from zogan.evaluate.probes.share import of_sums, share
from zogan.evaluate.words import Words

_TRIES = 200
"""Times that a candidate is drawn anew where it is one that is known."""


@probe("generation")
def memorisation(bench: Bench, options: MemorisationConfig) -> list[Reading]:
    """Long runs of words of training responses that come back, and exposure of planted canaries.

    What is extracted by asking: Carlini et al., arXiv:2202.07646. Exposure: Carlini et al., arXiv:1802.08232.
    """
    readings = [one.held_to(options.limit) for one in _given_back(bench, options)]
    if options.canaries:
        readings.append(_exposed(bench, options).held_to(options.canary_limit))
    if not readings:
        raise NotProbedError(f"no training response has {options.words} words that its prompt has not")
    return readings


def _given_back(bench: Bench, options: MemorisationConfig) -> list[Reading]:
    """Share of the responses' runs of words that stand in the answers to their own prompts."""
    words = Words()
    wanted = {row: _runs(words.tokenize(row.target), options.words) for row in bench.job.splits.train}
    long = [row for row in wanted if wanted[row] - _runs(words.tokenize(row.input), options.words)]
    if not long:
        return []
    rows = bench.draw(long, options.rows)
    systems: list[System] = ["before", "after"] if bench.has("before") else ["after"]
    parts = []
    for system in systems:
        answers = bench.texts(system, rows, answers=len(rows)).answers
        back = np.zeros((len(rows), 2))
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            runs = wanted[row] - _runs(words.tokenize(row.input), options.words)
            back[place] = (len(runs & _runs(words.tokenize(answer), options.words)), len(runs))
        parts.append(back)
    told = of_sums(bench, parts)
    if not parts[-1][:, 0].any():  # resampling knows no chance where nothing comes back
        told[len(systems) - 1] = share(np.zeros(len(rows), dtype=bool), level=bench.settings.level)
    each = parts[-1][:, 0] / parts[-1][:, 1]
    return [
        Reading(
            name="memorisation",
            figure=f"runs of {options.words} words of training responses that are given back",
            unit="share",
            rows=len(rows),
            before=told[0] if len(systems) > 1 else None,
            value=told[len(systems) - 1],
            difference=told[2] if len(systems) > 1 else None,
            also={"whole_responses": float((each == 1).mean())},
            examples=tuple(
                Example(
                    place=str(rows[place].place),
                    text=excerpt(rows[place].input),
                    what=f"{each[place]:.0%} of {excerpt(rows[place].target)!r} comes back",
                    kind="memorised",
                    values={"share": float(each[place]), "response": excerpt(rows[place].target)},
                )
                for place in np.argsort(-each, kind="stable")[:SHOWN].tolist()
                if each[place]
            ),
        )
    ]


def _runs(words: Sequence[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[at : at + length]) for at in range(len(words) - length + 1)}


def _exposed(bench: Bench, options: MemorisationConfig) -> Reading:
    """The largest exposure of a canary, bits: how far its loss stands out among those of other secrets."""
    systems: list[System] = ["before", "after"] if bench.has("before") else ["after"]
    generator = np.random.default_rng(bench.seed)
    found: list[dict[System, Figure]] = []
    number = 0
    for canary in options.canaries:
        others = candidates(canary.secret, options.candidates, generator)
        number = max(number, len(others))
        rows = [
            dialogue(canary.prompt, canary.response.replace(canary.secret, secret), Place("canary", place))
            for place, secret in enumerate((canary.secret, *others))
        ]
        losses = {system: bench.texts(system, rows).losses for system in systems}
        found.append({system: exposure(each, level=bench.settings.level) for system, each in losses.items()})
    worst = max(range(len(found)), key=lambda place: found[place]["after"].value)
    before = found[worst].get("before")
    return Reading(
        name="memorisation.canaries",
        figure=f"exposure of the most exposed of {len(found)} canaries",
        unit="bits",
        rows=number,
        before=before,
        value=found[worst]["after"],
        also={"most_possible": float(np.log2(number + 1))},
        tables=(
            Table(
                title="exposure by canary, bits",
                columns=("canary", *systems),
                rows=tuple((place, *(each[system].value for system in systems)) for place, each in enumerate(found, 1)),
            ),
        ),
        examples=tuple(
            Example(
                place=f"probes.memorisation.canaries[{place}]",
                text=excerpt(options.canaries[place].prompt),
                what=f"exposure {found[place]['after'].value:.1f} bits",
                kind="exposure",
                values={"bits": found[place]["after"].value},
            )
            for place in sorted(range(len(found)), key=lambda place: -found[place]["after"].value)[:SHOWN]
        ),
    )


def candidates(secret: str, number: int, generator: np.random.Generator) -> list[str]:
    """Other secrets of the same form, each once: a digit for a digit, a letter for a letter of its case.

    Fewer than `number` where there are no more of that form.
    """
    known = {secret: None}
    while len(known) <= number:
        for _ in range(_TRIES):
            other = "".join(_like(char, generator) for char in secret)
            if other not in known:
                known[other] = None
                break
        else:
            break
    return list(known)[1:]


def _like(char: str, generator: np.random.Generator) -> str:
    for letters in (string.digits, string.ascii_lowercase, string.ascii_uppercase):
        if char in letters:
            return letters[generator.integers(len(letters))]
    return char


def exposure(losses: np.ndarray, *, level: float) -> Figure:
    """Exposure of the first among all: minus the binary logarithm of the share that are as likely or likelier.

    The rank is the first's among those drawn, so that it is at most the logarithm of their number; the interval is the
    exact one (Clopper and Pearson, 1934) of the share of all secrets that is likelier.

    Args:
        losses: (1 + candidates,) of the canary, then of the others, nats.
        level: confidence level, 0 to 1.
    """
    rank = 1 + int((losses[1:] <= losses[0]).sum())
    ends = stats.binomtest(rank - 1, len(losses) - 1).proportion_ci(level, method="exact")
    value = float(-np.log2(rank / len(losses)))
    low = float(-np.log2(min(max(ends.high, rank / len(losses)), 1.0)))
    high = float(-np.log2(max(min(ends.low, rank / len(losses)), 1 / len(losses))))
    return Figure(value=value, low=low, high=high, method="score")
