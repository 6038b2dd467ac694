select id, name from intra42.campuses where listed and name is not null
