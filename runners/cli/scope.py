"""The options that select what a command pauses or resumes: everything, one pod or one account."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from engagement_core.model.controls import BlockScope

__all__ = ["Scope", "scope_options"]

Scope = tuple[BlockScope, str]
"""The scope, and the id of its pod or account; empty for everything."""


def scope_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--all`, `--pod` and `--account`, as its one parameter `scope`."""

    @click.option("--all", "everything", is_flag=True, help="Everything.")
    @click.option("--pod", "pod_id", metavar="ID", help="One pod (pods.id).")
    @click.option("--account", "account_id", metavar="ID", help="One account (linkedin_accounts.id).")
    @functools.wraps(command)
    def with_scope(*, everything: bool, pod_id: str | None, account_id: str | None, **others: Any) -> Any:
        return command(scope=_chosen(everything, pod_id, account_id), **others)

    return with_scope


def _chosen(everything: bool, pod_id: str | None, account_id: str | None) -> Scope:
    chosen = [(BlockScope.ALL, "")] if everything else []
    chosen += [(BlockScope.POD, pod_id)] if pod_id else []
    chosen += [(BlockScope.ACCOUNT, account_id)] if account_id else []
    if len(chosen) != 1:
        raise click.UsageError("give exactly one of --all, --pod ID and --account ID")
    return chosen[0]
