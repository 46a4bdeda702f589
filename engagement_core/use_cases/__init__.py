"""What the product does: each use case reads through ports, asks a decision, and has the store apply it."""
