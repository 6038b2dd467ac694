delete from {stage}
