"""What trains, per method: sparse, and on the same loop the references full, lora and head.

A method prepares a model in place and later says what changed. It is anything that fits `Method`; no base class.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from zogan.config import Config, LoraConfig
from zogan.errors import ConfigError
from zogan.patch import Patch
from zogan.select.eligible import refuse_half
from zogan.sparse.attach import Delta, attach, detach, old_values
from zogan.sparse.layer import is_matrix
from zogan.sparse.selection import Selection
from zogan.tasks.classifier import Classifier
from zogan.tasks.job import Job
from zogan.weights import TensorInfo, headers, read_tensor

PEFT_PREFIX = "base_model.model."
"""What PEFT puts before the name of each adapter tensor in its files."""


@dataclass(frozen=True)
class Result:
    """What training changed.

    Attributes:
        deltas: per parameter of the base what changed in it.
        tensors: new parameters whole, such as a head.
        adapters: tensors of a LoRA adapter, as PEFT names them in its file; beside the body, where there is a new head.
        adapter_config: PEFT's configuration of it, as JSON values.
    """

    deltas: Mapping[str, Delta] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    adapters: Mapping[str, Tensor] = field(default_factory=dict)
    adapter_config: Mapping[str, Any] | None = None


@runtime_checkable
class Method(Protocol):
    """Makes parameters of a model train."""

    def prepare(self, model: nn.Module) -> None:
        """Freeze and attach in place."""

    def old(self, model: nn.Module) -> dict[str, Tensor]:
        """Where what trains came from, by parameter name, before it trains; what has no such place is not there."""

    def result(self, model: nn.Module) -> Result:
        """What changed; the model is plain again afterwards, where the method can."""


@dataclass(frozen=True)
class Sparse:
    """The chosen weights; vectors of the base and a new head whole."""

    selection: Selection
    head: tuple[str, ...]
    stored: Mapping[str, torch.dtype]

    def prepare(self, model: nn.Module) -> None:
        attach(model, self.selection, stored=self.stored)

    def old(self, model: nn.Module) -> dict[str, Tensor]:
        return old_values(model)

    def result(self, model: nn.Module) -> Result:
        deltas = {name: delta for name, delta in detach(model).items() if name not in self.head}
        return Result(deltas, _copies(model, self.head))


class _Whole(Mapping[str, Delta]):
    """What changed in parameters that trained whole, one at a time: all positions at once would be twice the model.

    The old values are read from the base, so that training holds no second copy of the model.
    """

    def __init__(self, parameters: Mapping[str, tuple[nn.Parameter, TensorInfo]]) -> None:
        self._parameters = parameters

    def __getitem__(self, name: str) -> Delta:
        parameter, info = self._parameters[name]
        old = read_tensor(info)
        new = parameter.detach().cpu().to(old.dtype)
        return Delta(torch.arange(old.numel()), old.cpu().reshape(-1), new.reshape(-1))

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __len__(self) -> int:
        return len(self._parameters)


@dataclass(frozen=True)
class Full:
    """Every weight that the loss reaches."""

    job: Job
    head: tuple[str, ...]

    def prepare(self, model: nn.Module) -> None:
        model.requires_grad_(True)

    def old(self, model: nn.Module) -> dict[str, Tensor]:
        return {name: p.detach().clone() for name, p in model.named_parameters() if name not in self.head}

    def result(self, model: nn.Module) -> Result:
        names = self.job.task.tensor_names(model)
        first: dict[str, tuple[str, nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if name in names:
                first.setdefault(names[name], (name, parameter))
        infos = headers(self.job.base.folder)
        deltas = _Whole({name: (parameter, infos[tensor]) for tensor, (name, parameter) in first.items()})
        return Result(deltas, _copies(model, self.head))


@dataclass(frozen=True)
class Head:
    """The new head alone."""

    head: tuple[str, ...]

    def prepare(self, model: nn.Module) -> None:
        attach(model, Selection({}, {}, whole=self.head))

    def old(self, model: nn.Module) -> dict[str, Tensor]:
        return {}

    def result(self, model: nn.Module) -> Result:
        detach(model)
        return Result(tensors=_copies(model, self.head))


@dataclass(frozen=True)
class Lora:
    """LoRA on all linear layers, by PEFT (arXiv:2106.09685), and a new head whole."""

    config: LoraConfig
    head: tuple[str, ...]
    seed: int

    def prepare(self, model: nn.Module) -> None:
        model.requires_grad_(False)
        for name in self.head:
            model.get_parameter(name).requires_grad_(True)
        put_beside(model, list(linear_layers(model)), self.config, self.seed)

    def old(self, model: nn.Module) -> dict[str, Tensor]:
        # The update is B A: with B at zero, where it begins, it is none; and it is as large as B is.
        return {name: torch.zeros_like(p) for name, p in model.named_parameters() if ".lora_B." in name}

    def result(self, model: nn.Module) -> Result:
        return Result({}, _copies(model, self.head), *adapters_of(model, self.config))


def method_for(config: Config, job: Job, model: nn.Module, selection: Selection | None) -> Method:
    """The method that the configuration names, for this model."""
    head = job.task.head(model)
    infos = headers(job.base.folder)
    stored = {name: infos[tensor].torch_dtype for name, tensor in job.task.tensor_names(model).items()}
    if config.method == "sparse":
        if selection is None:
            raise ConfigError("method sparse needs a selection", where="method")
        refuse_half({name: model.get_parameter(name).dtype for name in selection.vectors})
        return Sparse(selection, head, stored)
    if config.method == "full":
        return Full(job, head)
    if config.method == "lora":
        return Lora(config.lora, head, config.train.seed)
    if not head:
        raise ConfigError("the base keeps its own head, so there is no new one to train", where="method")
    return Head(head)


def linear_layers(model: nn.Module) -> dict[str, nn.Module]:
    """All that an adapter can stand beside, by the names that the body gives them; not what makes logits."""
    body = _body(model)
    return {name: module for name, module in body.named_modules() if is_matrix(module) and not _is_output(body, module)}


def put_beside(model: nn.Module, targets: Sequence[str], config: LoraConfig, seed: int) -> None:
    """Put new LoRA adapters beside some of `linear_layers`, in place; they train, and so does what trained before.

    Raises:
        ConfigError: PEFT is not installed.
    """
    lora = require_peft().LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=list(targets),
        bias="none",
    )
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _inject(lora, _body(model))
    for parameter in trained:  # PEFT freezes all but its own
        parameter.requires_grad_(True)


def adapters_of(model: nn.Module, config: LoraConfig) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What `put_beside` made, as it is now: tensors as PEFT names them in its file, and its configuration."""
    state = require_peft().get_peft_model_state_dict(_body(model))
    adapters = {PEFT_PREFIX + name: state[name].detach().cpu().clone() for name in sorted(state)}
    about = {
        "peft_type": "LORA",
        "r": config.rank,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "target_modules": sorted({name.rsplit(".lora_", 1)[0] for name in state}),
        "bias": "none",
    }
    return adapters, about


