"""What stands behind a verdict: intervals, tests, decisions, and how many rows they need."""

from zogan.evaluate.statistics.bootstrap import Figures, FiguresOfSamples, intervals, intervals_of_samples
from zogan.evaluate.statistics.components import Components, components
from zogan.evaluate.statistics.curve import LearningCurve, WhyNoGain, check_sizes, learning_curve
from zogan.evaluate.statistics.decide import Claim, Decision, decide, holm
from zogan.evaluate.statistics.design import Design, Mean, RightOrWrong, Share
from zogan.evaluate.statistics.gap import gap, gap_of_shares
from zogan.evaluate.statistics.interval import Interval, Method
from zogan.evaluate.statistics.matched import Matched, match, mcnemar, score_interval, score_test
from zogan.evaluate.statistics.permutation import sign_flip
from zogan.evaluate.statistics.proportion import share_interval, share_test
from zogan.evaluate.statistics.size import rows_needed, smallest_improvement, smallest_margin

__all__ = [
    "Claim",
    "Components",
    "Decision",
    "Design",
    "Figures",
    "FiguresOfSamples",
    "Interval",
    "LearningCurve",
    "Matched",
    "Mean",
    "Method",
    "RightOrWrong",
    "Share",
    "WhyNoGain",
    "check_sizes",
    "components",
    "decide",
    "gap",
    "gap_of_shares",
    "holm",
    "intervals",
    "intervals_of_samples",
    "learning_curve",
    "match",
    "mcnemar",
    "rows_needed",
    "score_interval",
    "score_test",
    "share_interval",
    "share_test",
    "sign_flip",
    "smallest_improvement",
    "smallest_margin",
]
