"""The commands put together, and what holds for all of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

import zogan
from zogan.cli import (
    check,
    compare,
    data,
    demo,
    estimate,
    evaluate,
    explain,
    init,
    mlflow,
    patch,
    pilot,
    probe,
    protocol,
    registry,
    report,
    search,
    select,
    tune,
    verdict,
)
from zogan.cli.failure import Failure, report_failure, usage_failure

app = typer.Typer(
    name="zogan",
    help="Tune a foundation model by replacing a small share of its weights, prove it on your own data, and take it "
    "back bit for bit.",
    epilog="Exit codes: 0 done, 1 a fault in the program, 2 bad input or configuration, 3 not accepted "
    "(--gate) or refused by the policy, 4 an integrity check failed, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> bool:
    if wanted:
        typer.echo(f"zogan {zogan.__version__}")
        raise typer.Exit
    return wanted


@app.callback()
def _zogan(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_version, is_eager=True)
    ] = False,
) -> None: ...


for _verb in (
    init,
    demo,
    data,
    check,
    estimate,
    protocol,
    search,
    pilot,
    select,
    tune,
    evaluate,
    compare,
    verdict,
    probe,
    explain,
    report,
    mlflow,
    patch,
    registry,
):
    _verb.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        The exit code.
    """
    try:
        code = app(args=list(arguments), prog_name="zogan", standalone_mode=False)
        sys.stdout.flush()
    except typer.Exit as leave:
        code = leave.exit_code
    except BrokenPipeError:
        # Whoever read our output has closed it (`| head`): nothing is left to say, not even while Python leaves.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return report_failure(Failure("interrupted", 130), as_json="--json" in arguments)
    except Exception as error:
        failure = usage_failure(error)
        if failure is None:
            raise
        return report_failure(failure, as_json="--json" in arguments)
    return code if isinstance(code, int) else 0
