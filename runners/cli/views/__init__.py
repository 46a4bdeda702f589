"""How results look: screens for people, JSON for programs."""
