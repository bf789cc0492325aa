"""The tf.data operations on one photograph. Every random choice comes from a stateless seed."""

import tensorflow as tf

from colorjax.science import color


def random_crop(image: tf.Tensor, size: int, seed: tf.Tensor, flip: bool) -> tf.Tensor:
    """A random square of (H, W, 3) uint8 as (size, size, 3) float32 sRGB in 0..1, mirrored half of the time.

    The square's side is drawn between `size` and the short side of `image`: with photographs stored a little larger
    than `size`, that is the light scale jitter. `seed`: two integers that decide everything.
    """
    shape = tf.shape(image)
    height, width = shape[0], shape[1]
    draws = tf.random.stateless_uniform([4], seed)

    def pick(draw: tf.Tensor, low: tf.Tensor, high: tf.Tensor) -> tf.Tensor:
        """An integer in low..high, both ends included."""
        return low + tf.cast(draw * tf.cast(high - low + 1, tf.float32), tf.int32)

    side = pick(draws[0], tf.minimum(size, tf.minimum(height, width)), tf.minimum(height, width))
    top, left = pick(draws[1], 0, height - side), pick(draws[2], 0, width - side)
    crop = _to_square(image[top : top + side, left : left + side], size)
    return tf.cond(draws[3] < 0.5, lambda: tf.reverse(crop, [1]), lambda: crop) if flip else crop


def centre_crop(image: tf.Tensor, size: int) -> tf.Tensor:
    """The middle square of (H, W, 3) uint8 as (size, size, 3) float32 sRGB in 0..1."""
    shape = tf.shape(image)
    side = tf.minimum(shape[0], shape[1])
    top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
    return _to_square(image[top : top + side, left : left + side], size)


def _to_square(crop: tf.Tensor, size: int) -> tf.Tensor:
    exact = tf.equal(tf.shape(crop)[0], size)
    crop = tf.cond(exact, lambda: tf.cast(crop, tf.float32), lambda: tf.image.resize(crop, (size, size), method="bilinear"))
    return tf.ensure_shape(crop, (size, size, 3)) / 255


def to_uint8(rgb: tf.Tensor) -> tf.Tensor:
    """sRGB float32 in 0..1 -> the nearest of 256 levels, uint8."""
    return tf.cast(tf.round(rgb * 255), tf.uint8)


@tf.function(jit_compile=True, autograph=False)  # fused by XLA, Lab takes a quarter of the time
def lab_example(rgb: tf.Tensor) -> dict[str, tf.Tensor]:
    """sRGB (H, W, 3) float32 in 0..1 -> `luma` (H, W, 1), (L*-50)/50, and `chroma` (H, W, 2), ab/110; float32."""
    lab = color.rgb_to_lab(rgb)
    return {"luma": (lab[..., :1] - 50) / 50, "chroma": lab[..., 1:] / 110}
