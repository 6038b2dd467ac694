-- How hours are counted is not documented. A request therefore counts until an hour has passed: by
-- the database's clock, or by the API's, which every answer shows. Where the two agree this is the
-- hour that rolls, and no hour of any kind gets more than it may have. Before, the API's own figure
-- of what is left decided where it said more: right after a full hour, two bursts in a row.

alter table intra42.api_limits
    add column ahead interval not null default interval '0',
    drop column remaining,
    drop column remaining_at,
    drop column taken;
comment on column intra42.api_limits.ahead is
    'The API''s clock less the database''s, as the answers show it; news of 5 seconds or more';

alter table intra42.api_usage add column api_minute timestamptz;
update intra42.api_usage set api_minute = minute;
alter table intra42.api_usage
    alter column api_minute set not null,
    drop constraint api_usage_pkey,
    add primary key (application, minute, api_minute, bulk);
comment on column intra42.api_usage.api_minute is 'Start of the minute, API clock';

drop function intra42.hour_room;
drop function intra42.hour_opens;
drop function intra42.send_request;

-- How many requests fit at a moment of the database's clock, where the API's is p_ahead of it. A
-- minute counts until 70 s after it is an hour old, which leaves 10 s for a request on its way. Bulk
-- work sees less: it leaves 2.5 % of the hour to each quarter hour, for those that begin within the
-- hour ahead until they have had five minutes to use it, because the requests it sends now still
-- count then. What a quarter hour did not use is free again after.
create or replace function intra42.hour_room(
    p_application text, p_at timestamptz, p_ahead interval, p_per_hour integer, p_bulk boolean
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
    where application = p_application
        and minute > p_at - interval '3670 seconds'
        and api_minute > p_at + p_ahead - interval '3670 seconds';
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

create or replace function intra42.hour_opens(
    p_application text, p_after timestamptz, p_ahead interval, p_per_hour integer, p_bulk boolean
) returns timestamptz
language plpgsql stable
as $$
declare
    moment timestamptz;
begin
    -- Room appears only where a minute stops counting (10 s into one) or a share is freed.
    for n in 0..62 loop
        moment := date_trunc('minute', p_after) + make_interval(mins => n, secs => 10);
        if moment > p_after
            and intra42.hour_room(p_application, moment, p_ahead, p_per_hour, p_bulk) > 0
        then
            return moment;
        end if;
    end loop;
    return p_after + interval '1 hour';
end
$$;

comment on function intra42.hour_opens is 'When the next request will fit into the hour';

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
    room := intra42.hour_room(p_application, slot, limits.ahead, hourly, p_bulk);
    if room < 1 then
        spent := true;
        wait_s := extract(
            epoch from
            intra42.hour_opens(p_application, slot, limits.ahead, hourly, p_bulk) - moment
        );
        return;
    end if;
    update intra42.api_limits set next_slot = slot + pace where application = p_application;
    update intra42.api_usage set requests = requests + 1
    where application = p_application and bulk = p_bulk
        and minute = date_trunc('minute', slot)
        and api_minute = date_trunc('minute', slot + limits.ahead);
    if not found then
        insert into intra42.api_usage (application, minute, api_minute, bulk, requests)
        values (
            p_application,
            date_trunc('minute', slot),
            date_trunc('minute', slot + limits.ahead),
            p_bulk,
            1
        );
        delete from intra42.api_usage
        where application = p_application and minute < moment - interval '2 hours';
    end if;
end
$$;

-- Called right before each request is sent. In a pause nothing is counted and seq is null. It takes
-- along what the last answer said about the API's clock, which saves a statement per answer.
create or replace function intra42.send_request(
    p_application text,
    p_run_id bigint default null,
    p_now timestamptz default null,
    p_api_now timestamptz default null,
    out seq bigint,
    out pause_s double precision
)
language plpgsql
as $$
declare
    news constant interval := p_api_now - coalesce(p_now, clock_timestamp());
begin
    select greatest(extract(epoch from paused_until - coalesce(p_now, clock_timestamp())), 0)
    into pause_s from intra42.api_limits where application = p_application;
    pause_s := coalesce(pause_s, 0);
    if pause_s > 0 then
        return;
    end if;
    -- Date has whole seconds, and answers take a while: less than 5 seconds is no news.
    update intra42.api_limits set ahead = news
    where application = p_application and abs(extract(epoch from ahead - news)) > 5;
    if p_run_id is not null then
        update intra42.sync_runs set requests = requests + 1 where id = p_run_id;
    end if;
    seq := nextval('intra42.request_seq');
end
$$;

comment on function intra42.send_request is
    'Count a request in the run ledger and draw its number, or say how long the pause lasts';
