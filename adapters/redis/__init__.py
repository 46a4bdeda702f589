"""What the two doorbells on Redis share: finding the server, and reading payloads that strangers wrote."""
