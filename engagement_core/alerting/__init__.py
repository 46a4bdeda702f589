"""When an incident begins, when it is over, and what people are told. Pure functions."""
