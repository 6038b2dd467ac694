select intra42.hold_hashing()
