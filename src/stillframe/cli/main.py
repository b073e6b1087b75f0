"""The command `stillframe`: its commands, and how errors become one line and an exit code.

Nothing here imports av, numpy or what the service is made of: `stillframe --help` answers at once.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from stillframe import __version__
from stillframe.cli.messages import make_streams_safe, print_error
from stillframe.errors import StillframeError, os_reason

#: EX_USAGE of sysexits.h; 1 to 63 say how many files failed
USAGE_EXIT = 64
INTERRUPTED_EXIT = 130

_INSTALL = "run: pip install 'stillframe[server]'"
_EPILOG = """Exit codes: 0 all is well; 1 to 63 so many files failed (63: or more); 64 wrong usage; 130 interrupted."""


def main() -> NoReturn:
    """Run the command line and end the process."""
    _leave(run())


def run() -> int:
    """Run the command line; the exit code."""
    make_streams_safe()
    # a tiny matrix is all that is ever multiplied: starting a thread for each processor takes longer
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        result = app_for(sys.argv[1:])(standalone_mode=False)
        if result == INTERRUPTED_EXIT:
            # Ctrl-C, which comes out of Typer as this number
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except typer.TyperException as error:
        # usage errors show themselves together with the command's usage line
        if hasattr(error, "show"):
            error.show()
        return USAGE_EXIT
    except StillframeError as error:
        print_error(error)
        return 1
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "stillframe":
            raise
        print_error(f"{error.name} is not installed, which the service needs: {_INSTALL}")
        return 1
    except MemoryError:
        print_error("more memory is needed than there is")
        return 1
    except OSError as error:
        print_error(f"standard output: {os_reason(error)}")
        return 1
    except (KeyboardInterrupt, typer.Abort):
        print_error("interrupted")
        return INTERRUPTED_EXIT


def _leave(code: int) -> NoReturn:
    """End the process. Everything is written and closed by now: taking the interpreter apart would only take time."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        code = code or 1
        with contextlib.suppress(OSError):
            os.write(2, f"stillframe: standard output: {os_reason(error)}\n".encode())
    os._exit(code)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stillframe {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    """The options of the command itself."""


def app_for(arguments: Sequence[str]) -> typer.Typer:
    """The command line with all its commands; where it begins with `snap`, with that one alone.

    Making the others takes as long as making a picture.
    """
    app = typer.Typer(
        name="stillframe",
        help="Exact, fast stills, sprite sheets and thumbnail tracks out of video.",
        epilog=_EPILOG,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_root)
    from stillframe.cli import snap

    app.command(name="snap", epilog=snap.EXAMPLES, no_args_is_help=True)(snap.snap)
    if arguments[:1] != ["snap"]:
        _add_the_rest(app)
    return app


def _add_the_rest(app: typer.Typer) -> None:
    from stillframe.cli import (
        account,
        api,
        bucket,
        config,
        console,
        db,
        doctor,
        job,
        key,
        keyring,
        lint,
        media,
        node,
        pipeline,
        policy,
        probe,
        serve,
        sts,
        user,
        worker,
    )

    app.command(name="probe", epilog=probe.EXAMPLES, no_args_is_help=True)(probe.probe)
    app.command(name="lint", epilog=lint.EXAMPLES, no_args_is_help=True)(lint.lint)
    app.command(name="serve", epilog=serve.EXAMPLES)(serve.serve)
    app.command(name="worker", epilog=worker.EXAMPLES)(worker.worker)
    app.command(name="doctor", epilog=doctor.EXAMPLES)(doctor.doctor)
    app.command(name="api", epilog=api.EXAMPLES, no_args_is_help=True)(api.api)
    for name, group in (
        ("job", job.app),
        ("media", media.app),
        ("console", console.app),
        ("account", account.app),
        ("user", user.app),
        ("policy", policy.app),
        ("key", key.app),
        ("keyring", keyring.app),
        ("sts", sts.app),
        ("bucket", bucket.app),
        ("pipeline", pipeline.app),
        ("node", node.app),
        ("db", db.app),
        ("config", config.app),
    ):
        app.add_typer(group, name=name)
