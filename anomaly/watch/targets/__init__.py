"""Where reports go: a file, a webhook, or MQTT."""
