-- A sentence for each column that had none, of the mirror's tables and of the bookkeeping that is
-- promised: psql shows them, and docs/tables.md is written from them. "Not documented" means that
-- nothing public says what the API means by the value.

comment on column intra42.cursus.id is 'The API''s id of the cursus, such as 21 for the 42 cursus.';
comment on column intra42.cursus.name is 'Its name.';
comment on column intra42.cursus.slug is 'Its name as it stands in addresses.';
comment on column intra42.cursus.created_at is 'When the API says it was created.';

comment on column intra42.campuses.id is 'The API''s id of the campus.';
comment on column intra42.campuses.name is 'Its name.';
comment on column intra42.campuses.time_zone is 'Its time zone, such as Europe/Paris.';
comment on column intra42.campuses.language_id is 'The API''s id of its language.';
comment on column intra42.campuses.language_name is 'Its language, such as French.';
comment on column intra42.campuses.language_identifier is 'Its language as a code, such as fr.';
comment on column intra42.campuses.country is 'Its country.';
comment on column intra42.campuses.address is 'Its street address.';
comment on column intra42.campuses.zip is 'Its postal code.';
comment on column intra42.campuses.city is 'Its city.';
comment on column intra42.campuses.website is 'Address of its website; often empty text.';
comment on column intra42.campuses.facebook is 'Address of its page there; often empty text.';
comment on column intra42.campuses.twitter is 'Address of its page there; often empty text.';
comment on column intra42.campuses.active is 'Whether Intra calls it active; /v2/campus lists only such ones.';
comment on column intra42.campuses.public is 'Whether Intra calls it public; /v2/campus lists only such ones.';
comment on column intra42.campuses.email_extension is
  'What its e-mail addresses end with; null where it has none of its own.';
comment on column intra42.campuses.default_hidden_phone is
  'Whether its users'' telephone numbers are hidden by default.';

comment on column intra42.projects.id is 'The API''s id of the project.';
comment on column intra42.projects.name is 'Its name.';
comment on column intra42.projects.slug is 'Its name as it stands in addresses.';
comment on column intra42.projects.difficulty is 'A number without a unit; not documented.';
comment on column intra42.projects.git_id is 'Not documented; often null.';
comment on column intra42.projects.repository is 'Not documented; often null.';
comment on column intra42.projects.created_at is 'When the API says it was created.';
comment on column intra42.projects.updated_at is 'When the API says it last changed.';

comment on column intra42.cursus_projects.cursus_id is 'The cursus.';
comment on column intra42.cursus_projects.project_id is 'The project.';
comment on column intra42.campus_projects.campus_id is 'The campus; it may be one that is not listed.';
comment on column intra42.campus_projects.project_id is 'The project.';

comment on column intra42.achievements.id is 'The API''s id of the achievement.';
comment on column intra42.achievements.name is 'Its name.';
comment on column intra42.achievements.description is 'What must be done for it.';
comment on column intra42.achievements.tier is 'none, easy, medium, hard or challenge.';
comment on column intra42.achievements.kind is 'project, social, pedagogy or scolarity.';
comment on column intra42.achievements.visible is 'Whether it is visible; only such ones are listed.';
comment on column intra42.achievements.image is 'Path of its picture, without the host.';
comment on column intra42.achievements.parent_id is
  'The achievement this one is a step of; not a foreign key, it may be unlisted.';

comment on column intra42.campus_achievements.campus_id is 'The campus.';
comment on column intra42.campus_achievements.achievement_id is 'The achievement.';

comment on column intra42.coalitions.id is 'The API''s id of the coalition.';
comment on column intra42.coalitions.name is 'Its name.';
comment on column intra42.coalitions.slug is 'Its name as it stands in addresses.';
comment on column intra42.coalitions.image_url is 'Address of its picture.';
comment on column intra42.coalitions.cover_url is 'Address of its background picture.';
comment on column intra42.coalitions.color is 'Its colour in hexadecimal; some have stray blanks.';
comment on column intra42.coalitions.campus_id is 'The campus of its bloc.';
comment on column intra42.coalitions.cursus_id is 'The cursus of its bloc.';

comment on column intra42.users.id is 'The API''s id of the account.';
comment on column intra42.users.email is 'E-mail address.';
comment on column intra42.users.login is 'Login; begins with 3b3- once the account is anonymised.';
comment on column intra42.users.first_name is 'First name.';
comment on column intra42.users.last_name is 'Last name.';
comment on column intra42.users.usual_full_name is 'The full name the user goes by.';
comment on column intra42.users.usual_first_name is 'The first name the user goes by; mostly null.';
comment on column intra42.users.url is 'The API''s address of the account.';
comment on column intra42.users.phone is 'Telephone number; the word hidden for almost everybody.';
comment on column intra42.users.displayname is 'The name that Intra shows.';
comment on column intra42.users.image_link is 'Address of the picture; null where there is none.';
comment on column intra42.users.image_large is 'Address of its large version.';
comment on column intra42.users.image_medium is 'Address of its medium version.';
comment on column intra42.users.image_small is 'Address of its small version.';
comment on column intra42.users.image_micro is 'Address of its smallest version.';
comment on column intra42.users.staff is 'Whether the account is one of staff.';
comment on column intra42.users.pool_month is
  'Month of the piscine, as an English word in lower case; null where unknown to Intra.';
comment on column intra42.users.created_at is 'When the API says the account was created.';
comment on column intra42.users.updated_at is
  'When the API says it last changed; active and the dates of erasure change without it.';
comment on column intra42.users.alumnized_at is 'When the user became an alumnus.';
comment on column intra42.users.alumni is 'Whether the user is an alumnus.';

