"""Checks what else a worker uses: its voice, its port for metrics, its data folder.

The one rule: a check leaves no file and no open port behind. Only the data folder of embedded servers stays, as after
every command with `--embedded`.
"""

from __future__ import annotations

import errno
import os
import shutil
import socket
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from adapters.clock import SystemClock
from adapters.embedded import EmbeddedServers, EmbeddedServersFailed
from adapters.embedded.wheels import wheels_installed
from adapters.http.errors import HttpError
from adapters.http.session import HttpRequest, HttpSession
from adapters.postgres.schema.migrate import migrate
from adapters.voices.greeting import greet_voice
from engagement_core.ports.clock import Deadline
from engagement_core.ports.voice import VoiceFailed
from runners.bootstrap import needed_by_voice
from runners.doctor.context import Context
from runners.doctor.finding import Finding, failed, fine, warned

__all__ = ["check_data_folder", "check_embedded_servers", "check_metrics_port", "check_voice"]

_PATIENCE = timedelta(seconds=10)
_PATIENCE_WITH_A_NEIGHBOUR = timedelta(seconds=2)
_OTHER_PORT = (
    "Find the process that listens there (ss -ltnp), or set POD_ENGAGEMENT_METRICS_PORT to another port (0: off)."
)
_OTHER_HOST = "Set POD_ENGAGEMENT_METRICS_HOST to an address of this machine, or to 0.0.0.0 for all of them."
_LEAST_SPACE = 256 * 1024 * 1024
_INSTALL = "Run: pip install 'pod-engagement[embedded]'."


def check_voice(context: Context) -> tuple[Finding, ...]:
    """If the voice is an HTTP service: does it answer?"""
    settings = context.settings
    if not needed_by_voice(settings):
        return (fine("voice", f"The voice is {settings.voice_provider}: it needs no service."),)
    url = str(settings.voice_base_url)
    if settings.voice_provider == "openai":
        url = f"{url.rstrip('/')}/models"
    try:
        with HttpSession() as session:
            deadline = Deadline.after(SystemClock(), _PATIENCE)
            status = greet_voice(url, api_key=settings.voice_api_key, session=session, deadline=deadline)
    except VoiceFailed as error:
        cure = "Check VOICE_BASE_URL and VOICE_API_KEY. Until this works, every comment is sent in its original words."
        return (warned("voice", f"The voice: {error}.".replace("..", "."), cure),)
    return (fine("voice", f"It answers a GET with {status}. It was not asked for a comment."),)


def check_metrics_port(context: Context) -> tuple[Finding, ...]:
    """Whether a worker could listen on the port, or one of our workers already does."""
    host, port = context.settings.metrics_host, context.settings.metrics_port
    name, place = "metrics port", f"Port {port} on {host}"
    if not port:
        return (fine(name, "It is turned off."),)
    obstacle = _obstacle_to_listening(host, port)
    if obstacle is None:
        return (fine(name, f"{place} is free."),)
    if _is_ours(host, port):
        says = f"{place} is a worker's. A second worker on this machine needs another POD_ENGAGEMENT_METRICS_PORT."
        return (fine(name, says),)
    cure = _OTHER_PORT if obstacle.errno in (errno.EADDRINUSE, errno.EACCES) else _OTHER_HOST
    return (failed(name, f"{place} cannot be used: {obstacle.strerror or obstacle}.", cure),)


def _obstacle_to_listening(host: str, port: int) -> OSError | None:
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM) as probe:
            # As a server does: connections that an ended process has left behind do not block the port.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        return error
    return None


def _is_ours(host: str, port: int) -> bool:
    """Whether one of our workers serves its metrics there."""
    place = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    request = HttpRequest(method="GET", url=f"http://{place}:{port}/metrics")
    try:
        with HttpSession() as session:
            reply = session.send(request, Deadline.after(SystemClock(), _PATIENCE_WITH_A_NEIGHBOUR))
    except HttpError:
        return False
    return b"engagement_" in (reply.body or b"")


def check_data_folder(context: Context) -> tuple[Finding, ...]:
    """The folder of the embedded servers: may we write there, and is there enough space?"""
    folder = context.data_folder
    if folder is None:
        return ()
    place = _first_that_exists(folder)
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        says = f"The data folder {folder} cannot be written: {place} is not a folder, or this user may not write to it."
        return (failed("data folder", says, "Use --data to name a folder that this user may write to."),)
    if shutil.disk_usage(place).free < _LEAST_SPACE:
        return (failed("data folder", f"Less than 256 MiB are free in {place}.", "Free some disk space."),)
    return (fine("data folder", f"{folder} can be written."),)


def _first_that_exists(folder: Path) -> Path:
    absolute = folder.absolute()
    return next(place for place in (absolute, *absolute.parents) if place.exists() or place.is_symlink())


def check_embedded_servers(context: Context) -> tuple[Finding, ...]:
    """Start or share them, as every command with --embedded does. They stop when all checks are done."""
    if context.data_folder is None:
        return ()
    if not wheels_installed():
        return (failed("embedded servers", "The wheels with the servers are not installed.", _INSTALL),)
    try:
        servers = EmbeddedServers(context.data_folder, with_valkey=context.settings.has_queue)
        urls = context.stack.enter_context(servers)
        migrate(urls.database_url)
    except EmbeddedServersFailed as error:
        says = " ".join(str(error).split())
        return (
            failed("embedded servers", says, "Correct what the message names, or choose another folder with --data."),
        )
    context.settings = replace(context.settings, database_url=urls.database_url, redis_url=urls.redis_url)
    started = "PostgreSQL and Valkey start." if context.settings.has_queue else "PostgreSQL starts."
    return (fine("embedded servers", started),)
