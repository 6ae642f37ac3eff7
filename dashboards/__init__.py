"""The Grafana dashboards: what they show is written here, the JSON beside it is built. No query to Grafana is made."""
