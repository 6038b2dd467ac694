-- The run ledger, and what all workers share to stay within the application's quota: one row of
-- limits per application, its requests by the minute, its token, and the number of each request.

create table if not exists intra42.sync_runs (
    id bigint generated always as identity primary key,
    dag_id text not null,
    run_id text not null,
    task_id text not null,
    map_index integer not null default -1,
    try_number integer not null default 1,
    resource text,
    started_at timestamptz not null default clock_timestamp(),
    finished_at timestamptz,
    status text not null default 'running',
    requests bigint not null default 0,
    retries_429 bigint not null default 0,
    pages bigint not null default 0,
    records bigint not null default 0,
    bytes bigint not null default 0,
    inserted bigint not null default 0,
    updated bigint not null default 0,
    unchanged bigint not null default 0,
    deleted bigint not null default 0,
    parked bigint not null default 0,
    window_from timestamptz,
    window_to timestamptz
);
create index if not exists sync_runs_by_run on intra42.sync_runs (dag_id, run_id, task_id);
create index if not exists sync_runs_by_start on intra42.sync_runs (started_at);
comment on table intra42.sync_runs is
    'One row per task attempt that talked to the API or changed data';
comment on column intra42.sync_runs.id is 'Number of the attempt';
comment on column intra42.sync_runs.dag_id is 'DAG';
comment on column intra42.sync_runs.run_id is 'Run of the DAG';
comment on column intra42.sync_runs.task_id is 'Task';
comment on column intra42.sync_runs.map_index is 'Which of a mapped task, -1 if not mapped';
comment on column intra42.sync_runs.try_number is 'Which attempt of the task, from 1';
comment on column intra42.sync_runs.resource is 'Resource of the catalogue, if it was about one';
comment on column intra42.sync_runs.started_at is 'Start, database clock';
comment on column intra42.sync_runs.finished_at is 'End, database clock; null while running';
comment on column intra42.sync_runs.status is 'running, or how it ended';
comment on column intra42.sync_runs.requests is
    'Requests sent to /v2, retries and refused ones included; counted before each is sent';
comment on column intra42.sync_runs.retries_429 is 'Requests refused with 429 and sent again';
comment on column intra42.sync_runs.pages is 'Pages believed';
comment on column intra42.sync_runs.records is 'Records received';
comment on column intra42.sync_runs.bytes is 'Bytes of the decoded answers';
comment on column intra42.sync_runs.inserted is 'Rows inserted';
comment on column intra42.sync_runs.updated is 'Rows changed';
comment on column intra42.sync_runs.unchanged is 'Rows received that were already so';
comment on column intra42.sync_runs.deleted is 'Rows deleted, each with its tombstone';
comment on column intra42.sync_runs.parked is 'Records parked';
comment on column intra42.sync_runs.window_from is 'Start of the window read, API clock';
comment on column intra42.sync_runs.window_to is 'End of the window read; null if open';

create table if not exists intra42.api_limits (
    application text primary key,
    next_slot timestamptz,
    paused_until timestamptz,
    per_second double precision check (per_second > 0),
    per_hour integer check (per_hour > 0),
    remaining integer,
    remaining_at timestamptz,
    taken integer not null default 0
) with (fillfactor = 20);
comment on table intra42.api_limits is
    'Pace of one API application, shared by all workers; the row is the lock of a reservation';
comment on column intra42.api_limits.application is 'Client id of the application';
comment on column intra42.api_limits.next_slot is 'Earliest time of the next request';
comment on column intra42.api_limits.paused_until is 'The API asked for silence until then';
comment on column intra42.api_limits.per_second is
    'Requests per second the API announced; null: not yet, the configured number holds';
comment on column intra42.api_limits.per_hour is
    'Requests per hour the API announced; null: not yet, the configured number holds';

comment on column intra42.api_limits.remaining is
    'What the API last said is left of its hour (X-Hourly-RateLimit-Remaining)';
comment on column intra42.api_limits.remaining_at is 'When it said so, database clock';
comment on column intra42.api_limits.taken is 'Requests reserved since it said so';

