"""Every test runs on four fake CPU devices, with a cache of its own and without the network."""

import os
import signal
import sys

import jax
import pytest

import colorjax  # noqa: F401, first of all: it switches telemetry off

jax.config.update("jax_num_cpu_devices", 4)
jax.config.update("jax_numpy_rank_promotion", "raise")
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"
if (
    signal.getsignal(signal.SIGINT) is signal.SIG_IGN
):  # as of what a shell runs in the background: tests send it to their children
    signal.signal(signal.SIGINT, signal.default_int_handler)
sys.warnoptions.append("error")  # as if Python were started so: commands hide no warning from pytest


_LONGEST = (
    *("test_resume", "test_train", "test_processes", "test_gan", "test_losses", "test_perceptual", "test_data", "test_guided"),
    *("test_damaged_data", "test_comparison", "test_page", "test_serve"),
)


def pytest_collection_modifyitems(items):
    """The files that take longest come first, so that no process is left with one of them at the end."""
    items.sort(key=lambda item: _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST))


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """No test reads or fills the user's cache. What was compiled is kept in it from the first test on, however small it is."""
    folder = tmp_path_factory.mktemp("cache")
    os.environ["COLORJAX_CACHE"] = str(folder)
    jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    return folder


@pytest.fixture(scope="module")
def quick_compile():
    """Programs are compiled with fewer optimisations, those of child processes too: for tests that compile many networks and
    run each a few times."""
    before = jax.config.read("jax_disable_most_optimizations")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "true")
        jax.config.update("jax_disable_most_optimizations", True)
        jax.clear_caches()
        yield
    jax.config.update("jax_disable_most_optimizations", before)
    jax.clear_caches()  # no other test runs what was compiled so