comment on column intra42.campus_users.id is 'The API''s id of the membership.';
comment on column intra42.campus_users.user_id is 'The user.';
comment on column intra42.campus_users.campus_id is 'The campus.';
comment on column intra42.campus_users.created_at is 'When the API says it was created.';
comment on column intra42.campus_users.updated_at is 'When the API says it last changed.';

comment on column intra42.cursus_users.id is 'The API''s id of the enrolment.';
comment on column intra42.cursus_users.user_id is 'The user; may have several enrolments in one cursus.';
comment on column intra42.cursus_users.cursus_id is 'The cursus.';
comment on column intra42.cursus_users.begin_at is
  'Begin of the enrolment; in the future for those who registered early.';
comment on column intra42.cursus_users.has_coalition is
  'Whether the user has a coalition in this cursus.';
comment on column intra42.cursus_users.created_at is 'When the API says it was created.';
comment on column intra42.cursus_users.updated_at is
  'When the API says it last changed; level changes without it.';

comment on column intra42.projects_users.id is
  'The API''s id; a retry keeps it, an attempt deleted and made again gets another.';
comment on column intra42.projects_users.user_id is 'The user.';
comment on column intra42.projects_users.project_id is 'The project.';
comment on column intra42.projects_users.current_team_id is
  'The API''s id of the team of the current try; teams are not mirrored.';
comment on column intra42.projects_users.marked is
  'Whether it is marked; on a retry the previous value until the new mark.';
comment on column intra42.projects_users.marked_at is 'When it was marked; null on some old rows.';
comment on column intra42.projects_users.created_at is 'When the API says it was created.';
comment on column intra42.projects_users.updated_at is
  'When the API says it last changed; giving up does not move it.';

comment on column intra42.achievements_users.id is 'The API''s id.';
comment on column intra42.achievements_users.user_id is 'The user.';
comment on column intra42.achievements_users.achievement_id is 'The achievement.';
comment on column intra42.achievements_users.created_at is 'When the API says it was created.';
comment on column intra42.achievements_users.updated_at is
  'When the API says it last changed; whether each step moves it is unknown.';

comment on column intra42.coalitions_users.id is 'The API''s id of the membership.';
comment on column intra42.coalitions_users.coalition_id is 'The coalition.';
comment on column intra42.coalitions_users.user_id is 'The user.';
comment on column intra42.coalitions_users.created_at is 'When the API says it was created.';
comment on column intra42.coalitions_users.updated_at is
  'When the API says it last changed; score and rank change without it.';

comment on column intra42.project_sessions.id is 'The API''s id of the session.';
comment on column intra42.project_sessions.description is 'What the session says of the project.';
comment on column intra42.project_sessions.created_at is 'When the API says it was created.';
comment on column intra42.project_sessions.updated_at is 'When the API says it last changed.';

comment on column intra42.levels_recomputed_silently.unseen_for is
  'observed_at less unseen_since: the longest that the mirror can have been wrong.';

comment on column intra42.active_students.level is
  'Level of the ongoing enrolment in cursus 21, the latest begun; null where there is none.';
comment on column intra42.active_students.grade is 'Grade of the same enrolment.';

comment on column intra42.checks.resource is 'The table.';
comment on column intra42.checks.id is 'The row''s id.';
comment on column intra42.checks.checked_at is 'The API''s clock when it last showed the row so.';
comment on column intra42.checks.seq is 'The number of the request that showed it.';

comment on column intra42.sync_state.dag_id is 'The DAG whose watermark it is.';
comment on column intra42.sync_state.resource is 'The table.';
comment on column intra42.sync_state.scope is 'A campus or all, and a cursus where the table has one: 67/21, all.';

comment on column intra42.sync_run_tables.sync_run_id is 'The attempt.';
comment on column intra42.sync_run_tables.resource is 'The table it wrote to.';
comment on column intra42.sync_run_tables.inserted is 'Rows inserted.';
comment on column intra42.sync_run_tables.updated is 'Rows changed.';
comment on column intra42.sync_run_tables.deleted is 'Rows deleted, each with its tombstone.';

comment on column intra42.audits.resource is 'The table.';
comment on column intra42.audits.user_id is 'The user whose rows were counted.';

comment on column intra42.tombstones.number is 'Number of the tombstone.';
comment on column intra42.tombstones.resource is 'The table the row was in.';
comment on column intra42.tombstones.id is 'The id it had.';
comment on column intra42.tombstones.row is
  'The whole last row; of an erased account nothing but the ids.';
comment on column intra42.tombstones.reason is 'Why it was deleted.';
comment on column intra42.tombstones.dag_id is 'The DAG that deleted it.';
comment on column intra42.tombstones.run_id is 'The run that deleted it.';
comment on column intra42.tombstones.scope is
  'The user''s campus or none, and the cursus where the table has one: what the guard counts by.';
comment on column intra42.tombstones.deleted_at is 'When it was deleted, API clock.';

comment on column intra42.parked_records.number is 'Number of the parked record.';
comment on column intra42.parked_records.resource is 'The table it belongs to.';
comment on column intra42.parked_records.id is 'The record''s id; null where it has none that can be used.';
comment on column intra42.parked_records.reason is 'Why it could not be stored.';
comment on column intra42.parked_records.run_id is 'The run that met it first.';
comment on column intra42.parked_records.first_seen_at is 'When it was met first, API clock.';
comment on column intra42.parked_records.last_seen_at is 'When it was last met or tried again, API clock.';
comment on column intra42.parked_records.attempts is 'How often storing it was tried.';
comment on column intra42.parked_records.last_run_id is 'The run that met it or tried it again last.';