create table if not exists intra42.api_usage (
    application text not null,
    minute timestamptz not null,
    bulk boolean not null,
    requests integer not null default 0,
    primary key (application, minute, bulk)
) with (fillfactor = 50);
comment on table intra42.api_usage is 'Requests reserved per minute of the last two hours';
comment on column intra42.api_usage.application is 'Client id of the application';
comment on column intra42.api_usage.minute is 'Start of the minute, database clock';
comment on column intra42.api_usage.bulk is 'Reserved by bulk work, which leaves room for the rest';
comment on column intra42.api_usage.requests is 'Requests reserved for that minute';

create table if not exists intra42.api_tokens (
    application text primary key,
    token bytea not null,
    renew_at timestamptz not null,
    fetched_at timestamptz not null default clock_timestamp()
);
comment on table intra42.api_tokens is 'Access token of one API application, for all workers';
comment on column intra42.api_tokens.application is 'Client id of the application';
comment on column intra42.api_tokens.token is
    'The token, encrypted with a key derived from the client secret';
comment on column intra42.api_tokens.renew_at is
    'When to ask for another, a little before it expires; database clock';
comment on column intra42.api_tokens.fetched_at is 'When it was received';

create sequence if not exists intra42.request_seq as bigint;
comment on sequence intra42.request_seq is
    'Drawn right before each request is sent: the order in which answers were asked for';

-- How many requests fit at a moment. A minute counts until 70 s after it is an hour old: that is
-- safe under an hour that rolls and under one that begins at the full hour, and leaves 10 s for a
-- request on its way. Bulk work sees less: it leaves 2.5 % of the hour to each quarter hour, for
-- those that begin within the hour ahead until they have had five minutes to use it, because the
-- requests it sends now still count then. What a quarter hour did not use is free again after.
create or replace function intra42.hour_room(
    p_application text, p_at timestamptz, p_per_hour integer, p_bulk boolean
) returns integer
language plpgsql stable
as $$
declare
    share constant integer := ceil(p_per_hour * 0.025);
    quarter constant timestamptz := date_bin('15 minutes', p_at, timestamptz 'epoch');
    used integer;
    used_1 integer;
    used_2 integer;
    used_3 integer;
    used_4 integer;
    others integer;
    kept integer := 0;
begin
    -- used_n: what of all this still counts when the n-th quarter hour from here begins.
    select
        coalesce(sum(requests), 0),
        coalesce(sum(requests) filter (where minute > quarter - interval '2770 seconds'), 0),
        coalesce(sum(requests) filter (where minute > quarter - interval '1870 seconds'), 0),
        coalesce(sum(requests) filter (where minute > quarter - interval '970 seconds'), 0),
        coalesce(sum(requests) filter (where minute > quarter - interval '70 seconds'), 0),
        coalesce(sum(requests) filter (where minute >= quarter and not bulk), 0)
    into used, used_1, used_2, used_3, used_4, others
    from intra42.api_usage
    where application = p_application and minute > p_at - interval '3670 seconds';
    if not p_bulk then
        return p_per_hour - used;
    end if;
    if p_at < quarter + interval '5 minutes' then
        kept := greatest(share - others, 0);
    end if;
    return p_per_hour - kept - greatest(
        used, used_1 + share, used_2 + 2 * share, used_3 + 3 * share, used_4 + 4 * share
    );
end
$$;
comment on function intra42.hour_room is 'Requests that still fit into the hour at a moment';

-- Reserve the next slot, or say how long there will be none. Nothing is reserved when the wait
-- would exceed p_max_wait_s or the hour is spent. One row lock, held for this statement only.
create or replace function intra42.reserve_request(
    p_application text,
    p_per_second double precision,
    p_per_hour integer,
    p_bulk boolean default false,
    p_max_wait_s double precision default 60,
    p_now timestamptz default null,
    out wait_s double precision,
    out spent boolean
)
language plpgsql
as $$
declare
    limits intra42.api_limits;
    moment timestamptz;
    slot timestamptz;
    pace interval;
    hourly integer;
    room integer;
