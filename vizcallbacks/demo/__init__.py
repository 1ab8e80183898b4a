"""The demo: two networks watched side by side (`run`); one learns to look at the wrong thing (`clever_hans`).

May import everything below; nothing but the command imports it.
"""
