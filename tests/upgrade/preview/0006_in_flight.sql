-- A task may have several requests under way: a listing, or the rows of some users, can be split by
-- ids, and several chunks of queued users can be read at the same time.

alter table intra42.legs add column highest bigint not null default 2147483647;
comment on column intra42.legs.highest is 'The listing is read up to this id; another leg has the rest.';

delete from intra42.history_chunks where cardinality(users) = 0;
alter table intra42.history_chunks
    add column first_user bigint,
    add column part integer not null default 0,
    add column highest bigint not null default 2147483647;
update intra42.history_chunks set first_user = users[1];
alter table intra42.history_chunks
    drop constraint history_chunks_pkey,
    add primary key (dag_id, resource, reader, first_user, part);
comment on column intra42.history_chunks.first_user is 'The first of its users, by which a chunk is known.';
comment on column intra42.history_chunks.part is 'Which part of the chunk; its users leave the queue with the last one.';
comment on column intra42.history_chunks.highest is 'The part is read up to this id; another part has the rest.';
