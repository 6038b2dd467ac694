(select c.campus_id from intra42.coalitions as c where c.id = staged.coalition_id)
