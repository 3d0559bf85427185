"""`munbon login`, `munbon context ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from central.cli import config, exits
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, note, out, print_json, table
from shared.contracts.api import WhoAmI
from shared.errors import UsageError
from shared.signing.keys import load_signer

contexts = typer.Typer(no_args_is_help=True, help="Contexts: which central this command speaks to.")


def login(
    url: Annotated[str, typer.Argument(help="Address of central, for example http://127.0.0.1:7480")],
    token_file: Annotated[Path | None, typer.Option(help="File that holds the token.")] = None,
    token: Annotated[str | None, typer.Option(help="The token itself; a file is safer, for this shows in the process list.")] = None,
    key: Annotated[Path | None, typer.Option(help="Your signing key (PEM, Ed25519); signs releases and gate plans.")] = None,
    name: Annotated[str, typer.Option("--name", help="Name of the context.")] = "default",
) -> None:
    """Check a central, its token and your key, and remember them."""
    context = config.Context(name=name, url=url.rstrip("/"), token=_token(token, token_file), key=str(key.resolve()) if key else "")
    if key is not None:
        load_signer(key)
    with Client(context) as client:
        who = client.get("/whoami", WhoAmI)
    path = config.save_config(config.load_config().with_context(context))
    out.print(f"Logged in to {context.url} as {who.actor} (context {name}, kept in {path}).", markup=False)
    if key is None:
        note("No signing key given: this context can look, but cannot publish releases or gate plans. Add one with --key.")


@contexts.command("list")
def list_contexts(output: OutputOption = Format.TABLE) -> None:
    """All contexts; the current one is marked."""
    stored = config.load_config()
    if output is Format.JSON:
        rows = [{"name": item.name, "url": item.url, "key": item.key, "current": item.name == stored.current} for item in stored.contexts]
        print_json({"contexts": rows})
        return
    out.print(
        table(
            ("CURRENT", "NAME", "URL", "KEY"),
            [("*" if item.name == stored.current else "", item.name, item.url, item.key) for item in stored.contexts],
        )
    )


@contexts.command("use")
def use_context(name: str) -> None:
    """Make a context the current one."""
    stored = config.load_config()
    if stored.find(name) is None:
        raise CliError(f"context {name!r} is unknown", exit_code=exits.NOT_FOUND, remedy="see 'munbon context list'")
    config.save_config(config.Config(current=name, contexts=stored.contexts))
    out.print(f"Current context: {name}", markup=False)


@contexts.command("remove")
def remove_context(name: str) -> None:
    """Forget a context and its token."""
    stored = config.load_config()
    if stored.find(name) is None:
        raise CliError(f"context {name!r} is unknown", exit_code=exits.NOT_FOUND, remedy="see 'munbon context list'")
    config.save_config(stored.without(name))
    out.print(f"Forgot context {name}.", markup=False)


def _token(token: str | None, token_file: Path | None) -> str:
    if (token is None) == (token_file is None):
        raise UsageError("give exactly one of --token-file and --token", subject="munbon login")
    if token_file is None:
        return str(token).strip()
    try:
        return token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", subject=str(token_file), remedy="check the path of the token file") from error
