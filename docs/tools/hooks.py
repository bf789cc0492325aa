"""What mkdocs writes into the reference while it builds: console help from the parsers, config keys from configs/base.py.

A page says where: the line <!-- console --> or <!-- config --> is replaced. So neither can grow old.
"""

import argparse
import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
_WIDTH = "100"  # columns of the help


def console() -> str:
    """The help of the command and of each of its commands, and the flags of both scripts."""
    from colorjax import cli

    os.environ["COLUMNS"] = _WIDTH
    parser = cli._parser()
    parts = [_block("colorjax", parser.format_help())]
    commands = next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    for name, command in commands.choices.items():
        parts.append(_block(f"colorjax {name}", command.format_help()))
    for script in ("train.py", "evaluate.py"):
        told = subprocess.run([sys.executable, ROOT / script, "--help"], cwd=ROOT, capture_output=True, text=True, check=False)
        ours = told.stdout.partition("\nabsl.app:")[0].partition("\nml_collections")[0]
        ours = re.sub(r"\n +\(default: 'batch_size.*?'\)", "", ours, flags=re.DOTALL)  # every key, which has a page of its own
        parts.append(_block(f"python {script}", re.sub(rf"^.*{re.escape(str(ROOT))}/", "", ours, flags=re.MULTILINE)))
    return "\n".join(parts)


def _block(title: str, text: str) -> str:
    return f"## {title}\n\n```text\n{text.strip()}\n```\n"


def config_keys() -> list[tuple[str, str, str]]:
    """(key, its value, its comment) of configs/base.py, in its order. Raises ValueError for a key without a comment."""
    source = (ROOT / "configs" / "base.py").read_text(encoding="utf-8")
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Attribute):
            continue
        if isinstance(node.value, ast.Call):  # a section
            continue
        key = ast.unparse(node.targets[0]).removeprefix("config.")
        if node.end_lineno not in comments:
            raise ValueError(f"configs/base.py: {key} has no comment")
        found.append((key, ast.unparse(node.value), comments[node.end_lineno]))
    return found


def config() -> str:
    """A table for each section."""
    sections: dict[str, list[str]] = {}
    for key, value, comment in config_keys():
        row = f"| `{key}` | `{value}` | {comment.replace('|', chr(92) + '|')} |"
        sections.setdefault(key.rpartition(".")[0], []).append(row)
    head = "| key | default | meaning |\n|---|---|---|\n"
    titles = {"": "The run", "model": "The network", "loss": "The loss", "data": "The photographs"}
    return "\n\n".join(
        f"## {titles.get(name, f'config.{name}')}\n\n{head}" + "\n".join(rows) for name, rows in sections.items()
    )


_PARTS = {"<!-- console -->": console, "<!-- config -->": config}


def on_page_markdown(markdown: str, **others: object) -> str:
    """Called by mkdocs for each page."""
    del others
    for mark, make in _PARTS.items():
        if mark in markdown:
            markdown = markdown.replace(mark, make())
    return markdown
