"""Pictures a second of the U-Net: colorjax on XLA and on ONNX Runtime, and PyTorch, side by side in one run.

    pip install -e ".[onnx]" torch && python benchmarks/speed/inference.py [--stem=full] [--size 256 512] [--batch 1 8]

All have the same random numbers, and their answers are compared before anything is timed. Each lives in a process of its own.
They take turns, round after round, so that a machine that grows slower does so for all; the others sleep meanwhile. On a
processor all compute in float32. On a GPU colorjax and PyTorch compute in bfloat16, and ONNX Runtime is left out. PyTorch is
what its users would write: channels_last, inference_mode, and torch.compile on a GPU. "jit" is a frozen TorchScript trace,
which folds BatchNorm into the convolutions.
"""

import multiprocessing
import os
import statistics
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common

WAYS = ("colorjax, XLA", "colorjax, ONNX Runtime", "PyTorch", "PyTorch, jit")
REFERENCE = "PyTorch"
Run = Callable[[np.ndarray], np.ndarray]  # luma (B, H, W, 1) -> chroma (B, H, W, 2)


def numbers(stem: str, width: int) -> Any:
    """The network that all have."""
    from configs import unet

    config = unet.get_config()
    config.model.update(stem=stem, width=width)
    return common.random_network(config, statistics=True)


def on_jax(stem: str, width: int) -> Run:
    import jax

    from colorjax.inference import engines

    print(f"jax {jax.__version__}, {jax.devices()[0].device_kind}", file=sys.stderr)
    return engines.make(numbers(stem, width), "jax").predict


def on_onnx(stem: str, width: int) -> Run:
    from colorjax.inference import engines

    engine = engines.make(numbers(stem, width), "onnx")
    print(f"onnxruntime {engine.about['onnxruntime']}", file=sys.stderr)
    return engine.predict


def on_torch(stem: str, width: int, jit: bool = False) -> Run:
    import torch

    from benchmarks.speed import torch_unet

    network = numbers(stem, width)
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    print(f"torch {torch.__version__}, {device}", file=sys.stderr)
    net = torch_unet.load(torch_unet.UNet(width, stem), network.params, network.stats).eval()
    net = net.to(device, memory_format=torch.channels_last)
    if jit:
        with warnings.catch_warnings(action="ignore"), torch.inference_mode():
            traced = torch.jit.trace(net, torch.zeros(1, 1, 64, 64, device=device))
            net = torch.jit.optimize_for_inference(torch.jit.freeze(traced))
    elif on_gpu:
        net = torch.compile(net)

    def run(luma: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), torch.autocast(device, torch.bfloat16, enabled=on_gpu):
            given = torch.from_numpy(luma).to(device).permute(0, 3, 1, 2)
            return net(given).permute(0, 2, 3, 1).cpu().numpy()

    return run


MAKERS = dict(zip(WAYS, (on_jax, on_onnx, on_torch, lambda stem, width: on_torch(stem, width, jit=True)), strict=True))


def worker(way: str, stem: str, width: int, pipe: Any) -> None:
    """Answer each luma with (chroma, seconds of each repetition)."""
    run = MAKERS[way](stem, width)
    while (asked := pipe.recv()) is not None:
        luma, repeats = asked
        pipe.send(common.timed(repeats, run, luma))


def measured(pipes: dict[str, Any], shape: tuple[int, int, int], tolerance: float, args: Namespace) -> dict[str, list[float]]:
    """The median seconds of each way in each round. Raises SystemExit where two ways do not answer alike."""
    luma = np.random.default_rng(1).uniform(-1, 1, (*shape, 1)).astype(np.float32)
    answers = {}
    for way, pipe in pipes.items():  # compiles, and warms up
        pipe.send((luma, 2))
        answers[way] = pipe.recv()[0]
    for way, answer in answers.items():
        apart = np.abs(answer - answers[REFERENCE]).max()
        if not apart < tolerance:
            raise SystemExit(f"{way} answers otherwise than {REFERENCE}, by {apart:.2g}")

    def one(way: str, _: int) -> float:
        time.sleep(0.2)  # until the threads of the one before sleep
        pipes[way].send((luma, args.repeats))
        return statistics.median(pipes[way].recv()[1])

    return common.in_turns(pipes, args.rounds, one)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--stem", default="strided", choices=["full", "strided"], help="default: strided")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--size", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=common.positive, default=5)
    parser.add_argument("--repeats", type=common.positive, default=5, help="of each way in each round (default: 5)")
    args = parser.parse_args()
    import torch

    on_gpu = torch.cuda.is_available()
    ways = [way for way in WAYS if not (on_gpu and ("ONNX" in way or "jit" in way))]
    context = multiprocessing.get_context("spawn")
    pipes = {}
    for way in ways:
        pipes[way], theirs = context.Pipe()
        context.Process(target=worker, args=(way, args.stem, args.width, theirs), daemon=True).start()
    print(
        f"stem={args.stem}, width {args.width}; {os.cpu_count()} processors; pictures a second, median of {args.rounds} rounds"
    )
    print("in brackets: times PyTorch's, median of the rounds and their range\n")
    common.table("size", "batch", *ways)
    for size in args.size:
        for batch in args.batch:
            spent = measured(pipes, (batch, size, size), 0.1 if on_gpu else 1e-3, args)
            cells = []
            for way in ways:
                ratios = [other / own for other, own in zip(spent[REFERENCE], spent[way], strict=True)]
                about = f"{statistics.median(ratios):.2f}, {min(ratios):.2f} to {max(ratios):.2f}"
                cells.append(f"{batch / statistics.median(spent[way]):.2f} ({about})")
            common.row(size, batch, *cells)
    for pipe in pipes.values():
        pipe.send(None)


if __name__ == "__main__":
    main()
