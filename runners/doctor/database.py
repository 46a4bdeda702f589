"""PostgreSQL: reach it, then judge what it says of itself.

The one rule: only `check_database` asks; the others are functions of the facts.
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
    Obstacle.PASSWORD: "Correct user and password in DATABASE_URL; special characters in it are percent-encoded.",
    Obstacle.TLS: "Correct sslmode in DATABASE_URL (?sslmode=require), sslrootcert, or the server's pg_hba.conf.",
    Obstacle.NO_DATABASE: "Correct the database's name, at the end of DATABASE_URL, or create it.",
    Obstacle.FULL: "Close other clients, raise max_connections, or use the provider's connection pooler.",
    Obstacle.ENCODING: HOW_TO_ENCODE,
    Obstacle.BROKE_OFF: "Look at the server's log: it let us in, and then did not answer.",
}
_SKEW_SEEN = timedelta(seconds=1)
_SKEW_HARMS = timedelta(seconds=30)


def check_database(context: Context) -> tuple[Finding, ...]:
    """Reach it, and keep what it says."""
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
    return (warned(name, says, "Add ?sslmode=require to DATABASE_URL; verify-full checks who answers, too."),)


def check_read_only(context: Context) -> tuple[Finding, ...]:
    """A standby cannot take an intent."""
    if not context.database.is_read_only:
        return (fine("PostgreSQL writes", "It takes writes."),)
    cure = "Name the primary in DATABASE_URL (or lift default_transaction_read_only)."
    return (failed("PostgreSQL writes", "It is read-only: a standby, or set so.", cure),)


def check_schema(context: Context) -> tuple[Finding, ...]:
    """Everything that `engagement migrate` makes must be there."""
    lacks = context.database.schema_lacks
    if not lacks:
        return (fine("schema", "The schema is complete."),)
    says = f"The schema is missing or too old: {'; '.join(lacks)}."
    return (failed("schema", says, "Run `engagement migrate`, as the tables' owner. It only adds."),)


def check_rules(context: Context) -> tuple[Finding, ...]:
    """What would refuse the record of an engagement: a worker does not start on it."""
    broken = context.database.schema_refuses
    if not broken:
        return (fine("rules", "No type and no rule of pod_activities refuses what is written."),)
    cure = "docs/how-to/existing-schema.md says how each is changed: by the table's owner, not by `migrate`."
    return (failed("rules", f"pod_activities refuses what is written: {'; '.join(broken)}.", cure),)


def check_ids(context: Context) -> tuple[Finding, ...]:
    """Where an id names two rows, nobody can say which was executed, or as whom."""
    ids = context.database.ids
    cure = "docs/how-to/existing-schema.md says how ids are made unique: by the table's owner, not by `migrate`."
    wrong = (*ids.activities, *ids.duplicates)
    if wrong:
        return (failed("ids", f"{'; '.join((*wrong, *ids.cautions))}.", cure),)
    if ids.cautions:
        return (warned("ids", f"{'; '.join(ids.cautions)}.", cure),)
    return (fine("ids", "Every id names one row."),)


def check_triggers(context: Context) -> tuple[Finding, ...]:
    """What a trigger refuses or swallows cannot be recorded, after the engagement has been sent."""
    running = [each.description for each in context.database.triggers if each.runs_on_writes]
    others = [each.description for each in context.database.triggers if not each.runs_on_writes]
    beside = f" Not set off by a worker: {'; '.join(others)}." if others else ""
    if not running:
        return (fine("triggers", f"No trigger of pod_activities runs when a worker writes.{beside}"),)
    says = f"They run when a worker writes pod_activities: {'; '.join(running)}.{beside}"
    if context.wants_dry_run:
        return (fine("triggers", says),)
    harm = " What they refuse or swallow cannot be recorded."
    return (warned("triggers", says + harm, "`engagement doctor --try-write` tries every write and takes it back."),)


def check_dry_run(context: Context) -> tuple[Finding, ...]:
    """Only where a person asks for it: what a trigger does elsewhere is not taken back."""
    tried = dry_run(str(context.settings.database_url))
    if isinstance(tried, NotTried):
        return (skipped("dry run", tried.why),)
    if not tried.refused:
        return (fine("dry run", f"Every write was tried on {tried.activity_id}, and taken back."),)
    cure = "Let the triggers, rules and constraints of pod_activities take these writes."
    return (failed("dry run", f"Tried on {tried.activity_id}, and taken back: {'; '.join(tried.refused)}.", cure),)


def check_grants(context: Context) -> tuple[Finding, ...]:
    """The role must be allowed to do a worker's work."""
    missing = context.database.missing_grants
    if not missing:
        return (fine("grants", "The role may do all that a worker does."),)
    cure = " ".join(f"GRANT {each} TO the role;" for each in missing)
    return (failed("grants", f"The role lacks: {'; '.join(missing)}.", f"As the tables' owner: {cure}"),)


