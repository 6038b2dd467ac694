-- Slots alone do not keep the pace: a worker that wakes late sends close to the next one, and the
-- API refuses what comes third within a second. The moments of the last requests are kept, and each
-- request goes out when the second before it has room. Then a slot taken late costs nobody time.

alter table intra42.api_limits add column sent timestamptz[] not null default '{}';
comment on column intra42.api_limits.sent is 'When the last requests were sent, newest first';

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
    -- Who asks a moment late does not shift those who come after.
    update intra42.api_limits
    set next_slot = case
        when slot < limits.next_slot + interval '0.5 seconds' then limits.next_slot + pace
        else slot + pace
    end
    where application = p_application;
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

drop function intra42.send_request;

-- Called right before each request is sent. While the API asked for a pause, or while the second is
-- full, nothing is counted and seq is null. It takes along what the last answer said about the API's
-- clock, which saves a statement per answer.
create function intra42.send_request(
    p_application text,
    p_per_second double precision,
    p_run_id bigint default null,
    p_now timestamptz default null,
    p_api_now timestamptz default null,
    out seq bigint,
    out pause_s double precision,
    out gap_s double precision,
    out sent_at timestamptz
)
language plpgsql
as $$
declare
    limits intra42.api_limits;
    moment timestamptz;
    rate double precision;
    burst integer;
    span double precision;
    news interval;
begin
    select * into limits from intra42.api_limits where application = p_application for update;
    moment := coalesce(p_now, clock_timestamp());
    pause_s := greatest(extract(epoch from limits.paused_until - moment), 0);
    if pause_s > 0 then
        return;
    end if;
    -- So many in so long: the second, 4 % longer because the time a request travels varies.
    rate := coalesce(limits.per_second, p_per_second);
    burst := least(greatest(floor(rate), 1), 16);
    span := 1.04 * burst / rate;
    gap_s := extract(epoch from limits.sent[burst] - moment) + span;
    -- A moment later than now was never sent at: the clock was set back.
    if gap_s > 0 and gap_s <= span then
        return;
    end if;
    news := p_api_now - moment;
    update intra42.api_limits
    set sent = (moment || limits.sent)[1:burst],
        -- Date has whole seconds, and answers take a while: less than 5 seconds is no news.
        ahead = case when abs(extract(epoch from ahead - news)) > 5 then news else ahead end
    where application = p_application;
    if p_run_id is not null then
        update intra42.sync_runs set requests = requests + 1 where id = p_run_id;
    end if;
    seq := nextval('intra42.request_seq');
    sent_at := moment;
end
$$;

comment on function intra42.send_request is
    'Count a request in the run ledger and draw its number, or say how long to wait';
