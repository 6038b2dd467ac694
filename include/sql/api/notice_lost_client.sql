-- A statement ends soon after the client that sent it: a killed task holds its locks no longer, not
-- even while it waits for others. Where the server cannot see that, it does without. A machine that
-- vanished says nothing at all: the server asks, and lets go after a minute instead of two hours.
do $$
begin
  perform set_config('tcp_keepalives_idle', '30', false);
  perform set_config('tcp_keepalives_interval', '10', false);
  perform set_config('tcp_keepalives_count', '3', false);
  begin
    perform set_config('client_connection_check_interval', '500ms', false);
  exception
    when invalid_parameter_value then null;
  end;
end
$$
