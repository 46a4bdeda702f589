"""What the doorbells on Redis share: where it is, and how one reads what strangers wrote."""
