"""The command line: parses, calls, shows. No science here."""
