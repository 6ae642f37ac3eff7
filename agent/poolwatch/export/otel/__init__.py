"""OpenTelemetry: metrics, spans and log records through the program's providers. ``telemetry`` is the way in.

Modules beside ``telemetry``, ``sources``, ``providers``, ``asked`` and ``courier`` import OpenTelemetry when loaded.
"""
