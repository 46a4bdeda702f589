
import psycopg2, pytest
from contextlib import closing
from functools import partial
from adapters.postgres.activities import PostgresActivityStore
from adapters.postgres.pool import PostgresPool
from adapters.postgres.schema import migrate
from engagement_core.claim import *
from engagement_core.errors import *
from engagement_core.ports.linkedin import Applied
from engagement_core.retry import RetryPolicy
from engagement_core.verdict import decide_verdict
BASE = """
CREATE TABLE linkedin_accounts (id uuid PRIMARY KEY, profile_id text, access_token text);
CREATE TABLE pods (id uuid PRIMARY KEY, voice_cartridge_id uuid, linkedin_account_id text);
CREATE TABLE pod_activities (
    id uuid PRIMARY KEY, pod_id uuid REFERENCES pods, engagement_type text NOT NULL, post_id text NOT NULL,
    profile_id uuid, comment_text text, scheduled_for timestamptz NOT NULL, status text NOT NULL, {more});
INSERT INTO linkedin_accounts VALUES ('{id}', '{id}', 'token');
INSERT INTO pods VALUES ('{id}', NULL, '{id}');
INSERT INTO pod_activities VALUES ('{id}', '{id}', 'like', 'post', NULL, NULL, now(), 'scheduled');
"""
ID = "11111111-2222-3333-4444-555555555555"
@pytest.mark.parametrize("more", ["failure_count integer", "execution_id uuid", "last_error text", "last_error json, execution_result json", "execution_result text", "execution_id varchar(10)", "failure_count text", "executed_at timestamptz NOT NULL DEFAULT now()", "failure_count bigint, comment_generated varchar"])
def test_probe(empty_database_url, more):
    url = empty_database_url
    with closing(psycopg2.connect(url)) as c, c, c.cursor() as k: k.execute(BASE.format(id=ID, more=more))
    migrate(url)
    pool = PostgresPool(url, size=1)
    store = PostgresActivityStore(pool)
    for n, ans in enumerate((Failure(cause=Cause.NO_SESSION, message="x"), Applied(engagement_id="urn:li:comment:1234", created_at=None))):
        claimed = store.change(ID, partial(decide_claim, activity_id=ID, holder=Holder(worker_id="w", token=f"w/{n}"), policy=ClaimPolicy()))
        if not isinstance(claimed, Claimed):
            import time; time.sleep(claimed.again_in.total_seconds()+.01)
            claimed = store.change(ID, partial(decide_claim, activity_id=ID, holder=Holder(worker_id="w", token=f"w/{n}"), policy=ClaimPolicy()))
        print(store.change(ID, partial(decide_verdict, attempt=claimed.attempt, answer=ans, policy=RetryPolicy())))
    with closing(psycopg2.connect(url)) as c, c, c.cursor() as k: k.execute("select status, failure_count, execution_id from pod_activities"); print(k.fetchall())
    pool.close()