begin
    select * into limits from intra42.api_limits where application = p_application for update;
    if not found then
        insert into intra42.api_limits (application) values (p_application)
        on conflict do nothing;
        select * into limits from intra42.api_limits where application = p_application for update;
    end if;
    moment := coalesce(p_now, clock_timestamp());
    -- 5 % slower than allowed: the time a request travels varies.
    pace := make_interval(secs => 1.05 / coalesce(limits.per_second, p_per_second));
    hourly := coalesce(limits.per_hour, p_per_hour);
    -- A slot that far ahead was never given: the clock was set back.
    if limits.next_slot > moment + pace + make_interval(secs => 600 + p_max_wait_s) then
        limits.next_slot := null;
    end if;
    slot := greatest(moment, limits.next_slot, limits.paused_until);
    wait_s := extract(epoch from slot - moment);
    spent := false;
    if wait_s > p_max_wait_s then
        return;
    end if;
    room := intra42.hour_room(p_application, slot, hourly, p_bulk);
    if room < 1 and limits.remaining_at > moment - interval '10 minutes' then
        -- By our count the hour is spent, but how hours are counted is not documented: the API's own
        -- figure, if it is fresh, decides. Bulk work leaves four quarter hours their share of it.
        room := limits.remaining - limits.taken
            - case when p_bulk then 4 * ceil(hourly * 0.025)::integer else 0 end;
    end if;
    if room < 1 then
        spent := true;
        wait_s := extract(epoch from intra42.hour_opens(p_application, slot, hourly, p_bulk) - moment);
        return;
    end if;
    update intra42.api_limits set next_slot = slot + pace, taken = taken + 1
    where application = p_application;
    update intra42.api_usage set requests = requests + 1
    where application = p_application and minute = date_trunc('minute', slot) and bulk = p_bulk;
    if not found then
        insert into intra42.api_usage (application, minute, bulk, requests)
        values (p_application, date_trunc('minute', slot), p_bulk, 1);
        delete from intra42.api_usage
        where application = p_application and minute < moment - interval '2 hours';
    end if;
end
$$;
comment on function intra42.reserve_request is
    'Reserve a request: seconds to wait before sending it, and whether the hour is spent';

create or replace function intra42.hour_opens(
    p_application text, p_after timestamptz, p_per_hour integer, p_bulk boolean
) returns timestamptz
language plpgsql stable
as $$
declare
    moment timestamptz;
begin
    -- Room appears only where a minute stops counting (10 s into one) or a share is freed.
    for n in 0..62 loop
        moment := date_trunc('minute', p_after) + make_interval(mins => n, secs => 10);
        if moment > p_after and intra42.hour_room(p_application, moment, p_per_hour, p_bulk) > 0 then
            return moment;
        end if;
    end loop;
    return p_after + interval '1 hour';
end
$$;
comment on function intra42.hour_opens is 'When the next request will fit into the hour';

-- Called right before each request is sent. In a pause nothing is counted and seq is null. It takes
-- along what the last answer said is left of the hour, which saves a statement per answer.
create or replace function intra42.send_request(
    p_application text,
    p_run_id bigint default null,
    p_now timestamptz default null,
    p_remaining integer default null,
    out seq bigint,
    out pause_s double precision
)
language plpgsql
as $$
begin
    select greatest(extract(epoch from paused_until - coalesce(p_now, clock_timestamp())), 0)
    into pause_s from intra42.api_limits where application = p_application;
    pause_s := coalesce(pause_s, 0);
    if pause_s > 0 then
        return;
    end if;
    if p_remaining is not null then
        update intra42.api_limits
        set remaining = p_remaining, remaining_at = coalesce(p_now, clock_timestamp()), taken = 1
        where application = p_application;
    end if;
    if p_run_id is not null then
        update intra42.sync_runs set requests = requests + 1 where id = p_run_id;
    end if;
    seq := nextval('intra42.request_seq');
end
$$;
comment on function intra42.send_request is
    'Count a request in the run ledger and draw its number, or say how long the pause lasts';
