"""The layout of the house: which wing may import which, and what stays out of the console command."""

import ast
import re
import subprocess
import sys

import pytest
from helpers import ROOT
from helpers.walls import PACKAGE, cycles, imported, modules

# From the ground up: a wing imports those of the floors below it alone. What happens in each is said in its __init__.py.
FLOORS = [
    {"platform", "photos"},
    {"science"},
    {"networks", "data"},
    {"checkpoint"},
    {"inference", "evaluation"},
    {"training", "archive"},
    {"film"},
    {"web"},
    {"cli"},
]
FLOOR = {wing: floor for floor, wings in enumerate(FLOORS) for wing in wings}
ONLY_IN = {
    "tensorflow": "data",
    "tensorflow_datasets": "data",
    "orbax": "checkpoint",
    "ray": "archive",
    "fsspec": "archive",
    "c2pa": "archive",
    "cryptography": "archive",
    "jwt": "archive",
    "onnx": "inference",
    "onnxruntime": "inference",
    "starlette": "web",
    "uvicorn": "web",
    "av": "film",
    "cv2": "film",
}
MOST_DOORS, MOST_FLOORS, MOST_MODULES = 13, 9, 12
MODULES = modules()
SOURCES = [*MODULES.values(), ROOT / "train.py", ROOT / "evaluate.py"]


def wing_of(module):
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("module", [name for name in MODULES if wing_of(name) not in ("", "__main__")])
def test_imports_point_downwards(module):
    wing = wing_of(module)
    for name in imported(MODULES[module]):
        library = name.split(".")[0]
        assert ONLY_IN.get(library, wing) == wing, f"{module} imports {library}, which belongs in {ONLY_IN[library]}"
        other = wing_of(name) if library == "colorjax" else wing
        if other != wing:
            assert FLOOR[other] < FLOOR[wing], f"{module} may not import {other}"


def test_a_wing_is_entered_through_what_it_shows():
    """Of another wing only names of its __all__ are imported, or what is inside of those."""
    shown = {}
    for name, path in MODULES.items():
        if path.name == "__init__.py" and name.count(".") == 1:
            tree = ast.parse(path.read_text())
            shown[name.split(".")[1]] = next(
                set(ast.literal_eval(node.value))
                for node in tree.body
                if isinstance(node, ast.Assign) and node.targets[0].id == "__all__"
            )
    assert shown.keys() | {"cli"} == FLOOR.keys()
    for module, path in MODULES.items():
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "colorjax" and len(parts) > 2 and parts[1] not in (wing_of(module), "cli"):
                assert parts[2] in shown[parts[1]], f"{module} imports {name}, which {parts[1]}/__init__.py does not show"


def test_no_module_needs_itself():
    assert not cycles(MODULES)


def test_the_house_is_seen_at_a_glance():
    doors = {wing_of(name) for name in MODULES} - {"", "__main__"}
    assert doors == FLOOR.keys() and len(doors) <= MOST_DOORS and len(FLOORS) <= MOST_FLOORS
    for wing in doors - {"cli"}:
        for folder in [wing, *(f"{wing}/{path.parent.name}" for path in (PACKAGE / wing).glob("*/__init__.py"))]:
            parts = {path.stem if path.is_file() else path.name for path in (PACKAGE / folder).iterdir()}
            inside = {part for part in parts if f"colorjax.{folder}.{part}".replace("/", ".") in MODULES}
            assert 0 < len(inside) <= MOST_MODULES, folder
            said = ast.get_docstring(ast.parse((PACKAGE / folder / "__init__.py").read_text()))
            unsaid = [part for part in inside if f"`{part}`" not in said]
            assert not unsaid, f"{folder}/__init__.py does not say what {unsaid} are for"


def test_modules_and_functions_stay_short():
    for path in MODULES.values():
        text = path.read_text()
        assert len(text.splitlines()) <= 300, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 70, f"{path}: {node.name}"
    assert len((ROOT / "train.py").read_text().splitlines()) <= 160


def test_no_default_hides_outside_the_base_config():
    for path in SOURCES:
        assert not re.search(r"config[a-z_.]*\.get\(", path.read_text()), path


def test_every_key_of_the_base_config_is_explained_and_read():
    source = (ROOT / "configs" / "base.py").read_text()
    code = "\n".join(path.read_text() for path in SOURCES)
    for line in source.splitlines():
        match = re.match(r"    config\.([\w.]+) = (.*)", line)
        if match and "ConfigDict()" not in match[2]:
            assert "#" in match[2], f"{match[1]} has no comment"
            assert re.search(rf"\b{match[1].split('.')[-1]}\b", code), f"nothing reads {match[1]}"


def test_every_wing_has_its_tests_in_a_folder_of_its_name():
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and any(path.glob("test_*.py"))}
    assert folders - {"benchmarks"} == FLOOR.keys() - {"cli"}  # whose scripts are of no wing


def test_importing_is_quick_and_colouring_imports_no_training_library():
    blocked = [
        "tensorflow",
        "dm_pix",
        "matplotlib",
        "tensorboard",
        "tensorflow_datasets",
        "skimage",
        "absl.app",
        "ray",
        "keras",
        "c2pa",
        "cryptography",
        "jwt",
    ]
    code = f"""
import sys, time
sys.modules.update(dict.fromkeys({blocked!r}))
start = time.process_time()
import colorjax
assert not {{"jax", "numpy", "flax", "optax", "PIL"}} & sys.modules.keys()
print(time.process_time() - start)
colorjax.Colorizer, colorjax.color
print(time.process_time() - start)
"""
    result = subprocess.run([sys.executable, "-c", code], check=True, timeout=60, stdout=subprocess.PIPE, text=True)
    alone, colorizer = map(float, result.stdout.split())  # of the processor: the clock would count what other tests do
    assert alone < 0.6 and colorizer < 5
