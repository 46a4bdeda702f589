"""What the domain needs from the outside, one Protocol per concept. No vendor type or exception crosses a port."""
