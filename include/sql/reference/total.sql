select total from intra42.listing_totals where path = %(path)s
