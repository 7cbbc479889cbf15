"""The command group. Commands are loaded when they are called, so that `--help` stays quick."""

from __future__ import annotations

import importlib
import os
import resource
import sys
import traceback
from typing import NoReturn

import click

from batchrunner import __version__
from batchrunner.errors import BatchrunnerError, InvariantError

# Command -> module below cli/, and the line that the list of commands shows.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("init", "Write a first manifest, or the demo with its images."),
    "validate": ("validate", "Check manifests: every error with file, line and column."),
    "plan": ("plan", "Tell what a run would do and cost; save it as a plan. Sends nothing."),
    "rehearse": ("rehearse", "Play tonight's run many times at a simulated provider. Sends nothing."),
    "run": ("run", "Work through a manifest; run it again to go on."),
    "status": ("look", "Tell how a campaign stands."),
    "jobs": ("look", "List a campaign's jobs."),
    "why": ("why", "Tell one job's story: what happened, why, what it cost."),
    "report": ("report", "Write the page: every clip, what failed, what it cost."),
    "export": ("export", "Write a self-contained manifest of a campaign: every job, every seed."),
    "audit": ("audit", "Hold the state table against the provider's list, in money."),
    "verify": ("verify", "Read every clip and the whole state table: is all as it was recorded?"),
    "retry": ("settle", "Let failed jobs try again."),
    "resolve": ("settle", "Settle a held job."),
    "models": ("models", "List models, explain one, hold its card against the provider."),
    "emulate": ("emulate", "Serve a local stand-in for the provider."),
}

EPILOG = """\b
Example:
  batchrunner init --demo demo && cd demo
  batchrunner run manifests/demo.yaml
"""


class LazyGroup(click.Group):
    """A group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one command."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"batchrunner.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_module, line) in COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name the nearest commands when there is none of that name."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from batchrunner.nearest import nearest  # noqa: PLC0415 - only a mistyped command needs it

            near = nearest(args[0], COMMANDS)
            hint = f" Did you mean '{near}'?" if near else ""
            raise click.UsageError(
                f"{error.message.split(' (Did')[0].split(' Did you')[0]}{hint}", ctx
            ) from None


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="batchrunner")
def group() -> None:
    """Run overnight batches of paid video jobs: resumable, never paid twice, never lost."""


def main() -> NoReturn:
    """Run the command line; turn errors into one sentence and an exit code."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would hold the key
    _open_streams()
    try:
        code = group.main(standalone_mode=False, prog_name="batchrunner")
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped before anything was sent", err=True)
        code = 130
    except BrokenPipeError:
        code = _pipe_closed()
    except InvariantError as error:
        traceback.print_exc()
        click.echo(f"batchrunner: a bug, please report it: {error}", err=True)
        code = error.exit_code
    except BatchrunnerError as error:
        click.echo(f"{error}", err=True)
        code = error.exit_code
    except Exception as error:  # whatever is not in the tree of errors.py is ours
        traceback.print_exc()
        click.echo(f"batchrunner: a bug, please report it: {error!r}", err=True)
        code = 70
    sys.exit(code if isinstance(code, int) else 0)


def _open_streams() -> None:
    """Give a run that was started with closed streams (by a daemon, say) others that lead nowhere."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            descriptor = os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
            if descriptor != number:  # so that no file of ours ever has a number that others write to
                os.dup2(descriptor, number)
                os.close(descriptor)
            setattr(sys, name, os.fdopen(number, "r" if number == 0 else "w"))


def _pipe_closed() -> int:
    """The reader of our output has gone (`| head`): end quietly, also at interpreter exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
