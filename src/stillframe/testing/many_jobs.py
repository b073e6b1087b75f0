"""A database in which much has happened: any number of jobs that have ended, made by the database itself.

    fill(connection, account_id, pipeline_id, jobs=1_000_000)
    add_waiting(connection, pipeline_id, jobs=300)
    add_parked(connection, jobs=300)

What months of work leave behind, in a minute: for tests of plans and for benchmarks. The last of the jobs ended just
now, and the first 80 days ago. A connection is one of psycopg's, to an up-to-date database.
"""

from __future__ import annotations

from typing import Any

_DAYS = 80
_CONFIG = '{"Type": "Normal", "Count": 1, "FrameType": "intra", "Width": 320}'
_REPORT = '{"Shots": [{"RequestedMs": 0, "ActualMs": 0, "Status": "taken"}], "BytesRead": 123456}'
_STATS = '{"bytes_read": 123456, "requests": 3}'
#: when the n-th of so many was made
_MADE = "now() - make_interval(secs => %(days)s * 86400.0 * (%(jobs)s - n + 1) / %(jobs)s)"
_JOB = (
    "job_id, account_id, pipeline_id, priority, has_own_priority, name, client_token, request_digest, trigger_source, "
    "input_media, input_bucket, input_key, output_media, output_bucket, output_key, input_region, output_region, "
    "template_id, output_asset_id, config, status, epoch, parked, failures, kills, survey, planned, stats, count, "
    "code, message, report, created_at, submitted_at, modified_at, finished_at"
)
_JOBS = f"""
INSERT INTO jobs ({_JOB})
SELECT md5('job' || n), %(account)s, %(pipeline)s, 6, false, 'job ' || n,
    CASE WHEN n %% 10 = 0 THEN 'token ' || n END, md5('digest' || n), 'API',
    'oss://local/film-' || n || '.mp4', 'local', 'film-' || n || '.mp4',
    'oss://local/out/' || n || '/{{Count}}.jpg', 'local', 'out/' || n || '/{{Count}}.jpg',
    'cn-shanghai', 'cn-shanghai', 'S00000002-000010',
    CASE WHEN n %% 20 = 0 THEN md5('asset' || n / 40) END, %(config)s::jsonb,
    CASE WHEN n %% 33 = 0 THEN 'Fail' ELSE 'Success' END, 1, false, 0, 0,
    decode(repeat(md5('survey' || n), 8), 'hex'), 1, %(stats)s::jsonb, CASE WHEN n %% 33 = 0 THEN 0 ELSE 1 END,
    CASE WHEN n %% 33 = 0 THEN 'InvalidParameter.ResourceContentBad' END,
    CASE WHEN n %% 33 = 0 THEN 'It is damaged.' END,
    %(report)s::jsonb, made.at, made.at, made.at + interval '2 s', made.at + interval '2 s'
FROM generate_series(1, %(jobs)s) AS n CROSS JOIN LATERAL (SELECT {_MADE} AS at) AS made
"""
_SLICES = """
INSERT INTO slices (job_id, number, first, last, cost_s, state, attempt, failures, kills, shots, stats)
SELECT md5('job' || n), 1, 0, 0, 0.1, 'done', 1, 0, 0, '[]'::jsonb, %(stats)s::jsonb
FROM generate_series(1, %(jobs)s) AS n
"""
_OUTPUTS = """
INSERT INTO job_outputs (job_id, kind, "index", key, size_bytes, width_px, height_px, etag, sha256)
SELECT md5('job' || n), 'still', 1, 'out/' || n || '/00001.jpg', 12345, 320, 180, md5('etag' || n),
    md5('a' || n) || md5('b' || n)
FROM generate_series(1, %(jobs)s) AS n WHERE n %% 33 <> 0
"""
_PROBES = f"""
INSERT INTO probe_jobs (job_id, account_id, pipeline_id, priority, has_own_priority, trigger_source, request_id,
    is_async, input_media, input_bucket, input_key, input_region, status, attempt, parked, is_begun, failures,
    kills, facts, created_at, submitted_at, modified_at, finished_at)
SELECT md5('probe' || n), %(account)s, %(pipeline)s, 6, false, 'API', md5('request' || n), true,
    'oss://local/film-' || n || '.mp4', 'local', 'film-' || n || '.mp4', 'cn-shanghai',
    CASE WHEN n %% 33 = 0 THEN 'Fail' ELSE 'Success' END, 1, false, false, 0, 0, NULL,
    made.at, made.at, made.at, made.at + interval '1 s'
FROM generate_series(1, %(jobs)s) AS n CROSS JOIN LATERAL (SELECT {_MADE} AS at) AS made
"""
_ASSETS = f"""
INSERT INTO media_assets (media_id, account_id, input_url, bucket, key, region, request_digest, media_type,
    is_type_given, business_type, title, tags, needs_snapshot, needs_sprite, status,
    failures, kills, created_at, modified_at)
SELECT md5('asset' || n), %(account)s, 'oss://local/asset-' || n || '.mp4', 'local', 'asset-' || n || '.mp4',
    'cn-shanghai', md5('digest' || n), CASE WHEN n %% 50 = 0 THEN 'image' ELSE 'video' END, false, 'general',
    'asset ' || n, ARRAY['short'], true, true, CASE WHEN n %% 50 = 0 THEN 'PrepareFail' ELSE 'Normal' END, 0, 0,
    made.at, made.at
FROM generate_series(1, %(jobs)s) AS n CROSS JOIN LATERAL (SELECT {_MADE} AS at) AS made
"""
_NONCES = """
INSERT INTO used_nonces (access_key_id, nonce, until)
SELECT 'SF0123456789012345678901', md5('nonce' || n), now() + interval '10 min' FROM generate_series(1, %(jobs)s) AS n
"""
_EVENTS = f"""
INSERT INTO settled_events (event_id, account_id, type, body, is_delivered, failures, tries, happened_at, settled_at)
SELECT md5('event' || n), %(account)s, 'SnapshotComplete', '{{"MessageBody": {{}}}}', n %% 10 <> 0,
    CASE WHEN n %% 10 = 0 THEN 3 ELSE 0 END, '[]'::jsonb, made.at, made.at
FROM generate_series(1, %(jobs)s) AS n CROSS JOIN LATERAL (SELECT {_MADE} AS at) AS made
"""
#: each statement with the part of the number of jobs that it makes
_STEPS = ((_JOBS, 1), (_SLICES, 1), (_OUTPUTS, 1), (_PROBES, 10), (_ASSETS, 20), (_NONCES, 10), (_EVENTS, 2))
#: as the one that has ended last: nobody removes that one yet
_OF_MODEL = (
    "FROM generate_series(1, %(jobs)s) AS n CROSS JOIN (SELECT jobs AS model FROM jobs WHERE status <> 'Init' "
    "AND name LIKE 'job %%' ORDER BY finished_at DESC LIMIT 1) AS found"
)
_WAITING = f"""
INSERT INTO jobs SELECT (jsonb_populate_record(model, jsonb_build_object('job_id', md5('live' || n), 'status', 'Init',
    'finished_at', NULL, 'pipeline_id', %(pipeline)s::text, 'client_token', NULL, 'planned', NULL,
    'output_asset_id', NULL, 'modified_at', now() - interval '1 h'))).*
{_OF_MODEL}
"""
_PARKED = f"""
INSERT INTO jobs SELECT (jsonb_populate_record(model, jsonb_build_object(
    'job_id', md5('parked' || n || pipeline_id),
    'status', 'Init', 'parked', true, 'is_begun', false, 'finished_at', NULL, 'pipeline_id', pipeline_id,
    'client_token', NULL, 'planned', NULL, 'output_asset_id', NULL))).*
{_OF_MODEL} CROSS JOIN (SELECT pipeline_id FROM pipelines WHERE max_concurrency IS NOT NULL) AS limited
"""
_TASKS = """
SELECT procrastinate_defer_jobs_v1(array_agg(ROW('work', 'survey', 5, NULL, NULL,
    jsonb_build_object('job_id', md5('live' || n), 'epoch', 1), now() + interval '1 h')::procrastinate_job_to_defer_v1))
FROM generate_series(1, %(jobs)s) AS n
"""
TABLES = ("jobs", "slices", "job_outputs", "probe_jobs", "media_assets", "used_nonces", "settled_events")
_INDEXES = """
SELECT indexrelid::regclass::text AS name, pg_get_indexdef(indexrelid) AS definition FROM pg_index
WHERE indrelid = ANY(%s::regclass[]) AND NOT indisprimary
"""


