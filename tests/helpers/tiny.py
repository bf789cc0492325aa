"""The smallest run that is still a whole one, shared by the tests."""

from configs import quick


def config(**changes):
    """quick.py shrunk to seconds: 96 crops of 32 pixels in 6 steps an epoch; changes by flattened key with __ for dots."""
    config = quick.get_config()
    config.update_from_flattened_dict(
        {
            "epochs": 2,
            "batch_size": 16,
            "eval_batch_size": 4,
            "image_size": 32,
            "model.width": 8,
            "log_every": 4,
        }
    )
    config.update_from_flattened_dict({key.replace("__", "."): value for key, value in changes.items()})
    return config.lock()
