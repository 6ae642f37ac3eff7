"""What keeps poolwatch from being felt by the process it lives in: a guard around its hooks, the interpreter's own
threads, a courier for other people's log handlers, and the ends and forks of the process.
"""