def take_out(model: nn.Module) -> None:
    """Take the adapters away, and give each layer that they stood beside its place back: names are as before."""
    body = _body(model)
    for name, module in list(body.named_modules()):
        if hasattr(module, "base_layer") and hasattr(module, "lora_A"):
            parent, _, child = name.rpartition(".")
            setattr(body.get_submodule(parent), child, module.base_layer)
    vars(body).pop("peft_config", None)


def load_adapters(model: nn.Module, patch: Patch) -> nn.Module:
    """Put a patch's LoRA adapters beside the weights of a plain model, in place; `take_out` takes them away.

    The model's mode and the global generator are left as they were.
    """
    peft, config = require_peft(), patch.meta.adapter
    if config is None:
        return model
    lora = peft.LoraConfig(**{key: value for key, value in config.items() if key != "peft_type"})
    body = _body(model)
    modes = {name: module.training for name, module in body.named_modules()}
    with torch.random.fork_rng():
        _inject(lora, body)
    peft.set_peft_model_state_dict(
        body, {name.removeprefix(PEFT_PREFIX): tensor for name, tensor in patch.adapters.items()}
    )
    # New modules come in training mode, with their dropout; they take the mode of what they stand in.
    for name, module in body.named_modules():
        module.training = modes.setdefault(name, modes[name.rpartition(".")[0]])
    return model


def _inject(lora: Any, body: nn.Module) -> None:
    with warnings.catch_warnings():
        # PEFT finds out by itself which way a Conv1D of transformers lies, and says so.
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to")
        require_peft().inject_adapter_in_model(lora, body)
    # In fp32 beside a base of any dtype, as PEFT itself trains them: AdamW's small steps are nothing in half precision.
    for name, parameter in body.named_parameters():
        if ".lora_" in name:
            parameter.data = parameter.data.float()


def _body(model: nn.Module) -> nn.Module:
    """What an adapter stands beside: so that PEFT can read it onto the base too, which knows no new head."""
    return model.body if isinstance(model, Classifier) else model


def _copies(model: nn.Module, names: tuple[str, ...]) -> dict[str, Tensor]:
    return {name: model.get_parameter(name).detach().cpu().clone() for name in names}


def _is_output(model: nn.Module, module: nn.Module) -> bool:
    output = getattr(model, "get_output_embeddings", None)
    return output is not None and output() is module


def require_peft() -> Any:
    """PEFT's package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import peft
    except ImportError:
        raise ConfigError("LoRA needs PEFT", where="method", todo="Install it with pip install 'zogan[lora]'") from None
    return peft
