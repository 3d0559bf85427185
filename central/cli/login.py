"""`munbon login`, `munbon context ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from central.cli import config, exits
from central.cli.client import Client
from central.cli.exits import CliError
from central.cli.output import Format, OutputOption, note, out, plain, print_json, table
from central.cli.tables import Column
from shared.contracts.api import WhoAmI
from shared.errors import UsageError
from shared.signing.keys import load_signer

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="Name of the context.")]
contexts = typer.Typer(
    no_args_is_help=True, help="Contexts: which central this command speaks to.", epilog="Example: munbon context use field-office"
)


def login(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of central, for example http://127.0.0.1:7480")],
    token_file: Annotated[Path | None, typer.Option(metavar="FILE", help="File that holds the token.")] = None,
    token: Annotated[
        str | None, typer.Option(metavar="TOKEN", help="The token itself; a file is safer, for this shows in the process list.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your signing key (PEM, Ed25519); signs releases and gate plans.")
    ] = None,
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Name of the context.")] = "default",
    output: OutputOption = Format.TABLE,
) -> None:
    """Check a central, its token and your key, and remember them."""
    context = config.Context(name=name, url=url.rstrip("/"), token=_token(token, token_file), key=str(key.resolve()) if key else "")
    if key is not None:
        load_signer(key)
    with Client(context) as client:
        who = client.get("/whoami", WhoAmI)
    path = config.save_config(config.load_config().with_context(context))
    if output is Format.JSON:
        print_json({"context": name, "url": context.url, "actor": who.actor, "fleet": who.fleet, "key": context.key, "file": str(path)})
        return
    out.print(f"Logged in to {context.url} as {who.actor} (context {name}, kept in {path}).", markup=False)
    if key is None:
        note("No signing key given: this context can look, but cannot publish releases or gate plans. Add one with --key.")


@contexts.command("list", epilog="Example: munbon context list")
def list_contexts(output: OutputOption = Format.TABLE) -> None:
    """All contexts; the current one is marked."""
    stored = config.load_config()
    if output is Format.JSON:
        rows = [{"name": item.name, "url": item.url, "key": item.key, "current": item.name == stored.current} for item in stored.contexts]
        print_json({"contexts": rows})
        return
    lines = [("*" if item.name == stored.current else "", plain(item.name), plain(item.url), plain(item.key)) for item in stored.contexts]
    out.print(table(("CURRENT", "NAME", "URL", Column("KEY", rank=1)), lines))


@contexts.command("use", epilog="Example: munbon context use field-office\n\nExample: munbon --context field-office status")
def use_context(name: NameArgument, output: OutputOption = Format.TABLE) -> None:
    """Make a context the current one."""
    stored = _known(name)
    config.save_config(config.Config(current=name, contexts=stored.contexts))
    _tell(f"Current context: {name}", {"current": name}, output)


@contexts.command("remove", epilog="Example: munbon context remove field-office")
def remove_context(name: NameArgument, output: OutputOption = Format.TABLE) -> None:
    """Forget a context and its token."""
    config.save_config(_known(name).without(name))
    _tell(f"Forgot context {name}.", {"context": name, "removed": True}, output)


def _known(name: str) -> config.Config:
    stored = config.load_config()
    if stored.find(name) is None:
        raise CliError(f"context {name!r} is unknown", exit_code=exits.NOT_FOUND, remedy="see 'munbon context list'", code="NotFound")
    return stored


def _tell(text: str, content: dict[str, Any], output: Format) -> None:
    if output is Format.JSON:
        print_json(content)
    else:
        out.print(text, markup=False)


def _token(token: str | None, token_file: Path | None) -> str:
    if (token is None) == (token_file is None):
        raise UsageError("give exactly one of --token-file and --token", subject="munbon login")
    if token_file is None:
        return str(token).strip()
    try:
        return token_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot be read: {error}", subject=str(token_file), remedy="check the path of the token file") from error
