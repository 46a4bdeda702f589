"""Checks PostgreSQL: connects to it, then judges the facts that it reports.

The one rule: only `check_database` asks the server for the facts; the other checks are functions of them. The dry run
alone writes.
"""

from __future__ import annotations

from datetime import timedelta

from adapters.postgres.inspection.encoding import HOW_TO_ENCODE
from adapters.postgres.schema.diagnostics import Obstacle, Refused, examine_database
from adapters.postgres.schema.dry_run import NotTried, dry_run
from runners.bootstrap import connections_of
from runners.doctor.context import Context
from runners.doctor.finding import Finding, failed, fine, skipped, warned

__all__ = [
    "check_clock",
    "check_connections",
    "check_database",
    "check_dry_run",
    "check_encryption",
    "check_grants",
    "check_ids",
    "check_pooler",
    "check_read_only",
    "check_row_security",
    "check_rules",
    "check_schema",
    "check_standbys",
    "check_triggers",
]

_CURES = {
    Obstacle.UNREACHABLE: "Check host and port in DATABASE_URL, that the server runs, and the firewall between.",
    Obstacle.PASSWORD: "Correct user and password in DATABASE_URL. Percent-encode special characters.",
    Obstacle.TLS: "Correct sslmode in DATABASE_URL (?sslmode=require), sslrootcert, or the server's pg_hba.conf.",
    Obstacle.NO_DATABASE: "Correct the database's name at the end of DATABASE_URL, or create that database.",
    Obstacle.FULL: "Close other clients, raise max_connections, or use the provider's connection pooler.",
    Obstacle.ENCODING: HOW_TO_ENCODE,
    Obstacle.BROKE_OFF: "Read the server's log: it accepted the connection, and then did not answer.",
}
_SKEW_SEEN = timedelta(seconds=1)
_SKEW_HARMS = timedelta(seconds=30)


def check_database(context: Context) -> tuple[Finding, ...]:
    """Connect, and keep the facts."""
    seen = examine_database(str(context.settings.database_url))
    if isinstance(seen, Refused):
        return (failed("PostgreSQL", f"{seen.message}.".replace("..", "."), _CURES[seen.obstacle]),)
    context.seen_database = seen
    return (fine("PostgreSQL", f"PostgreSQL {seen.version} answers."),)


def check_encryption(context: Context) -> tuple[Finding, ...]:
    """Passwords and comments must not travel in the clear."""
    seen, name = context.database, "PostgreSQL encryption"
    if seen.is_encrypted or seen.is_local:
        return (fine(name, "The connection is encrypted." if seen.is_encrypted else "It stays on this machine."),)
    says = "The connection to another machine is not encrypted."
    return (warned(name, says, "Add ?sslmode=require to DATABASE_URL. verify-full also checks the certificate."),)


def check_read_only(context: Context) -> tuple[Finding, ...]:
    """On a read-only database no claim can be written."""
    if not context.database.is_read_only:
        return (fine("PostgreSQL writes", "It accepts writes."),)
    cure = "Name the primary server in DATABASE_URL (or turn off default_transaction_read_only)."
    return (failed("PostgreSQL writes", "It is read-only: a standby, or configured as read-only.", cure),)


def check_schema(context: Context) -> tuple[Finding, ...]:
    """Everything that `engagement migrate` creates must be there."""
    lacks = context.database.schema_lacks
    if not lacks:
        return (fine("schema", "The schema is complete."),)
    says = f"The schema is missing or too old: {'; '.join(lacks)}."
    return (failed("schema", says, "Run `engagement migrate` as the tables' owner. It only adds."),)


def check_rules(context: Context) -> tuple[Finding, ...]:
    """Types and rules that would refuse the record of an engagement. A worker does not start while there are any."""
    broken = context.database.schema_refuses
    if not broken:
        return (fine("rules", "No type and no rule of pod_activities refuses a worker's writes."),)
    cure = "docs/how-to/existing-schema.md says how to change each. The table's owner must do it; `migrate` does not."
    return (failed("rules", f"pod_activities refuses a worker's writes: {'; '.join(broken)}.", cure),)


def check_ids(context: Context) -> tuple[Finding, ...]:
    """If one id names two rows, nobody can say which one was executed, or by which account."""
    ids = context.database.ids
    cure = (
        "docs/how-to/existing-schema.md says how to make ids unique. The table's owner must do it; `migrate` does not."
    )
    wrong = (*ids.activities, *ids.duplicates)
    if wrong:
        return (failed("ids", f"{'; '.join((*wrong, *ids.cautions))}.", cure),)
    if ids.cautions:
        return (warned("ids", f"{'; '.join(ids.cautions)}.", cure),)
    return (fine("ids", "Every id names one row."),)


