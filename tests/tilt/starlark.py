"""Is a text Starlark? It looks like Python, so Python reads it, and what Starlark does not have is looked for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Final

#: What Python can say and Starlark cannot, as Tilt runs it (``if`` and ``for`` may stand outside of functions).
ABSENT: Final = (
    *(ast.AsyncFor, ast.AsyncFunctionDef, ast.AsyncWith, ast.Await, ast.ClassDef, ast.Global, ast.Nonlocal),
    *(ast.Import, ast.ImportFrom, ast.Try, ast.TryStar, ast.Raise, ast.With, ast.Assert, ast.Delete, ast.Match),
    *(ast.While, ast.Yield, ast.YieldFrom, ast.GeneratorExp, ast.SetComp, ast.Set, ast.JoinedStr, ast.NamedExpr),
    *(ast.AnnAssign, ast.Is, ast.IsNot, ast.MatMult, ast.Pow),
)
#: Starlark's own functions that a Tiltfile of ours may use.
BUILTIN: Final = frozenset({"dict", "enumerate", "fail", "len", "list", "print", "range", "sorted", "str", "zip"})


def parse(text: str) -> ast.Module:
    """Return the text's tree.

    Raises:
        SyntaxError: Python cannot read it, or Starlark could not.
    """
    tree = ast.parse(text)
    for fault in _faults(tree):
        raise SyntaxError(fault)
    return tree


def _faults(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        where = f"line {getattr(node, 'lineno', '?')}"
        if isinstance(node, ABSENT):
            yield f"{where}: Starlark has no {type(node).__name__}"
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            yield f"{where}: Starlark compares two things, not more"
        if isinstance(node, ast.Starred) and not isinstance(_parent(tree, node), ast.Call):
            yield f"{where}: Starlark unpacks in calls alone"
        if isinstance(node, ast.FunctionDef):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            if node.decorator_list or node.returns or any(one.annotation for one in every):
                yield f"{where}: Starlark has neither decorators nor annotations"
        if isinstance(node, ast.For | ast.comprehension) and getattr(node, "orelse", None):
            yield f"{where}: Starlark's loops have no else"


def _parent(tree: ast.Module, child: ast.AST) -> ast.AST | None:
    return next((node for node in ast.walk(tree) if child in ast.iter_child_nodes(node)), None)
