-- The limiter: one row of api_limits, whose lock is the queue. Each request gets a slot in it, so that
-- all workers together keep the pace, and goes out when the second before it has room, by what was
-- really sent: a worker that wakes late neither sends a third request within a second nor costs the
-- others time. After a silence as many go at once as a second may have: the tasks of a quiet run ask a
-- few times each, at moments of their own. While there is work, and right after a pause, they are spaced
-- evenly.

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

-- Reserve the next slot, or say how long there will be none. Nothing is reserved when the wait would
-- exceed p_max_wait_s or the hour is spent. One row lock, held for this statement only.
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
    rate double precision;
    burst integer;
    pace interval;
    span interval;
    hourly integer;
    room integer;
    at_once boolean;
begin
    select * into limits from intra42.api_limits where application = p_application for update;
    if not found then
        insert into intra42.api_limits (application) values (p_application)
        on conflict do nothing;
        select * into limits from intra42.api_limits where application = p_application for update;
    end if;
    moment := coalesce(p_now, clock_timestamp());
    rate := coalesce(limits.per_second, p_per_second);
    burst := least(greatest(floor(rate), 1), 16);
    -- 5 % slower than allowed: the time a request travels varies.
    pace := make_interval(secs => 1.05 / rate);
    span := burst * pace;
    hourly := coalesce(limits.per_hour, p_per_hour);
    -- A slot that far ahead was never given: the clock was set back.
    if limits.next_slot > moment + span + make_interval(secs => 600 + p_max_wait_s) then
        limits.next_slot := null;
        limits.slots := '{}';
    end if;
    slot := greatest(moment, limits.slots[burst] + span, limits.paused_until, limits.next_slot);
    -- Nobody waits, and half a second more than needed went by since the second before. Beyond 16 a
    -- second the gaps are too short to matter, and of 2.5 a second nobody knows which have three.
    at_once := slot = moment
        and rate = burst
        and moment >= coalesce(
            greatest(limits.slots[burst] + 1.5 * span, limits.paused_until + span), moment
        );
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
    -- Who goes at once uses up one of the slots that nobody used, a second's worth at the most. Who
    -- asks a moment late does not shift those who come after.
    update intra42.api_limits
    set slots = (slot || limits.slots)[1:16],
        next_slot = pace + case
            when at_once then greatest(limits.next_slot, slot - (burst - 1) * pace)
            when slot < limits.next_slot + interval '0.5 seconds' then limits.next_slot
            else slot
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
comment on function intra42.reserve_request is
    'Reserve a request: seconds to wait before sending it, and whether the hour is spent';

-- Called right before each request is sent. While the API asked for a pause, or while the second is
-- full, nothing is counted and seq is null. It takes along what the last answer said about the API's
-- clock, which saves a statement per answer.
create or replace function intra42.send_request(
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
