"""One photograph: pixels in, the same pixels in colour out.

`pixels` (lightness, and a small copy of it), `framing` (mounts, panoramas, stereo cards), `viewing` (what the network is shown
and says), `engines` (what computes that: XLA or ONNX Runtime, from `onnx_graph`), `reaching` (how far hints go), `variants`
(other likely colours), `doubts` (where the colour is a guess), `upsampling` (the answer at full size), `colorizer` (all of it
in turn), `exports` (the network for other programs; `torch_layout`: for PyTorch).
"""

__all__ = [
    "colorizer",
    "doubts",
    "engines",
    "exports",
    "framing",
    "onnx_graph",
    "pixels",
    "reaching",
    "torch_layout",
    "upsampling",
    "variants",
    "viewing",
]
