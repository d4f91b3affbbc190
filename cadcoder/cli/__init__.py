"""The command line: one small file a command, each of which imports its work when it is called."""
