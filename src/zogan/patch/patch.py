"""A patch in memory: captured from a tuned model, saved, loaded, applied and reverted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from zogan.errors import IntegrityError, ZoganError, nearest
from zogan.patch import format
from zogan.patch.change import Change, bits, raw
from zogan.patch.meta import BaseMeta, PatchMeta
from zogan.patch.positions import encode
from zogan.sparse.attach import Delta
from zogan.weights import Fingerprint, TensorInfo, headers, read_tensor, tensor_digest


@dataclass(frozen=True, eq=False)
class Patch:
    """What tuning changed, and all that is needed to take it back.

    Attributes:
        changes: the base's tensor name to what changes in it.
        tensors: new tensors, whole, by parameter name: a head.
        adapters: PEFT's adapter tensors, whole, by the names in its adapter_model.safetensors.
        meta: base, digests, task, versions.
    """

    changes: Mapping[str, Change]
    tensors: Mapping[str, Tensor]
    adapters: Mapping[str, Tensor]
    meta: PatchMeta = field(repr=False)

    def __post_init__(self) -> None:
        for name in (*self.changes, *self.tensors, *self.adapters):
            if fault := format.name_fault(name):
                raise ZoganError(fault, where=f"tensor {name!r}")
        if {name: change.shape for name, change in self.changes.items()} != self.meta.shapes:
            raise ZoganError("the patch's changes are not those that its metadata names")
        if bool(self.adapters) != (self.meta.adapter is not None):
            raise ZoganError("adapters and their configuration stand only together")

    @classmethod
    def capture(
        cls,
        deltas: Mapping[str, Delta],
        names: Mapping[str, str],
        base: Fingerprint,
        folder: Path,
        *,
        tensors: Mapping[str, Tensor] | None = None,
        adapters: Mapping[str, Tensor] | None = None,
        adapter: dict[str, Any] | None = None,
        task: dict[str, Any] | None = None,
        tools: dict[str, str] | None = None,
        hashes: dict[str, str] | None = None,
        parent: str | None = None,
    ) -> Patch:
        """Make a patch of what `zogan.detach` returned. Positions whose bits did not change are left out.

        Args:
            deltas: by parameter name; those named in `tensors` are left to `tensors`.
            names: parameter name to tensor name in the base's folder.
            base: fingerprint of the folder.
            folder: the base; each changed tensor is read from it, to prove the old values and digest the new state.
            tensors: new tensors, whole, by parameter name.
            adapters: PEFT's tensors, whole.
            adapter: PEFT's adapter_config.json.
            task: what using the result needs; JSON values.
            tools: versions.
            hashes: of the configuration, the data, the selection.
            parent: digest of the patch that tuning started from.

        Raises:
            ZoganError: a parameter is neither in the base nor in `tensors`, or its values do not fit the base's dtype.
            IntegrityError: the folder's tensor is not the one that the fingerprint or the old values know.
        """
        tensors = tensors or {}
        infos = headers(folder)
        changes: dict[str, Change] = {}
        after = {}
        for parameter in sorted(deltas):
            if parameter in tensors:
                continue
            if parameter not in names:
                raise ZoganError(
                    "has changed, but is no tensor of the base", where=parameter, todo=nearest(parameter, names)
                )
            name = names[parameter]
            if name in changes:
                raise ZoganError(f"changes tensor {name!r}, as another parameter does", where=parameter)
            change, digest = _capture(deltas[parameter], infos[name], base.tensors[name])
            if change is not None:
                changes[name], after[name] = change, digest
        meta = PatchMeta(
            base=BaseMeta(
                whole=base.whole,
                weights=sum(info.numel for info in infos.values()),
                tensors={name: base.tensors[name] for name in changes},
            ),
            shapes={name: change.shape for name, change in changes.items()},
            after=after,
            task=task or {},
            tools=tools or {},
            hashes=hashes or {},
            parent=parent,
            adapter=adapter,
        )
        return cls(changes, _kept(tensors), _kept(adapters or {}), meta)

    @classmethod
    def load(cls, path: Path) -> Patch:
        """Read and prove a patch file.

        Raises:
            ZoganError: no such file.
            IntegrityError: damaged or hostile, with the file's and the tensor's name.
        """
        file = format.PatchFile.open(path)
        changes = {name: file.change(name) for name in file.names}
        return cls(changes, file.whole("tensor"), file.whole("adapter"), file.meta)

    def save(self, path: Path) -> None:
        """Write the patch as one safetensors file, whole or not at all. The same content makes the same bytes."""
        format.write(path, self._stored, self.meta)

    @cached_property
    def digest(self) -> str:
        """SHA-256, in hex, that names this patch; it stands in the file too."""
        return format.seal(self._stored, self.meta)

    @cached_property
    def nbytes(self) -> int:
        """Bytes of the file."""
        return sum(len(chunk) for chunk in format.chunks(self._stored, format.metadata_of(self.meta, "0" * 64)))

    @property
    def count(self) -> int:
        """Weights of the base that change."""
        return sum(len(change.positions) for change in self.changes.values())

    @property
    def density(self) -> float:
        """Share of the base's weights that change, 0 to 1."""
        return self.count / self.meta.base.weights if self.meta.base.weights else 0.0

    def apply(self, model: nn.Module, names: Mapping[str, str]) -> None:
        """Put the new values into the model, in place, and new tensors into parameters of their names.

        A model held in another dtype than the base's is treated as what loading the patched base would give.

        Args:
            model: holds the base's values.
            names: parameter name to tensor name in the base's folder.

        Raises:
            IntegrityError: a tensor is missing or not the base's; nothing was written.
        """
        self._exchange(model, names, "old", "new")
        parameters = dict(model.named_parameters())
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                if name in parameters:
                    parameters[name].copy_(tensor)

    def revert(self, model: nn.Module, names: Mapping[str, str]) -> None:
        """Put the old values back, bit for bit. New tensors had no value before, and stay. See `apply`."""
        self._exchange(model, names, "new", "old")

    def _exchange(
        self, model: nn.Module, names: Mapping[str, str], held: Literal["old", "new"], wanted: Literal["old", "new"]
    ) -> None:
        parameters = {name: p for name, p in model.named_parameters() if names.get(name) in self.changes}
        missing = self.changes.keys() - {names[name] for name in parameters}
        if missing:
            raise IntegrityError("the model has no such tensor", where=f"tensor {min(missing)!r}")
        for name, tensor in self.tensors.items():
            whole = dict(model.named_parameters()).get(name)
            if whole is not None and whole.shape != tensor.shape:
                raise IntegrityError(
                    f"is {list(tensor.shape)}, the model's is {list(whole.shape)}", where=f"tensor {name!r}"
                )
        for name, parameter in parameters.items():
            _prove(names[name], self.changes[names[name]], parameter, held)
        with torch.no_grad():
            for name, parameter in parameters.items():
                change = self.changes[names[name]]
                values: Tensor = getattr(change, wanted).to(parameter.device, parameter.dtype)
                flat = parameter.detach().reshape(-1)
                bits(flat)[change.positions.to(flat.device)] = bits(values)
                # Through the parameter itself, so that its version tells everyone; a copy where it is no one block.
                parameter.copy_(flat.view(parameter.shape))

    @cached_property
    def _stored(self) -> dict[str, Tensor]:
        stored = {}
        for name, change in self.changes.items():
            code = bytearray(encode(change.positions))
            stored[f"positions/{name}"] = torch.frombuffer(code, dtype=torch.uint8)
            stored[f"old/{name}"] = change.old
            stored[f"new/{name}"] = change.new
        stored |= {f"tensor/{name}": tensor for name, tensor in self.tensors.items()}
        return stored | {f"adapter/{name}": tensor for name, tensor in self.adapters.items()}


