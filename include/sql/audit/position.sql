select after from intra42.audit_positions where listing = %(listing)s
