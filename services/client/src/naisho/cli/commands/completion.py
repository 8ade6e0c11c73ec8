"""``naisho completion``: a script that completes commands and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from naisho.cli.context import CliContext
from naisho.texts import Texts

SHELLS = ("bash", "zsh", "fish")


def build(texts: Texts) -> click.Command:
    """Return the command."""

    @click.command("completion", help=texts("commands.completion.help"))
    @click.argument("shell", type=click.Choice(SHELLS))
    @click.pass_obj
    @click.pass_context
    def completion(ctx: click.Context, context: CliContext, shell: str) -> None:
        completer = get_completion_class(shell)
        assert completer is not None
        script = completer(ctx.find_root().command, {}, "naisho", "_NAISHO_COMPLETE").source()
        context.output.result({"shell": shell, "script": script})
        context.output.say(script)

    return completion