def _capture(delta: Delta, info: TensorInfo, digest: str) -> tuple[Change | None, str]:
    state = read_tensor(info).reshape(-1)  # (numel,)
    if tensor_digest(info.dtype, info.shape, [raw(state)]) != digest:
        raise IntegrityError("has changed since the base was opened", where=str(info))
    positions = delta.positions.detach().cpu()
    old, new = (_exact(values, info) for values in (delta.old, delta.new))
    if len(positions) and (int(positions.min()) < 0 or int(positions.max()) >= info.numel):
        raise ZoganError(f"a changed position is not below {info.numel}", where=str(info))
    if not torch.equal(bits(state)[positions], bits(old)):
        raise IntegrityError("does not hold the old values that tuning started from", where=str(info))
    kept = bits(old) != bits(new)
    if not bool(kept.any()):
        return None, digest
    positions, old, new = positions[kept], old[kept], new[kept]
    bits(state)[positions] = bits(new)
    after = tensor_digest(info.dtype, info.shape, [raw(state)])
    return Change(info.dtype, info.shape, positions, old, new), after


def _exact(values: Tensor, info: TensorInfo) -> Tensor:
    """The values in the base's dtype. Refused where that rounds: the patch would not be what was trained."""
    values = values.detach().cpu().contiguous()
    stored = values.to(info.torch_dtype)
    if not torch.equal(bits(stored.to(values.dtype)), bits(values)):
        raise ZoganError(
            f"values of {values.dtype} do not fit the base's {info.dtype}",
            where=str(info),
            todo="Pass stored= to zogan.attach, so that training rounds as the base does",
        )
    return stored


def _prove(name: str, change: Change, parameter: nn.Parameter, held: Literal["old", "new"]) -> None:
    where = f"tensor {name!r}"
    if tuple(parameter.shape) != change.shape:
        raise IntegrityError(f"is {list(parameter.shape)} in the model, {list(change.shape)} in the patch", where=where)
    flat = bits(parameter.detach().reshape(-1))
    found = flat[change.positions.to(flat.device)].cpu()

    def stands(which: Literal["old", "new"]) -> bool:
        values: Tensor = getattr(change, which)
        return torch.equal(found, bits(values.to(parameter.dtype)))

    if stands(held):
        return
    if stands("new" if held == "old" else "old"):
        state = "applied already" if held == "old" else "not applied here"
        raise IntegrityError(f"the patch is {state}", where=where)
    raise IntegrityError(
        "holds other values than the patch's base" if held == "old" else "was changed after the patch was applied",
        where=where,
        todo="A patch fits its own base alone",
    )


def _kept(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in sorted(tensors.items())}
