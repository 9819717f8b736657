"""The only place where parts are wired together: command line, supervisor, processes."""
