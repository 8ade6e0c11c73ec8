"""``kubectl naisho …``: the same commands for people who live in kubectl.

kubectl finds plug-ins by the name of a program on the path: ``kubectl-naisho`` runs them, ``kubectl_complete-naisho``
completes what is being typed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click
from click.shell_completion import ShellComplete

from naisho.cli.context import CliContext
from naisho.cli.main import run
from naisho.cli.root import Root, find_plugins
from naisho.texts import Texts, language_of

_COMMAND = "cluster"
#: kubectl's sign for: these are all, do not add names of files.
_NO_FILES = ":4"


def main() -> None:
    """Run ``naisho cluster`` with kubectl's arguments, and exit as it does."""
    sys.exit(run([_COMMAND, *sys.argv[1:]], os.environ))


def complete() -> None:
    """Print what may follow the arguments, the last of which is incomplete, as kubectl wants it."""
    for line in completions(sys.argv[1:], os.environ):
        click.echo(line)


def completions(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return kubectl's lines for arguments of which the last is incomplete."""
    texts = Texts.load(language_of(environment, None))
    context = {"obj": CliContext(texts, environment)}
    completer = ShellComplete(Root(texts, find_plugins), context, "naisho", "_NAISHO_COMPLETE")
    *whole, last = [_COMMAND, *(arguments or [""])]
    items = completer.get_completions(whole, last)
    return [*(item.value for item in items if item.type == "plain"), _NO_FILES]
