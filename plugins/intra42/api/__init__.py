"""Talks to the Intra API: limiter, token, client, pagination."""
