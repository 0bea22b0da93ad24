"""A network of a few hundred weights with all that a selection must mind, for the tests of it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

Batch = tuple[Tensor, Tensor]


class Net(nn.Module):
    """An embedding tied to the output, two matrices, one unused, dropout."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(10, 8)
        self.up = nn.Linear(8, 16)
        self.drop = nn.Dropout(0.5)
        self.down = nn.Linear(16, 8)
        self.pooler = nn.Linear(8, 8)
        self.output = nn.Linear(8, 10, bias=False)
        self.output.weight = self.embedding.weight
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        logits: Tensor = self.head(self.down(self.drop(self.up(self.embedding(ids)).relu())).mean(1))
        return logits


class OwnRMSNorm(nn.Module):
    """A norm that is told by its name and its one vector."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x * x.square().mean(-1, keepdim=True).add(1e-6).rsqrt()


class Normed(nn.Module):
    """An embedding that is tied to nothing, two norms and an unused one, two matrices, one of which has a bias."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(10, 8)
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 16)
        self.scale = OwnRMSNorm(16)
        self.down = nn.Linear(16, 8, bias=False)
        self.spare = nn.LayerNorm(8)
        self.head = nn.Linear(8, 3)

    def forward(self, ids: Tensor) -> Tensor:
        hidden = self.scale(self.up(self.norm(self.embedding(ids))).relu())
        logits: Tensor = self.head(self.down(hidden).mean(1))
        return logits


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """Mean cross-entropy."""
    return nn.functional.cross_entropy(model(batch[0]).float(), batch[1])


def batches(count: int = 3) -> list[Batch]:
    """Tokens (6, 5) and labels (6,)."""
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randint(0, 10, (6, 5), generator=generator), torch.randint(0, 3, (6,), generator=generator))
        for _ in range(count)
    ]


def gradients(model: nn.Module, names: tuple[str, ...], count: int = 3) -> list[dict[str, Tensor]]:
    """Of each batch, whole, as plain autograd gives them."""
    model.eval()
    weights = [model.get_parameter(name) for name in names]
    return [dict(zip(names, torch.autograd.grad(loss(model, batch), weights), strict=True)) for batch in batches(count)]
