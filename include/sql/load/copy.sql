copy {stage} ({columns}) from stdin
