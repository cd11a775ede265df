"""Take over domains, users and mail of another system: read it, plan, carry out, say what is left."""
