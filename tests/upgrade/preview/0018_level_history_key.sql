-- One index less to write with each level: the key leads with the enrolment, which every look-up
-- names, and serves for both.
alter table intra42.cursus_users_levels
    drop constraint cursus_users_levels_pkey,
    add primary key (cursus_user_id, number);
drop index intra42.cursus_users_levels_cursus_user_id_number_idx;
