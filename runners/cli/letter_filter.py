"""The options that select dead letters."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime
from typing import Any

import click

from engagement_core.model.errors import ErrorType
from engagement_core.model.letter_file import LetterFilter
from runners.cli.times import ago

__all__ = ["filter_options"]


def filter_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--error-type`, `--pod`, `--account` and `--since`, as its one parameter `wanted`."""

    @click.option(
        "--error-type", type=click.Choice([kind.value for kind in ErrorType]), help="Only letters with this last error."
    )
    @click.option("--pod", "pod_id", metavar="ID", help="Only letters of this pod.")
    @click.option("--account", "account_id", metavar="ID", help="Only letters of this account.")
    @click.option(
        "--since", type=ago, metavar="TIME", help="Only letters buried since then: 2030-03-15T14:30:00Z, 30m, 2h, 7d."
    )
    @functools.wraps(command)
    def with_filter(
        *, error_type: str | None, pod_id: str | None, account_id: str | None, since: datetime | None, **others: Any
    ) -> Any:
        wanted = LetterFilter(
            error_type=ErrorType(error_type) if error_type else None,
            pod_id=pod_id,
            account_id=account_id,
            since=since,
        )
        return command(wanted=wanted, **others)

    return with_filter
