"""How far the network moves: schedules, and parts that move less or not at all."""

import numpy as np

from colorjax.training import optim
from configs import base


def test_schedule_steps_down_once_an_epoch_along_a_cosine():
    config = base.get_config()
    config.epochs, config.learning_rate = 4, 1.0
    rate = optim.schedule(config, steps_per_epoch=10)
    expected = np.repeat(0.5 * (1 + np.cos(np.pi * np.arange(4) / 4)), 10)
    np.testing.assert_allclose([float(rate(step)) for step in range(40)], expected, atol=1e-6)
    config.warmup_steps = 5
    np.testing.assert_allclose(
        [float(optim.schedule(config, 10)(step)) for step in range(6)], [0.2, 0.4, 0.6, 0.8, 1, 1], atol=1e-6
    )
