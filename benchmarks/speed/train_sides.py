"""One training step twice: colorjax's own, and the best a PyTorch user would write. `train_throughput.py` times them.

A side has `step(batch)`, which starts one update and does not wait for it, `wait()`, `losses`, and `batches` of random data
on its device. Both start from the same numbers and see the same batches.
"""

import math
from typing import Any

import numpy as np


def configured(job: dict) -> Any:
    """The settings of `train.py --config=configs/unet.py` that this job is about."""
    from configs import unet

    config = unet.get_config()
    config.batch_size, config.image_size = job["batch"], job["size"]
    config.update(job.get("changes", {}))
    config.model.update(stem=job["stem"], width=job["width"], dtype=job["dtype"], answer=job["answer"])
    config.data.update(source="folder", dir=job.get("photos", ""))
    return config


def numbers(config: Any) -> tuple[Any, Any]:
    """(params, stats) to start from: numpy's, for JAX's own random numbers are others on another device."""
    import jax

    from colorjax.networks import state

    rng = np.random.default_rng(0)

    def one(path: tuple, leaf: Any) -> np.ndarray:
        name = path[-1].key
        if name == "kernel":
            return rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape).astype(np.float32)
        return np.full(leaf.shape, name in ("scale", "var"), np.float32)

    return jax.tree_util.tree_map_with_path(one, jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0))))


def random_batches(config: Any, count: int) -> list[dict[str, np.ndarray]]:
    rng, shape = np.random.default_rng(1), (config.batch_size, config.image_size, config.image_size)
    return [
        {
            "luma": rng.uniform(-1, 1, (*shape, 1)).astype(np.float32),
            "chroma": rng.uniform(-0.5, 0.5, (*shape, 2)).astype(np.float32),
            "mask": np.ones(config.batch_size, np.float32),
        }
        for _ in range(count)
    ]


def flop(jitted: Any, *arguments: Any, **static: Any) -> float:
    """Of one call, as XLA counts them before it optimises, on a CPU.

    Counted is what a GPU would be given: on CPUs kernels' gradients are loops over the pictures, whose body counts once.
    """
    return jitted.trace(*arguments, **static).lower(lowering_platforms=("cuda",)).cost_analysis()["flops"]


class Colorjax:
    """What train.py does at each step."""

    def __init__(self, job: dict, batches: int = 2):
        import jax

        from colorjax.networks import state
        from colorjax.platform import sharding
        from colorjax.science import bins
        from colorjax.training import optim, steps

        if job["gpu"] != (jax.default_backend() == "gpu"):
            raise RuntimeError(f"JAX computes on {jax.default_backend()!r}")
        config = self.config = configured(job)
        mesh = self.mesh = sharding.make_mesh(config.batch_size)
        optimizers = optim.make(config, job["steps_per_epoch"])
        self.abstract = state.abstract(config, optimizers, mesh)
        self.update = steps.make(config, optimizers, mesh, np.zeros(bins.COUNT))
        self.losses, self.note = [], ""
        if batches:
            now = jax.jit(lambda: state.init(config, optimizers))()
            now.params, now.stats = numbers(config)
            self.now = sharding.place(now, jax.tree.map(lambda leaf: leaf.sharding, self.abstract))
        self.batches = [sharding.put(batch, mesh) for batch in random_batches(config, batches)]

    def step(self, batch: dict) -> None:
        self.now, scalars = self.update(self.now, batch)
        self.losses = [*self.losses[-9:], (scalars["loss"], scalars["grad_norm"])]

    def wait(self) -> None:
        import jax

        jax.block_until_ready((self.now.params, self.losses))

    def photographs(self) -> tuple[Any, Any, int]:
        """(its input pipeline alone, the same with its batches on the device), both without end, and how many wait there."""
        import jax

        from colorjax import data
        from colorjax.platform import sharding

        photographs = data.load(self.config, devices=self.mesh.size)

        def on_device():  # as train.py: never more than one step ahead
            for batch in sharding.prefetch(photographs.train(), self.mesh):
                yield batch
                jax.block_until_ready(self.losses[-2:-1])

        return photographs.train(), on_device(), 12

    def peak_memory(self) -> int | None:
        import jax

        return (jax.local_devices()[0].memory_stats() or {}).get("peak_bytes_in_use")

    def flop(self) -> float:
        """Of one picture in one step, as XLA counts them before it optimises."""
        import jax

        sides = (self.config.batch_size, self.config.image_size, self.config.image_size)
        shapes = {"luma": (*sides, 1), "chroma": (*sides, 2), "mask": sides[:1]}
        batch = {name: jax.ShapeDtypeStruct(shape, np.float32) for name, shape in shapes.items()}
        return flop(jax.jit(self.update), self.abstract, batch) / self.config.batch_size