def fill(connection: Any, account_id: str, pipeline_id: str, *, jobs: int) -> None:
    """Add so many snapshot jobs, and some of all else, to an account; statistics are made anew.

    The connection's role must be a superuser (references are not checked one by one); what it does is committed.
    """
    values = {
        "account": account_id,
        "pipeline": pipeline_id,
        "config": _CONFIG,
        "report": _REPORT,
        "stats": _STATS,
        "days": _DAYS,
    }
    with connection.transaction():
        indexes = connection.execute(_INDEXES, [[*TABLES]]).fetchall()
        # one sort is quicker than a million insertions
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        connection.execute("SET LOCAL session_replication_role TO replica")
        connection.execute("SET LOCAL synchronous_commit TO off")
        for statement, part in _STEPS:
            connection.execute(statement, {**values, "jobs": jobs // part})
        connection.execute("SET LOCAL maintenance_work_mem TO '256MB'")
        for _, definition in indexes:
            connection.execute(definition)
    connection.commit()
    connection.autocommit = True
    connection.execute(f"VACUUM (ANALYZE) {', '.join(TABLES)}")


def add_waiting(connection: Any, pipeline_id: str, *, jobs: int) -> None:
    """Add so many jobs that wait in the queue, with tasks that are due in an hour; after `fill`, and only once."""
    for statement in (_WAITING, _TASKS):
        connection.execute(statement, {"pipeline": pipeline_id, "jobs": jobs})
    connection.execute("ANALYZE jobs, procrastinate_jobs, procrastinate_events")
    if not connection.autocommit:
        connection.commit()


def add_parked(connection: Any, *, jobs: int) -> None:
    """Add so many jobs to each pipeline with a limit, that wait to be let in; after `fill`, and only once."""
    connection.execute(_PARKED, {"jobs": jobs})
    connection.execute("ANALYZE jobs")
    if not connection.autocommit:
        connection.commit()
