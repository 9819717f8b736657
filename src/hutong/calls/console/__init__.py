"""The console's pages of the calls system: routes, and what they render; figures and stores are made elsewhere.

Each module gives `routes(console, …)`; `hutong.app` wires them.
"""
