"""A model held in part is the same model: the same bits, in the layers that are there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tiny import tiny_decoder, tiny_encoder
from zogan import models
from zogan.errors import ModelError
from zogan.models import Base, open_base
from zogan.models.lean import Lean

Load = Callable[..., nn.Module]


def base_of(folder: Path, **keys: object) -> Base:
    make = tiny_encoder if keys.pop("encoder", False) else tiny_decoder
    make(folder / "base", layers=4, width=16, **keys)  # type: ignore[arg-type]
    return open_base(str(folder / "base"), cache=folder / "cache")


def lean_of(base: Base, load: Load, dtype: torch.dtype | None = None) -> Lean:
    model = load(base, dtype=dtype, empty=True)
    assert all(p.is_meta for p in model.parameters())
    return Lean(model, base, models.tensor_names(model, base))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tied", [True, False])
def test_held_whole_it_is_the_model_as_it_is_loaded(tmp_path: Path, tied: bool, dtype: torch.dtype) -> None:
    base = base_of(tmp_path, tied=tied, dtype=torch.bfloat16, max_shard_size="20KB")
    lean, whole = lean_of(base, models.load_causal, dtype), models.load_causal(base, dtype=dtype)
    lean.hold(0, 4)
    ours, theirs = dict(lean.model.named_parameters()), dict(whole.named_parameters())
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) and ours[name].dtype == dtype for name in theirs)
    ids = torch.arange(12).view(2, 6)
    with torch.no_grad():
        assert torch.equal(lean.model(input_ids=ids).logits, whole(input_ids=ids).logits)
    assert lean.model.training == whole.training


def test_layers_come_and_go(tmp_path: Path) -> None:
    lean = lean_of(base_of(tmp_path), models.load_causal)
    assert lean.held == frozenset()

    def there() -> set[int]:
        return {
            int(name.split(".")[2]) for name, _ in lean.model.named_parameters() if name.startswith("model.layers.")
        }

    assert there() == set()
    lean.hold(1, 3)
    assert there() == {1, 2}
    kept = lean.layers[2].get_parameter("mlp.up_proj.weight")
    lean.hold(2, 4, first=True)
    assert there() == {0, 2, 3}
    assert lean.layers[2].get_parameter("mlp.up_proj.weight") is kept


def test_a_pooler_that_the_folder_has_not_is_nothing(tmp_path: Path) -> None:
    base = base_of(tmp_path, encoder=True, labels=("a", "b"))
    body = lean_of(base, models.load_body)
    body.hold(0, 4)
    whole = models.load_body(base)
    ids = torch.arange(6).view(1, 6)
    with torch.no_grad():
        assert torch.equal(body.model(input_ids=ids).last_hidden_state, whole(input_ids=ids).last_hidden_state)
    classifier = lean_of(base, models.load_classifier)
    classifier.hold(0, 4)
    with torch.no_grad():
        assert torch.equal(classifier.model(input_ids=ids).logits, models.load_classifier(base)(input_ids=ids).logits)


def test_a_tensor_that_is_missing_is_told(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    model = models.load_causal(base, empty=True)
    names = models.tensor_names(model, base)
    for missing in ("model.layers.3.mlp.up_proj.weight", "model.norm.weight"):
        with pytest.raises(ModelError, match=f"needs tensor '{missing}', which the folder has not"):
            Lean(models.load_causal(base, empty=True), base, {a: b for a, b in names.items() if a != missing})


def test_a_model_without_a_stack_is_told(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    with pytest.raises(ModelError, match="LlamaForCausalLM has no list of like layers"):
        Lean(nn.Linear(2, 2), base, {})
