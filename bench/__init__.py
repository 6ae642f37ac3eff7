"""The benchmark: what poolwatch adds to an operation, beside what SQLAlchemy itself charges for an empty listener.

Run it as ``python -m bench``. Everything here uses real pools and real databases; ``tests/test_speed.py`` uses the
same functions with room for noise.
"""
