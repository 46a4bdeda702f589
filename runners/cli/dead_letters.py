"""`engagement dead-letters`: review and reprocess what failed for good."""

from __future__ import annotations

import click

from runners.cli.requeue import requeue
from runners.cli.resolve import resolve
from runners.cli.review import list_letters, show_letter

__all__ = ["dead_letters"]


@click.group(short_help="Review and reprocess what failed for good.")
def dead_letters() -> None:
    """Review what failed for good: list, show, requeue, resolve.

    An activity that may have been executed cannot be requeued until a person has looked at the post and resolved it.

    \b
    Example:
      engagement dead-letters list --since 7d
      engagement dead-letters requeue --error-type rate_limit --dry-run
    """


for _command in (list_letters, show_letter, requeue, resolve):
    dead_letters.add_command(_command)
