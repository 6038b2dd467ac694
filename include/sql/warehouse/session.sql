-- Constraints and history are kept by triggers, which a replica does not fire. Whether a session is
-- fresh shows in a name that nobody else gives it: a pooler hands out sessions that were used before.
do $$
begin
  if current_setting('session_replication_role') = 'replica' then
    begin
      perform set_config('session_replication_role', 'origin', false);
    exception
      when insufficient_privilege then null;
    end;
  end if;
end
$$
;
select
  coalesce(current_setting('intra42.session', true), '') <> '' as was_used,
  current_setting('session_replication_role') = 'replica' as fires_no_triggers,
  set_config('intra42.session', %(session)s, false)
