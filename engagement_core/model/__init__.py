"""Values: what the domain talks about. Nothing here decides, and nothing here knows of anything outside."""
