"""What Cloudify's components do, as far as plugins import it."""
