-- A statement ends soon after the client that sent it: a killed task holds its locks no longer, not
-- even while it waits for others. Where the server cannot see that, it does without.
do $$
begin
  perform set_config('client_connection_check_interval', '500ms', false);
exception
  when invalid_parameter_value then null;
end
$$
