"""Who imports whom in the package. As a script it counts: python tests/helpers/walls.py"""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parent.parent.parent / "colorjax"


def modules(package=PACKAGE):
    """{"colorjax.photos.reading": its file, ...}; a wing's __init__.py is "colorjax.photos"."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(path):
    """Every name that a file imports, wherever in it, as "colorjax.photos.reading" or "jax.numpy"."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def arrows(found):
    """{module: the modules that it imports}."""

    def target(name):
        while name and name not in found:
            name = name.rpartition(".")[0]
        return name

    return {module: {target(name) for name in imported(path)} - {"", module} for module, path in found.items()}


def cycles(found):
    """The modules that need themselves to be imported, by way of others."""
    reached = arrows(found)
    for _ in found:
        reached = {module: others.union(*(reached[other] for other in others)) for module, others in reached.items()}
    return [module for module, others in reached.items() if module in others]


def floors(graph):
    """{node: the longest way down from it}."""
    depth = {}

    def of(node):
        if node not in depth:
            depth[node] = 0
            depth[node] = 1 + max((of(other) for other in graph[node]), default=-1)
        return depth[node]

    return {node: of(node) for node in graph}


def main():
    """Print doors, floors and arrows, of wings and of modules."""
    found = {name: path for name, path in modules().items() if name not in ("colorjax", "colorjax.__main__")}
    graph = {module: others & found.keys() for module, others in arrows(found).items()}
    wing = {module: module.split(".")[1] for module in found}
    wings = {name: set() for name in wing.values()}
    for module, others in graph.items():
        wings[wing[module]] |= {wing[other] for other in others} - {wing[module]}
    between = sum(wing[module] != wing[other] for module, others in graph.items() for other in others)
    print(f"doors at the top: {len(wings)}, modules: {len(found)}")
    print(f"floors of wings: {max(floors(wings).values()) + 1}, arrows between wings: {sum(map(len, wings.values()))}")
    print(f"arrows between modules: {sum(map(len, graph.values()))}, of them between wings: {between}")
    for name, floor in sorted(floors(wings).items(), key=lambda pair: -pair[1]):
        print(f"  {floor} {name:<11} -> {', '.join(sorted(wings[name]))}")


if __name__ == "__main__":
    main()
