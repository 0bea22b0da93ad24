"""What reviewers ask for, and which evidence of a run answers it: a table, and nothing else.

A requirement without pieces is one that no run can show: the page says so.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """One thing that a framework asks for.

    Args:
        clause: its number or name in the framework; its title stands in the catalogues under `framework.clause`.
        pieces: of evidence that answer it; see `zogan.report.pieces`.
    """

    clause: str
    pieces: tuple[str, ...] = ()


GUIDELINES = (
    Requirement("human", ("rollback", "runbook", "worse_examples", "approval")),
    Requirement("safety", ("figures", "protocol", "limits", "external", "robustness", "rollback", "revert")),
    Requirement("fairness", ("per_class", "slices", "groups")),
    Requirement("privacy", ("leakage", "memorisation")),
    Requirement("security", ("fingerprint", "patch_digest", "robustness")),
    Requirement("transparency", ("card", "report", "explanation", "data", "costs", "environment")),
    Requirement(
        "accountability", ("frozen", "verdict", "looks", "runbook", "cases", "registered", "approval", "waivers")
    ),
    Requirement("education", ("runbook", "slides")),
    Requirement("competition"),
    Requirement("innovation"),
)
"""The common principles of Japan's AI Guidelines for Business, version 1.1 (Ministry of Internal Affairs and
Communications, and Ministry of Economy, Trade and Industry)."""

MEASURE = (
    Requirement("1.1", ("protocol", "risks", "probes")),
    Requirement("1.2", ("intervals", "seeds", "overfitting")),
    Requirement("1.3", ("approval",)),
    Requirement("2.1", ("figures", "data", "environment", "cases")),
    Requirement("2.2"),
    Requirement("2.3", ("figures", "verdict", "slices", "external")),
    Requirement("2.4", ("rollback", "runbook")),
    Requirement("2.5", ("verdict", "frozen", "intervals", "external", "overfitting", "risks")),
    Requirement("2.6", ("limits", "robustness", "abstention")),
    Requirement("2.7", ("fingerprint", "patch_digest", "robustness", "revert")),
    Requirement("2.8", ("card", "frozen", "looks", "registered", "waivers")),
    Requirement("2.9", ("explanation", "places", "worse_examples", "card")),
    Requirement("2.10", ("leakage", "memorisation")),
    Requirement("2.11", ("per_class", "slices", "groups")),
    Requirement("2.12", ("costs",)),
    Requirement("2.13", ("intervals", "calibration", "seeds")),
    Requirement("3.1", ("risks", "churn", "forgetting")),
    Requirement("3.2", ("risks",)),
    Requirement("3.3"),
    Requirement("4.1", ("protocol", "slices", "external")),
    Requirement("4.2", ("slides", "verdict", "approval")),
    Requirement("4.3", ("figures", "churn", "curve")),
)
"""The subcategories of MEASURE in NIST AI 100-1 (AI RMF 1.0)."""

MANAGEMENT = (
    Requirement("6.1.2", ("risks", "probes")),
    Requirement("6.1.3", ("limits", "rollback", "waivers")),
    Requirement("6.1.4"),
    Requirement("7.5", ("report", "card", "runbook", "patch_digest", "registered")),
    Requirement("9.1", ("figures", "intervals", "rollback")),
    Requirement("10.2", ("runbook", "revert", "waivers")),
    Requirement("A.4.5", ("environment", "costs")),
    Requirement("A.5.2"),
    Requirement("A.6.2.2", ("protocol", "frozen")),
    Requirement("A.6.2.3", ("settings", "places", "log")),
    Requirement("A.6.2.4", ("figures", "verdict", "frozen", "cases", "external", "overfitting")),
    Requirement("A.6.2.5", ("runbook", "limits", "approval")),
    Requirement("A.6.2.6", ("rollback", "runbook")),
    Requirement("A.6.2.7", ("card", "report", "explanation")),
    Requirement("A.6.2.8", ("log", "looks", "registered")),
    Requirement("A.7.2", ("data", "settings", "curve")),
    Requirement("A.7.4", ("data",)),
    Requirement("A.7.5", ("data_digest",)),
    Requirement("A.7.6", ("data", "settings")),
    Requirement("A.8.2", ("card", "runbook")),
    Requirement("A.8.4", ("rollback",)),
    Requirement("A.9.2", ("runbook", "verdict")),
    Requirement("A.10.3"),
)
"""Clauses and controls (Annex A) of ISO/IEC 42001:2023 that a run's files have to do with."""

FRAMEWORKS = {"guidelines": GUIDELINES, "measure": MEASURE, "management": MANAGEMENT}
"""Each framework with what it asks for."""
