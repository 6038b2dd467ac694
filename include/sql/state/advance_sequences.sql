select sequence, was, moved_to from intra42.advance_sequences(%(whole)s)
