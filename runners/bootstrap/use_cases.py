"""The use cases, each on the parts that it needs and with the policy that the settings ask for."""

from __future__ import annotations

from adapters.alerts.log import LogAlerts
from adapters.alerts.webhook import WebhookAlerts
from adapters.postgres.readers.incident_facts import PostgresIncidentFacts
from adapters.postgres.store.accounts import PostgresAccountRegister
from adapters.postgres.store.retention import PostgresRetention
from adapters.postgres.store.workers import PostgresWorkerRegistry
from adapters.unipile.gateway import DIALECTS
from engagement_core.decisions.claim import ClaimPolicy
from engagement_core.decisions.judge_read_back import ReconcilePolicy
from engagement_core.decisions.retry import RetryPolicy
from engagement_core.use_cases.adopt_orphans import OrphanPolicy
from engagement_core.use_cases.deliver_alerts import Delivery
from engagement_core.use_cases.execute import Executor
from engagement_core.use_cases.pending_decisions import PendingDecisions
from engagement_core.use_cases.reconcile import Reconciler
from engagement_core.use_cases.recover_accounts import AccountRecovery
from engagement_core.use_cases.watch_incidents import Watch
from runners.bootstrap.parts import Parts
from runners.settings import Settings
from runners.worker.maintenance import Maintenance

__all__ = ["build_executor", "build_maintenance", "claim_policy"]


def claim_policy(settings: Settings) -> ClaimPolicy:
    """What the workers of these settings claim by."""
    return ClaimPolicy(job_timeout=settings.job_timeout, max_lateness=settings.max_lateness)


def build_executor(parts: Parts) -> Executor:
    """Executes activities."""
    settings = parts.settings
    return Executor(
        worker_id=parts.worker_id,
        store=parts.store,
        linkedin=parts.linkedin,
        voice=parts.voice,
        telemetry=parts.telemetry,
        clock=parts.clock,
        pending=PendingDecisions(parts.clock),
        claim_policy=claim_policy(settings),
        retry_policy=_retry_policy(settings),
        reconcile_policy=_reconcile_policy(settings),
        # The other half of an attempt's time belongs to the call: a voice that takes all of it costs no comment.
        voice_timeout=min(settings.voice_timeout, settings.job_timeout / 2),
        most_slow_calls=max(settings.concurrency // 2, 1),
    )


def build_maintenance(parts: Parts, pending: PendingDecisions) -> Maintenance:
    """What a worker does beside executing; `pending` are the executor's."""
    settings = parts.settings
    orphans = OrphanPolicy(silent_for=settings.orphan_after)
    care = _account_recovery(parts)
    return Maintenance(
        worker_id=parts.worker_id,
        concurrency=settings.concurrency,
        store=parts.store,
        registry=PostgresWorkerRegistry(
            parts.pool, silent_for=orphans.silent_for, margin=orphans.margin, within=care.policy.in_a_row
        ),
        pending=pending,
        reconciler=_reconciler(parts),
        outbox=parts.outbox,
        watch=_watch(parts),
        care=care,
        retention=PostgresRetention(parts.pool),
        delivery=_delivery(parts),
        telemetry=parts.telemetry,
        orphans=orphans,
    )


def _retry_policy(settings: Settings) -> RetryPolicy:
    return RetryPolicy(max_attempts=settings.max_retries, backoff=settings.retry_backoff)


def _reconcile_policy(settings: Settings) -> ReconcilePolicy:
    return ReconcilePolicy(visibility_lag=settings.visibility_lag, retry=_retry_policy(settings))


def _reconciler(parts: Parts) -> Reconciler:
    return Reconciler(
        store=parts.store,
        linkedin=parts.linkedin,
        telemetry=parts.telemetry,
        clock=parts.clock,
        policy=_reconcile_policy(parts.settings),
        read_timeout=parts.settings.job_timeout,
    )


def _watch(parts: Parts) -> Watch:
    return Watch(
        store=parts.store,
        queue=parts.queue,
        linkedin=parts.linkedin,
        reader=PostgresIncidentFacts(parts.pool, silent_for=parts.settings.orphan_after),
        outbox=parts.outbox,
        telemetry=parts.telemetry,
    )


def _account_recovery(parts: Parts) -> AccountRecovery:
    # Where the dialect cannot be asked (v0), only a person lifts a hold.
    can_ask = DIALECTS[parts.settings.unipile_api_version].reads is not None
    return AccountRecovery(
        register=PostgresAccountRegister(parts.pool),
        probe=parts.linkedin if can_ask else None,
        clock=parts.clock,
        telemetry=parts.telemetry,
    )


def _delivery(parts: Parts) -> Delivery:
    url = parts.settings.alert_webhook_url
    webhook = None if url is None else WebhookAlerts(url, session=parts.session, clock=parts.clock)
    return Delivery(outbox=parts.outbox, log=LogAlerts(parts.telemetry), webhook=webhook, telemetry=parts.telemetry)
