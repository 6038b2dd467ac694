set client_encoding to 'UTF8'