def check_triggers(context: Context) -> tuple[Finding, ...]:
    """If a trigger refuses or swallows a write, an engagement that was sent cannot be recorded."""
    running = [each.description for each in context.database.triggers if each.runs_on_writes]
    others = [each.description for each in context.database.triggers if not each.runs_on_writes]
    beside = f" A worker does not start these: {'; '.join(others)}." if others else ""
    if not running:
        return (fine("triggers", f"No trigger of pod_activities runs when a worker writes.{beside}"),)
    says = f"These run when a worker writes to pod_activities: {'; '.join(running)}.{beside}"
    if context.wants_dry_run:
        return (fine("triggers", says),)
    harm = " A write that they refuse or swallow cannot be recorded."
    return (
        warned("triggers", says + harm, "Run `engagement doctor --try-write`: it tries every write and undoes it."),
    )


def check_dry_run(context: Context) -> tuple[Finding, ...]:
    """Made only when a person asks for it: what a trigger does outside the transaction is not undone."""
    tried = dry_run(str(context.settings.database_url))
    if isinstance(tried, NotTried):
        return (skipped("dry run", tried.why),)
    if not tried.refused:
        return (fine("dry run", f"Every write was tried on {tried.activity_id}, and undone."),)
    cure = "Change the triggers, rules and constraints of pod_activities so that they accept these writes."
    return (failed("dry run", f"Tried on {tried.activity_id}, and undone: {'; '.join(tried.refused)}.", cure),)


def check_grants(context: Context) -> tuple[Finding, ...]:
    """The role needs every right that a worker uses."""
    missing = context.database.missing_grants
    if not missing:
        return (fine("grants", "The role has every right that a worker needs."),)
    cure = " ".join(f"GRANT {each} TO the role;" for each in missing)
    return (failed("grants", f"The role lacks: {'; '.join(missing)}.", f"As the tables' owner: {cure}"),)


def check_row_security(context: Context) -> tuple[Finding, ...]:
    """Rows that a policy hides are never executed, and nothing reports it."""
    tables, hidden = context.database.row_security, context.database.rows_hidden
    cure = "Run `engagement migrate --sql --role NAME`: it prints the policies that show the role every row."
    if hidden:
        return (failed("row security", f"{'; '.join(hidden)}.", cure),)
    if not tables:
        return (fine("row security", "No policy hides rows from the role."),)
    says = f"Row level security may hide rows from the role: {', '.join(tables)}."
    return (warned("row security", says, cure),)


def check_connections(context: Context) -> tuple[Finding, ...]:
    """The server must have enough free connections for one worker's pool."""
    needed, room = connections_of(context.settings), context.database.capacity
    left = max(room.limit - room.others, 0)
    says = f"{left} of {room.limit} connections ({room.limited_by}) are free for a worker; a worker opens {needed}."
    if context.database.is_pooled or left >= needed:
        return (fine("connections", says),)
    cure = (
        "Lower POD_ENGAGEMENT_WORKER_CONCURRENCY, raise that limit, or use the database provider's connection pooler"
        " in DATABASE_URL."
    )
    return (failed("connections", f"Too few connections for the threads: {says}", cure),)


def check_pooler(context: Context) -> tuple[Finding, ...]:
    """Both ways work. The finding is there because people ask."""
    if context.database.is_pooled:
        says = "The connection goes through a pooler; session and transaction mode both work."
        return (fine("pooler", f"{says} Its own pool needs {connections_of(context.settings)} free connections."),)
    return (fine("pooler", "The connection is direct."),)


def check_standbys(context: Context) -> tuple[Finding, ...]:
    """After a fail-over to a standby that lags, the record of what was sent is lost."""
    seen = context.database
    if not seen.replicas or seen.synchronous_standby_names.strip():
        how = f"{seen.replicas} attached, one of them synchronous." if seen.replicas else "No standby is attached."
        return (fine("standbys", how),)
    says = f"{seen.replicas} asynchronous standby attached. A fail-over to it may send some engagements again."
    cure = "Set synchronous_standby_names on the primary, or run `engagement pause --all` before a fail-over."
    return (warned("standbys", says, cure),)


def check_clock(context: Context) -> tuple[Finding, ...]:
    """The database's clock decides what is due; this machine's clock decides when to look."""
    seen = context.database
    apart = max(abs(seen.clock_ahead) - seen.clock_known_to, timedelta(0))
    if apart <= _SKEW_SEEN:
        return (fine("clock", "This machine's clock agrees with the database's."),)
    late = "behind" if seen.clock_ahead > timedelta(0) else "ahead of"
    says = f"This machine's clock is {apart.total_seconds():.1f} s {late} the database's."
    cure = "Synchronise both clocks by NTP (timedatectl set-ntp true). Until then jobs ring early or late."
    return ((failed if apart > _SKEW_HARMS else warned)("clock", says, cure),)
