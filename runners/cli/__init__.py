"""The command line: it parses, wires and prints. It decides nothing about an engagement."""
