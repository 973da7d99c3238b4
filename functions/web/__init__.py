"""The function `manual`: sync now, plan, status and the page for people, over HTTP."""