class Torch:
    """The same network, loss, clipping and AdamW: channels last, autocast, torch.compile, fused optimiser, no waiting."""

    def __init__(self, job: dict, batches: int = 2):
        import torch

        from benchmarks.speed import torch_unet

        if job["gpu"] and not torch.cuda.is_available():
            raise RuntimeError("JAX computes on a GPU, but PyTorch sees none")
        config = self.config = configured(job)
        self.device = device = "cuda" if job["gpu"] else "cpu"
        torch.backends.cudnn.benchmark = True
        torch.set_float32_matmul_precision("high")  # TF32; that of convolutions is on already
        net = torch_unet.load(torch_unet.UNet(config.model.width, config.model.stem, config.model.answer), *numbers(config))
        net.to(device, memory_format=torch.channels_last).train()
        self.parameters = list(net.parameters())
        kernels, others = ([p for p in self.parameters if (p.ndim > 1) == is_kernel] for is_kernel in (True, False))
        groups = [{"params": kernels, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, config.learning_rate, (config.beta1, 0.999), fused=True)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimizer, lambda epoch: 0.5 * (1 + math.cos(math.pi * epoch / config.epochs))
        )
        self.steps_per_epoch, self.steps, self.losses = job["steps_per_epoch"], 0, []

        def loss(luma: torch.Tensor, chroma: torch.Tensor) -> torch.Tensor:
            with torch.autocast(device, torch.bfloat16, enabled=config.model.dtype == "bfloat16"):
                pred = net(luma)
            coarser = config.model.answer > 1
            target = torch.nn.functional.avg_pool2d(chroma, config.model.answer) if coarser else chroma
            return torch.nn.functional.l1_loss(pred, target)

        self.eager, self.note, mode = loss, "", job["compile"]
        self.loss = loss if mode == "none" else torch.compile(loss, mode=mode, dynamic=False)
        self.batches = [self.put(batch) for batch in random_batches(config, batches)]

    def put(self, batch: dict[str, np.ndarray]) -> tuple[Any, Any]:
        import torch

        maps = (torch.from_numpy(batch[name].transpose(0, 3, 1, 2)) for name in ("luma", "chroma"))
        return tuple(one.to(self.device, memory_format=torch.channels_last) for one in maps)

    def step(self, batch: tuple[Any, Any]) -> None:
        import torch

        try:
            loss = self.loss(*batch)
            loss.backward()
        except RuntimeError as error:  # on a GPU there is no excuse
            if self.device != "cpu" or self.loss is self.eager:
                raise
            self.note = f"PyTorch not compiled ({type(error).__name__})"
            self.loss = self.eager
            self.optimizer.zero_grad(set_to_none=True)
            return self.step(batch)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, self.config.clip_norm, foreach=True)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.steps += 1
        if self.steps % self.steps_per_epoch == 0:
            self.schedule.step()
        self.losses = [*self.losses[-9:], (loss.detach().clone(), norm)]

    def wait(self) -> None:
        import torch

        if self.device == "cuda":
            torch.cuda.synchronize()

    def photographs(self) -> tuple[Any, Any, int]:
        """(its input pipeline alone, the same with its batches on the device), both without end, and how many wait there."""
        from benchmarks.speed import torch_photos

        loader = torch_photos.batches(self.config, pinned=self.device == "cuda")
        on_device = torch_photos.on_device(loader, self.device, compiled=self.loss is not self.eager)
        return loader, on_device, torch_photos.WAITING * torch_photos.workers() + 2

    def peak_memory(self) -> int | None:
        import torch

        return torch.cuda.max_memory_allocated() if self.device == "cuda" else None


SIDES = {"colorjax": Colorjax, "PyTorch": Torch}
