"""The name under which plugins look for the agent's installer."""
