"""XLA's faulty fusions are off before JAX starts; what the user says of them counts more."""

import os
import subprocess
import sys

import jaxlib
import pytest
from helpers import ROOT

FLAG = "--xla_cpu_experimental_ynn_fusion_type"
# Of jax issue 39103: the last of n rows, by a compiled program. Right is (n - 1) ** 2.
PROGRAM = """
{first}
import jax, jax.numpy as jnp
rows = jnp.stack([jnp.arange(32_769.0), jnp.zeros(32_769), jnp.zeros(32_769)], axis=1)
print(float(jax.jit(jax.vmap(lambda row: jnp.sum((jnp.eye(3) @ row) ** 2)))(rows)[-1]))
"""
RIGHT = 32_768.0**2


def last_row(first, flags=None):
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"} | {"JAX_NUM_CPU_DEVICES": "1"}
    environment |= {"XLA_FLAGS": flags} if flags else {}
    command = [sys.executable, "-c", PROGRAM.format(first=first)]
    answer = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True)
    return float(answer.stdout)


def test_sums_are_right_with_colorjax_and_wrong_without():
    assert last_row("import colorjax") == RIGHT
    if last_row("") == RIGHT:
        pytest.skip(f"jaxlib {jaxlib.__version__} computes the sum rightly by itself on this processor")


@pytest.mark.parametrize(
    ("version", "before", "after"),
    [
        ("0.10.1", None, None),
        ("0.10.2", None, f"{FLAG}="),
        ("0.11.2", "--xla_dump_to=x", f"--xla_dump_to=x {FLAG}="),
        ("0.10.2", f"{FLAG}=-reduce", f"{FLAG}=-reduce"),
        ("0.12.0", None, None),
    ],
)
def test_only_the_versions_with_the_fault_are_told_and_the_user_has_the_last_word(monkeypatch, version, before, after):
    from colorjax.platform import xla

    monkeypatch.setattr(xla.metadata, "version", lambda package: version)
    if before is None:
        monkeypatch.delenv("XLA_FLAGS", raising=False)
    else:
        monkeypatch.setenv("XLA_FLAGS", before)
    xla.without_faulty_fusions()
    assert os.environ.get("XLA_FLAGS") == after
