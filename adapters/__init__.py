"""What fills the ports, one technology per package."""
