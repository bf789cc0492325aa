"""One photograph: pixels in, the same pixels in colour out.

`pixels` (lightness, and a small copy of it), `framing` (mounts, panoramas, stereo cards), `engines` (what computes the
network's answer: XLA or ONNX Runtime, from `onnx_graph`), `upsampling` (the answer at full size), `colorizer` (all of it in
turn), `exports` (the network for other programs; `torch_layout`: for PyTorch).
"""

__all__ = ["colorizer", "engines", "exports", "framing", "onnx_graph", "pixels", "torch_layout", "upsampling"]
