-- A session that is ours alone hears this between our statements.
listen {channel}
