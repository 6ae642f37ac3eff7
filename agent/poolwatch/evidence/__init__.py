"""Evidence that is gathered for suspects only, in the watcher thread, within bounds of time and steps."""
