"""A trained network as an ONNX graph, for programs and processors on which XLA is not at hand, or not the fastest.

luma (batch, 1, height, width) float32 in -1..1 -> chroma (batch, 2, height, width) in -1..1, of any size; with
`model.answer` 2 or 4 that part of the height and width, rounded up. Guided networks also take hints (batch, 3, height,
width), all 0 where there are none. Pictures lie as ONNX wants them, channel after
channel; BatchNorm is folded into the convolution before it. Written with the `onnx` package, and not by jax2onnx: that pins
an older Orbax, and powers of arrays of unknown size are beyond it (0.13 to 0.17).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from colorjax.networks import resnet

OPSET, IR_VERSION = 17, 8  # of 2022: every runtime of today reads them
LUMA, HINTS = "luma", "hints"
CHROMA, FEATURES = "chroma", "features"
Tree = dict[str, Any]


class Graph:
    """A graph of an ONNX model, filled node by node: every method takes names of values and returns that of a new one."""

    def __init__(self, proto: Any):
        self.proto = proto

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator of ONNX with one output."""
        from onnx import helper

        name = f"{kind.lower()}{len(self.proto.node)}"
        self.proto.node.append(helper.make_node(kind, inputs, [name], **attributes))
        return name

    def number(self, value: Any, dtype: type = np.float32) -> str:
        """A constant."""
        from onnx import numpy_helper

        name = f"constant{len(self.proto.initializer)}"
        self.proto.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def conv(self, x: str, kernel: np.ndarray, bias: np.ndarray, stride: int = 1) -> str:
        """A convolution by a kernel (h, w, in, out), padded by half of its size."""
        pads, strides = [side // 2 for side in kernel.shape[:2]] * 2, [stride, stride]
        return self.node("Conv", x, self.number(kernel.transpose(3, 2, 0, 1)), self.number(bias), pads=pads, strides=strides)

    def relu(self, x: str) -> str:
        """The larger of x and 0."""
        return self.node("Relu", x)

    def double(self, x: str, params: Tree) -> str:
        """What `convolution.Double` does: a 2x2 transposed convolution of stride 2."""
        kernel = np.asarray(params["kernel"])[::-1, ::-1].transpose(2, 3, 0, 1)
        bias = self.number(params["bias"])
        return self.node("ConvTranspose", x, self.number(kernel), bias, kernel_shape=[2, 2], strides=[2, 2])

    def like(self, x: str, other: str) -> str:
        """The upper left part of x that has the height and width of another."""
        ends, start = self.node("Shape", other, start=2), self.number([0, 0], np.int64)
        return self.node("Slice", x, start, ends, self.number([2, 3], np.int64))

    def pooled_hints(self, size: int) -> str:
        """What `resnet.pooled_hints` makes of the input HINTS."""
        if size == 1:
            return HINTS
        ones = self.number(np.ones((3, 1, size, size)))
        sums = self.node("Conv", HINTS, ones, group=3, strides=[size, size], pads=[0, 0, size - 1, size - 1])
        chroma, many = (
            self.node("Slice", sums, *(self.number([end], np.int64) for end in ends)) for ends in ((0, 2, 1), (2, 3, 1))
        )
        one = self.number(1)
        chroma = self.node("Div", chroma, self.node("Max", many, one))
        return self.node("Concat", chroma, self.node("Min", many, one), axis=1)

    def hinted(
        self, x: str, kernel: np.ndarray, bias: np.ndarray, hints: np.ndarray | None, stride: int = 1, given: str = HINTS
    ) -> str:
        """`conv` of x, and of hints, scaled as in `resnet.HintConv`, where there is a kernel for them."""
        y = self.conv(x, kernel, bias, stride)
        return (
            y
            if hints is None
            else self.node("Add", y, self.conv(given, hints * resnet.HINT_SCALE[:, None], np.zeros_like(bias), stride))
        )


def _folded(conv: Tree, norm: Tree, stats: Tree) -> tuple[np.ndarray, np.ndarray]:
    """Kernel and bias of a convolution and the BatchNorm after it, in one."""
    scale = np.asarray(norm["scale"], np.float64) / np.sqrt(np.asarray(stats["var"], np.float64) + resnet.EPSILON)
    bias = np.asarray(conv.get("bias", 0), np.float64)
    return np.asarray(conv["kernel"]) * scale, (bias - stats["mean"]) * scale + norm["bias"]


def _folded_hinted(params: Tree, stats: Tree) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """`_folded` of conv1 and bn1, and the kernel by which hints are added between them; None where there is none."""
    kernel = params.get("hints", {}).get("kernel")
    hints = None if kernel is None else _folded({"kernel": kernel}, params["bn1"], stats["bn1"])[0]
    return *_folded(params["conv1"], params["bn1"], stats["bn1"]), hints


def _grey(graph: Graph, luma: str) -> str:
    """`color.lightness_to_grey` of luma: the sRGB level of a lightness."""
    t = graph.node("Div", graph.node("Add", graph.node("Mul", luma, graph.number(50)), graph.number(66)), graph.number(116))
    low = graph.node("Mul", graph.node("Sub", t, graph.number(4 / 29)), graph.number(3 * (6 / 29) ** 2))
    cube = graph.node("Mul", t, graph.node("Mul", t, t))
    linear = graph.node("Where", graph.node("Greater", t, graph.number(6 / 29)), cube, low)
    linear = graph.node("Clip", linear, graph.number(0), graph.number(1))
    knee = graph.number(0.0031308)
    power = graph.node("Pow", graph.node("Max", linear, knee), graph.number(1 / 2.4))
    curve = graph.node("Sub", graph.node("Mul", power, graph.number(1.055)), graph.number(0.055))
    straight = graph.node("Mul", linear, graph.number(12.92))
    return graph.node("Where", graph.node("Greater", linear, knee), curve, straight)


def _block(graph: Graph, x: str, params: Tree, stats: Tree, stride: int) -> str:
    y = graph.relu(graph.conv(x, *_folded(params["conv1"], params["bn1"], stats["bn1"]), stride))
    y = graph.conv(y, *_folded(params["conv2"], params["bn2"], stats["bn2"]))
    if "shortcut" in params:
        x = graph.conv(x, *_folded(params["shortcut"], params["shortcut_bn"], stats["shortcut_bn"]), stride)
    return graph.relu(graph.node("Add", x, y))


def _encoder(graph: Graph, luma: str, params: Tree, stats: Tree, strided: bool) -> list[str]:
    """The maps of `resnet.ResNetEncoder`: stem, layer1, ..., layer4."""
    grey = graph.node("Sub", _grey(graph, luma), graph.number(resnet.GREY_MEAN))
    x = graph.node("Div", grey, graph.number(resnet.GREY_STD))
    stem = graph.relu(graph.hinted(x, *_folded_hinted(params, stats), 2 if strided else 1))
    maps, x = [stem], stem
    if strided:
        x = graph.node("MaxPool", stem, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    for number in range(1, 5):
        layer, numbers = params[f"layer{number}"], stats[f"layer{number}"]
        if number == 3 and "deep_hints" in params:
            kernel = np.asarray(params["deep_hints"]["kernel"]) * resnet.HINT_SCALE[:, None]
            hints = graph.conv(graph.pooled_hints(8 if strided else 2), kernel, np.zeros(kernel.shape[-1]))
            x = graph.node("Add", x, hints)
        x = _block(graph, x, layer["block0"], numbers["block0"], 1 if number == 1 else 2)
        x = _block(graph, x, layer["block1"], numbers["block1"], 1)
        maps.append(x)
    return maps


def _up(graph: Graph, x: str, skip: str, params: Tree, stats: Tree, hints: str) -> str:
    x = graph.node("Concat", graph.like(graph.double(x, params["up"]), skip), skip, axis=1)
    x = graph.relu(graph.hinted(x, *_folded_hinted(params, stats), given=hints))
    return graph.relu(graph.conv(x, *_folded(params["conv2"], params["bn2"], stats["bn2"])))


def _resnet_unet(graph: Graph, luma: str, params: Tree, stats: Tree, strided: bool) -> tuple[str, str]:
    stem, layer1, layer2, layer3, x = _encoder(graph, luma, params["encoder"], stats["encoder"], strided)
    steps = (("up3", layer3, 16), ("up2", layer2, 8), ("up1", layer1, 4), ("up_stem", stem, 2), ("up_luma", luma, 1))
    features = ""
    for name, skip, scale in steps:
        if name not in params:  # a coarser answer, or the full stem
            continue
        hints = graph.pooled_hints(scale) if "hints" in params[name] else ""
        x = _up(graph, x, skip, params[name], stats[name], hints)
        features = x if name == "up1" else features
    return graph.conv(x, params["head"]["kernel"], params["head"]["bias"]), features


def _shallow(graph: Graph, luma: str, params: Tree, stats: Tree, strided: bool) -> tuple[str, str]:
    del strided  # it has no stem

    def pool(x: str) -> str:
        return graph.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)

    def conv(x: str, name: str) -> str:
        return graph.conv(x, params[name]["kernel"], params[name]["bias"])

    first, hints = params["down1"], params.get("hints", {}).get("kernel")
    x = graph.relu(graph.hinted(luma, first["kernel"], first["bias"], hints))
    x = graph.relu(conv(pool(x), "down2"))
    x = graph.relu(conv(pool(x), "bottleneck"))
    features = graph.relu(graph.double(x, params["up1"]))
    x = graph.like(graph.relu(graph.double(features, params["up2"])), luma)
    return conv(x, "head"), features


# Each gives its answer before tanh, and the map that its palette looks at.
_NETWORKS: dict[str, Callable[[Graph, str, Tree, Tree, bool], tuple[str, str]]] = {
    "resnet_unet": _resnet_unet,
    "shallow": _shallow,
}


def build(model_config: Any, params: Tree, stats: Tree, about: dict[str, str], *, features: bool = False) -> bytes:
    """The serialised ONNX model of the network that `config.model` describes with these numbers, float32.

    about: what the file says of itself. features: there is a second output, the map "up1" that a palette looks at.
    Raises ImportError where the `onnx` package is missing.
    """
    from onnx import TensorProto, helper

    model = helper.make_model(
        helper.make_graph([], model_config.name, [], []),
        opset_imports=[helper.make_opsetid("", OPSET)],
        producer_name="colorjax",
        ir_version=IR_VERSION,
    )
    graph = Graph(model.graph)  # in place: copies of all numbers would take memory
    strided = model_config.stem == "strided"
    answer, seen = _NETWORKS[model_config.name](graph, LUMA, _numpy(params), _numpy(stats), strided)
    graph.proto.node.append(helper.make_node("Tanh", [answer], [CHROMA]))

    def declare(where: Any, value: str, *shape: int | str) -> None:
        where.append(helper.make_tensor_value_info(value, TensorProto.FLOAT, ["batch", *shape]))

    declare(graph.proto.input, LUMA, 1, "height", "width")
    if "palette" in params:
        declare(graph.proto.input, HINTS, 3, "height", "width")
    sides = ("height", "width") if model_config.answer == 1 else ("answer_height", "answer_width")
    declare(graph.proto.output, CHROMA, 2, *sides)
    if features:
        graph.proto.node.append(helper.make_node("Identity", [seen], [FEATURES]))
        declare(graph.proto.output, FEATURES, "channels", "rows", "columns")
    helper.set_model_props(model, about)
    return model.SerializeToString()


def _numpy(tree: Tree) -> Tree:
    return {key: _numpy(value) if isinstance(value, dict) else np.asarray(value, np.float32) for key, value in tree.items()}
