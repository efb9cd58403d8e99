"""What makes the stock `cloudify` package of a plugin's environment talk to its agent.

Started as `python -m waggoner_runtime <dispatch_dir>`. It runs the stock `cloudify.dispatch`, whose
contexts get their data from an endpoint of ours instead of from Cloudify's REST API:

    plugin -> ctx (stock) -> AgentEndpoint -> agent's unix socket (JSON over HTTP, WAGGONER_SOCKET)

Only the standard library and the environment's own `cloudify` are used, in whatever version from
5.1 on. Nothing of a plugin is touched.
"""
