"""What Cloudify's shared resources do, as far as plugins import it."""
