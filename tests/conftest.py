"""Shapes and types of every annotated function are checked while the tests run."""

from __future__ import annotations

import os

from jaxtyping import install_import_hook

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["ACCELERATE_USE_CPU"] = "true"  # bytes are compared, and an accelerator rounds otherwise from run to run
if "PYTEST_XDIST_WORKER" in os.environ:
    # One worker a core: threads beyond that would wait for each other.
    os.environ["OMP_NUM_THREADS"] = "1"
install_import_hook("zogan", "typecheck.check")
