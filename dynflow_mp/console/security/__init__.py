"""Who may do what with a console: each file is one thing that a request has to pass.

entrance ─▶ headers ─▶ hosts ─▶ authentication ─▶ body_limit ─▶ csrf ─▶ routes
"""
