"""OpenTelemetry: metrics, spans and log records through the program's providers. ``telemetry`` is the way in.

Modules beside ``telemetry``, ``sources``, ``providers`` and ``asked`` import OpenTelemetry when loaded.
"""