def check_row_security(context: Context) -> tuple[Finding, ...]:
    """Rows that a policy hides are never executed, and nobody is told."""
    tables, hidden = context.database.row_security, context.database.rows_hidden
    cure = "`engagement migrate --sql --role NAME` prints the policies that show the role every row."
    if hidden:
        return (failed("row security", f"{'; '.join(hidden)}.", cure),)
    if not tables:
        return (fine("row security", "No policy hides rows from the role."),)
    says = f"Row level security may hide rows from the role: {', '.join(tables)}."
    return (warned("row security", says, cure),)


def check_connections(context: Context) -> tuple[Finding, ...]:
    """One worker's pool must fit beside what others use."""
    needed, room = connections_of(context.settings), context.database.capacity
    left = max(room.limit - room.others, 0)
    says = f"{left} of {room.limit} connections ({room.limited_by}) are not used by others; a worker opens {needed}."
    if context.database.is_pooled or left >= needed:
        return (fine("connections", says),)
    cure = (
        "Lower POD_ENGAGEMENT_WORKER_CONCURRENCY, raise that limit, or name the provider's connection pooler in"
        " DATABASE_URL."
    )
    return (failed("connections", f"Too few for the threads: {says}", cure),)


def check_pooler(context: Context) -> tuple[Finding, ...]:
    """Either way is right; it is said because people ask."""
    if context.database.is_pooled:
        says = "A connection pooler answers; session and transaction mode both work."
        return (fine("pooler", f"{says} Its own pool must have {connections_of(context.settings)} connections free."),)
    return (fine("pooler", "The connection is direct."),)


def check_standbys(context: Context) -> tuple[Finding, ...]:
    """A fail-over to a standby that lags loses the memory of what was sent."""
    seen = context.database
    if not seen.replicas or seen.synchronous_standby_names.strip():
        how = f"{seen.replicas} attached, one of them synchronous." if seen.replicas else "No standby is attached."
        return (fine("standbys", how),)
    says = f"{seen.replicas} asynchronous standby attached: after a fail-over to it, what was sent may be sent again."
    cure = "Set synchronous_standby_names on the primary, or before a fail-over `engagement pause --all`."
    return (warned("standbys", says, cure),)


def check_clock(context: Context) -> tuple[Finding, ...]:
    """The database's clock decides what is due; this machine's says when to look."""
    seen = context.database
    apart = max(abs(seen.clock_ahead) - seen.clock_known_to, timedelta(0))
    if apart <= _SKEW_SEEN:
        return (fine("clock", "This machine's clock agrees with the database's."),)
    late = "behind" if seen.clock_ahead > timedelta(0) else "ahead of"
    says = f"This machine's clock is {apart.total_seconds():.1f} s {late} the database's."
    cure = "Let both keep time by NTP (timedatectl set-ntp true). Until then jobs ring early or late."
    return ((failed if apart > _SKEW_HARMS else warned)("clock", says, cure),)
