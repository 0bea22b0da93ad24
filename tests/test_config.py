"""The configuration: defaults, overrides, refusals that say what was meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zogan.config import Config, load_config, parse_config
from zogan.errors import ConfigError

MINIMAL = "model: base\ntask: classification\ndata: {train: train.jsonl}\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "zogan.yaml"
    file.write_text(MINIMAL)
    return file


def test_three_lines_are_enough(path: Path) -> None:
    config = load_config(path)
    assert isinstance(config, Config)
    assert config.budget.density == 0.005
    assert config.rate == 0.003


def test_paths_are_taken_from_the_files_folder(path: Path) -> None:
    config = load_config(path)
    assert config.data.train == path.parent / "train.jsonl"
    assert config.model == str(path.parent / "base")
    assert config.output == path.parent / "runs/first"


def test_overrides_win_in_order(path: Path) -> None:
    config = load_config(path, ["train.epochs=3", "train.epochs=4", "select.criterion=fisher"])
    assert (config.train.epochs, config.select.criterion) == (4, "fisher")


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.epoch=3", "unknown key 'train.epoch'. Did you mean 'epochs'"),
        ("trian.epochs=3", "unknown key 'trian'. Did you mean 'train'"),
        ("train.epochs=0", "train.epochs = 0: Input should be greater than or equal to 1"),
        ("train.epochs", "is not key=value"),
        ("model.name=x", "is a value, not a section"),
        ("select.pattern=row", "Input should be 'elements', 'rows', 'columns', 'blocks' or 'coupled'"),
        ("select.block=1", "select.block = 1: Input should be greater than or equal to 2"),
        ("task=clasification", "Input should be 'classification' or 'generation'"),
    ],
)
def test_bad_overrides_are_refused(path: Path, override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said.replace("(", r"\(")):
        load_config(path, [override])


def test_an_empty_section_has_its_defaults(path: Path) -> None:
    path.write_text(MINIMAL + "train:\nselect:\n")
    assert load_config(path).train.epochs == 8
    assert load_config(path, ["train.epochs=3"]).train.epochs == 3
    path.write_text(MINIMAL + "trian:\n")
    with pytest.raises(ConfigError, match="unknown key 'trian'"):
        load_config(path)


def test_output_rows_are_allotted_single_weights(path: Path) -> None:
    assert load_config(path, ["select.allocation=row"]).select.pattern == "elements"
    with pytest.raises(ConfigError, match="allocation 'row' is for pattern 'elements', not 'blocks': take global"):
        load_config(path, ["select.allocation=row", "select.pattern=blocks"])


def test_kinds_of_parameters_are_a_list(path: Path) -> None:
    assert load_config(path).select.parameters == ("matrices",)
    assert load_config(path, ["select.parameters=[norms, matrices, norms]"]).select.parameters == ("matrices", "norms")
    with pytest.raises(ConfigError, match=r"select\.parameters = \[\]: "):
        load_config(path, ["select.parameters=[]"])
    with pytest.raises(
        ConfigError, match=r"select\.parameters\.1 = 'norm': Input should be 'matrices', 'biases', 'norms'"
    ):
        load_config(path, ["select.parameters=[matrices, norm]"])
    with pytest.raises(ConfigError, match="of embeddings single weights can be chosen, not 'rows': take pattern elem"):
        load_config(path, ["select.parameters=[matrices, embeddings]", "select.pattern=rows"])


def test_a_missing_key_is_named(path: Path) -> None:
    path.write_text("model: base\n")
    with pytest.raises(ConfigError, match="key 'task' is missing; key 'data' is missing"):
        load_config(path)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "\xff"])
def test_what_is_not_a_mapping_is_refused(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"zogan\.yaml: (holds no mapping|not readable)"):
        load_config(path)


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file.*zogan init"):
        load_config(tmp_path / "none.yaml")


def test_a_head_needs_classification(path: Path) -> None:
    with pytest.raises(ConfigError, match="method 'head' is for classification"):
        load_config(path, ["task=generation", "method=head"])


def test_packing_is_for_generation(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"train\.packing is for generation.*Set it to false"):
        load_config(path, ["train.packing=true"])
    assert load_config(path, ["train.packing=true", "task=generation"]).train.packing


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"task": "classification"}, ("global", 8, 32, 0.003)),
        ({"task": "generation"}, ("row", 2, 2, 0.015)),
        ({"task": "generation", "select": {"criterion": "gradient"}}, ("row", 2, 2, 0.0015)),
        ({"task": "generation", "select": {"pattern": "rows"}}, ("global", 2, 2, 0.0015)),
        ({"task": "generation", "select": {"allocation": "tensor"}, "train": {"epochs": 5}}, ("tensor", 5, 2, 0.015)),
        ({"task": "generation", "train": {"batch_size": 4, "rate": 0.01}}, ("row", 2, 4, 0.01)),
        ({"task": "generation", "method": "lora"}, ("row", 2, 2, 0.001)),
    ],
)
def test_what_is_not_given_depends_on_the_task(
    tmp_path: Path, keys: dict[str, object], expected: tuple[str, int, int, float]
) -> None:
    config = parse_config({"model": "base", "data": {"train": "train.jsonl"}, **keys}, folder=tmp_path)
    assert (config.select.allocation, config.train.epochs, config.train.batch_size, config.rate) == expected


def test_a_second_stage_is_asked_of_sparse_alone(path: Path) -> None:
    assert not load_config(path).second_stage
    assert load_config(path, ["adapters.two_stage=auto"]).second_stage
    assert not load_config(path, ["adapters.two_stage=auto", "method=lora"]).second_stage
    with pytest.raises(ConfigError, match=r"adapters\.two_stage is for method 'sparse', not 'lora': set it to never"):
        load_config(path, ["adapters.two_stage=always", "method=lora"])


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"adapters": {"two_stage": "auto"}, "train": {"folds": 3}}, "adapters.two_stage decides by validation rows"),
        ({"regularize": {"r_drop": 1.0}, "train": {"balance": "weights"}}, "weighs all rows alike"),
    ],
)
def test_options_that_exclude_each_other_are_refused(keys: dict[str, Any], told: str) -> None:
    tree = {"model": "base", "task": "classification", "data": {"train": "train.jsonl"}, **keys}
    with pytest.raises(ConfigError, match=told):
        parse_config(tree, folder=Path())


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"claim": "non_inferiority"}, "claim non_inferiority needs a margin above 0"),
        ({"against": "production"}, "against production and patch go together"),
        ({"patch": "in_use.safetensors"}, "against production and patch go together"),
        ({"limits": {"latency": 3}}, r"unknown key 'protocol\.limits\.latency'. Did you mean 'latency_ms'"),
        ({"slices": [{"name": "a", "colum": "b", "floor": 1}]}, r"'protocol\.slices\.0\.colum'. Did you mean 'column'"),
        ({"slices": [{"name": "a", "floor": 1}]}, "slice 'a' needs column and value, or matches, and not both"),
        ({"slices": [{"name": "a", "column": "b", "floor": 1}]}, "slice 'a' needs column and value, or matches"),
        (
            {"slices": [{"name": "a", "column": "b", "value": 1, "matches": "c", "floor": 1}]},
            "slice 'a' needs column and value, or matches, and not both",
        ),
        ({"slices": [{"name": "a", "matches": "(", "floor": 1}]}, "is no regular expression: missing"),
        ({"slices": [{"name": "a", "matches": "b", "floor": 1}] * 2}, "slice 'a' stands twice"),
        ({"rollback": [{"watch": "errors", "tell": ["ops"]}]}, "rollback on 'errors' needs one of above and below"),
        ({"rollback": [{"watch": "errors", "above": 1, "tell": []}]}, r"protocol\.rollback\.0\.tell = \[\]"),
        ({"margin": float("inf")}, "Input should be a finite number"),
        ({"alpha": 0.5}, "Input should be less than 0.5"),
        ("none.yaml", "none.yaml: no such file. `protocol:` takes keys, or the path of a YAML file with them"),
    ],
)
def test_protocols_that_cannot_be_are_refused(tmp_path: Path, keys: Any, told: str) -> None:
    tree = {"model": "base", "task": "classification", "data": {"train": "train.jsonl"}, "protocol": keys}
    with pytest.raises(ConfigError, match=told):
        parse_config(tree, folder=tmp_path)


def test_generation_is_not_held_against_a_head(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"protocol\.against 'head_only' is for classification"):
        load_config(path, ["task=generation", "protocol.against=head_only"])


def test_a_protocol_may_stand_in_a_file_of_its_own(path: Path) -> None:
    folder = path.parent / "rules"
    folder.mkdir()
    (folder / "good.yaml").write_text("against: production\npatch: in_use.safetensors\n")
    path.write_text(MINIMAL + "protocol: rules/good.yaml\n")
    protocol = load_config(path).protocol
    assert (protocol.against, protocol.patch) == ("production", folder / "in_use.safetensors")
    inline = load_config(path, ["protocol={against: production, patch: rules/in_use.safetensors}"]).protocol
    assert inline == protocol
    (folder / "good.yaml").write_text("margn: 0.1\n")
    with pytest.raises(ConfigError, match=r"unknown key 'protocol\.margn'. Did you mean 'margin'"):
        load_config(path)


def test_columns_that_slices_read_are_named_once(path: Path) -> None:
    slices = "[{name: a, column: lang, value: en, floor: 1}, {name: b, column: lang, value: 3, floor: 1}]"
    protocol = load_config(path, [f"protocol.slices={slices}"]).protocol
    assert protocol.columns == ("lang",)
    assert protocol.slices[1].value == "3"
