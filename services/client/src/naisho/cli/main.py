"""The entry point of ``naisho``."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

import click

from naisho.cli.context import CliContext
from naisho.cli.root import Root, find_plugins
from naisho.cli.usage import explain_usage
from naisho.errors import NaishoError
from naisho.texts import Texts, language_of

FAILED, MISUSED, INTERRUPTED = 1, 2, 130


def main(arguments: Sequence[str] | None = None, environment: Mapping[str, str] | None = None) -> None:
    """Run ``naisho`` and exit: 0 done, 1 failed, 2 called wrongly, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given, os.environ if environment is None else environment))


def run(arguments: list[str], environment: Mapping[str, str]) -> int:
    """Run ``naisho`` and return its exit code."""
    texts = Texts.load(language_of(environment, _wanted(arguments, "--lang")))
    # Known before anything is parsed, so that a complaint about the call itself is JSON as well.
    context = CliContext(texts, environment, json="--json" in _options(arguments))
    try:
        code = Root(texts, find_plugins).main(arguments, "naisho", standalone_mode=False, obj=context)
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:  # noqa: BLE001 - told to the user, with a way to see more
        return _fail(context, _first(error))
    return code if isinstance(code, int) else 0


def _fail(context: CliContext, error: BaseException) -> int:
    if isinstance(error, NaishoError):
        explanation = error.explain(context.texts.language)
        context.output.error({"code": error.code, "remedy": error.remedy.value, **explanation._asdict()})
        return FAILED
    if isinstance(error, click.UsageError):
        context.output.error(explain_usage(error, context.texts))
        return MISUSED
    if isinstance(error, click.ClickException):
        context.output.error({"code": "failed", "remedy": "try-again", "what": error.format_message()})
        return error.exit_code
    if context.environment.get("NAISHO_DEBUG"):
        raise error
    texts, kind = context.texts, type(error).__name__
    parts = {part: texts(f"errors.unexpected.{part}", kind=kind, reason=error) for part in ("what", "why", "next")}
    context.output.error({"code": "unexpected", "remedy": "update", **parts})
    return FAILED


def _first(error: BaseException) -> BaseException:
    """Return the error itself, out of the groups that tasks wrap it in."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _options(arguments: list[str]) -> list[str]:
    """Return the arguments before ``--``."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments


def _wanted(arguments: list[str], option: str) -> str | None:
    """Return an option's value before anything is parsed, wherever it stands."""
    options = _options(arguments)
    for at, argument in enumerate(options):
        if argument == option and at + 1 < len(options):
            return options[at + 1]
        if argument.startswith(f"{option}="):
            return argument.partition("=")[2]
    return None


if __name__ == "__main__":
    main()
