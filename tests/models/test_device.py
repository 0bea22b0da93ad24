from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from tiny_project import KINDS, Kind, write_project
from zogan.models.device import device, finish, onto_device
from zogan.patch import Patch

TUNED_AND_TAKEN_BACK = """
import sys
from pathlib import Path
import torch
import zogan
from zogan.config import load_config
from zogan.models.device import device
from zogan.tasks import open_job

assert device().type == "cuda"
job = open_job(load_config(Path(sys.argv[1])))
tuned = zogan.tune(job)
model = job.task.model(seed=0)
names = job.task.tensor_names(model)
before = {name: parameter.detach().clone() for name, parameter in model.named_parameters() if name in names}
tuned.patch.apply(model, names)
tuned.patch.revert(model, names)
assert all(torch.equal(before[name], model.get_parameter(name)) for name in before)
tuned.patch.save(Path(sys.argv[2]))
"""


def test_the_tests_run_on_the_processor() -> None:
    assert device() == torch.device("cpu")
    finish()


def test_what_is_not_in_memory_stays_where_it_is() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2, device="meta"))
    before = [parameter.data_ptr() for parameter in model[0].parameters()]
    assert onto_device(model) is model
    assert [parameter.data_ptr() for parameter in model[0].parameters()] == before
    assert all(parameter.is_meta for parameter in model[1].parameters())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("depth", [1, "all"])
def test_a_gpu_tunes_what_the_processor_tunes(tmp_path: Path, kind: Kind, depth: int | str) -> None:
    config = write_project(tmp_path / "project", kind, budget={"density": 0.02, "depth": depth})
    patch, environment = tmp_path / "patch.safetensors", {**os.environ, "ACCELERATE_USE_CPU": "false"}
    command = [sys.executable, "-c", TUNED_AND_TAKEN_BACK, str(config), str(patch)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Patch.load(patch).count
