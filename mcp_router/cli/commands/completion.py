"""`completion`: a script that completes commands, options and their choices in bash, zsh or fish."""

from __future__ import annotations

import shlex
from argparse import Action, ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import NamedTuple, cast

from mcp_router.cli.exit_codes import DONE

_PROGRAM = "mcp-llm-router"
_BASH = """\
_mcp_llm_router() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" command= word= offered=
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case "$word" in {commands}) command="$word"; break ;; esac
  done
  case "$command $previous" in
{choices}
  *)
    case "$command" in
{options}
    *) offered={first} ;;
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$offered" -- "$current"))
}}
complete -o default -F _mcp_llm_router {program}
"""
_ZSH = "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n"


class Words(NamedTuple):
    """What can follow a command."""

    name: str
    about: str
    options: Sequence[Action]
    positional: Sequence[str]
    """Actions and choices that stand without an option."""


def add_options(parser: ArgumentParser) -> None:
    """Add the options of `completion`."""
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell that reads the script")


def run_early(given: Namespace) -> int:
    """Print the script."""
    # Late import: the parser's module is what imports this one.
    from mcp_router.cli.parser import COMMANDS, create_parser  # noqa: PLC0415

    (commands,) = _subparsers(create_parser())
    words = [_read_words(name, COMMANDS[name].about, parser) for name, parser in commands.items()]
    print(_format_fish(words) if given.shell == "fish" else _format_bash(words, zsh=given.shell == "zsh"), end="")
    return DONE


def _subparsers(parser: ArgumentParser) -> Iterator[dict[str, ArgumentParser]]:
    for action in parser._actions:  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- argparse has no public list
        choices: object = action.choices
        if isinstance(choices, dict):
            yield cast("dict[str, ArgumentParser]", choices)


def _read_words(name: str, about: str, parser: ArgumentParser) -> Words:
    parsers = [parser, *(inner for found in _subparsers(parser) for inner in found.values())]
    actions = [action for one in parsers for action in one._actions]  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] -- as above
    options = {action.option_strings[-1]: action for action in actions if action.option_strings}
    positional = [str(word) for action in actions if not action.option_strings for word in action.choices or ()]
    return Words(name, about, tuple(options.values()), positional)


def _format_bash(commands: Sequence[Words], *, zsh: bool) -> str:
    choices: list[str] = []
    options: list[str] = []
    for words in commands:
        names = [action.option_strings[-1] for action in words.options]
        options.append(f"    {words.name}) offered={shlex.quote(' '.join([*words.positional, *names]))} ;;")
        choices += [
            f"  {shlex.quote(f'{words.name} {action.option_strings[-1]}')}) "
            f"offered={shlex.quote(' '.join(map(str, action.choices)))} ;;"
            for action in words.options
            if action.choices
        ]
    names = [words.name for words in commands]
    script = _BASH.format(
        commands="|".join(names),
        choices="\n".join(choices),
        options="\n".join(options),
        first=shlex.quote(" ".join([*names, "--config", "--help", "--version"])),
        program=_PROGRAM,
    )
    return (_ZSH if zsh else "") + script


def _format_fish(commands: Sequence[Words]) -> str:
    lines: list[str] = []
    for words in commands:
        lines.append(
            f"complete -c {_PROGRAM} -f -n __fish_use_subcommand -a {words.name} -d {_quote_fish(words.about)}"
        )
        seen = f'complete -c {_PROGRAM} -n "__fish_seen_subcommand_from {words.name}"'
        if words.positional:
            lines.append(f"{seen} -a {_quote_fish(' '.join(words.positional))}")
        for action in words.options:
            listed = f" -x -a {_quote_fish(' '.join(map(str, action.choices)))}" if action.choices else ""
            lines.append(
                f"{seen} -l {action.option_strings[-1].removeprefix('--')}{listed} -d {_quote_fish(action.help or '')}"
            )
    return "\n".join(lines) + "\n"


def _quote_fish(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
