left join intra42.coalitions as derived on derived.id = staged.coalition_id
