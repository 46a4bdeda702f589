"""The command line: parse, wire, print. No decision about an engagement is made here."""
