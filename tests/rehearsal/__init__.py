"""deploy/compose without Docker: its files as they are, in namespaces of our own.

The processes have a root folder, a process table and a network of their own, in which the services' names are
addresses, and configuration, secrets and volumes lie where the containers have them. So nothing in a file has to be
rewritten. What is not rehearsed: images, capabilities, read-only roots; Grafana and Jaeger, which are not to be had;
and the collector's configuration, since rotel stands for the collector.
"""
