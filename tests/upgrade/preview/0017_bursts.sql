-- After a silence as many requests go at once as a second may have: the API counts whole seconds, and
-- the tasks of a quiet run ask a few times each, at moments of their own. While there is work, and
-- right after a pause, they are spaced evenly, as before.

alter table intra42.api_limits add column slots timestamptz[] not null default '{}';
comment on column intra42.api_limits.slots is 'When the last requests were due, newest first';
comment on column intra42.api_limits.next_slot is 'When who has to wait is due next';

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
    slot := greatest(moment, limits.slots[burst] + span, limits.paused_until);
    -- A whole second went by with room left, or nobody goes early. Beyond 16 a second the gaps are
    -- too short to matter.
    if moment < greatest(limits.slots[burst] + 2 * span, limits.paused_until + span)
        or rate >= burst + 1
    then
        slot := greatest(slot, limits.next_slot);
    end if;
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
    set slots = (slot || limits.slots)[1:16],
        next_slot = case
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
