"""What a manager of Cloudify's has beside its plugins, as far as plugins import it.

It is found last: a plugin that brings the whole of it has its own.
"""
