"""Shapes and types of every annotated function are checked while the tests run."""

from __future__ import annotations

import os

from jaxtyping import install_import_hook

os.environ["HF_HUB_OFFLINE"] = "1"
install_import_hook("zogan", "typecheck.check")
