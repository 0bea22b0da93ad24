"""Restraint: what holds training back toward the base where rows are few. A technique is one function in one file."""

from zogan.train.regularize.interpolate import Point, best_of, ranked
from zogan.train.regularize.objective import Objective
from zogan.train.regularize.r_drop import check_dropout
from zogan.train.regularize.restraint import Restrained, Restraint

__all__ = ["Objective", "Point", "Restrained", "Restraint", "best_of", "check_dropout", "ranked"]
