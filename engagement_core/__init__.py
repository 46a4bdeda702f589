"""The domain of scheduled engagement: values, rules and use cases. Standard library only."""
