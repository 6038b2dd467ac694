-- Forget a token the API refused, unless another has taken its place.
delete from intra42.api_tokens where application = %(application)s and token = %(token)s
