-- Which session a statement of this connection meets.
select pg_backend_pid(), current_setting('intra42.session', true)
