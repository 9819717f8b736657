"""What every part of the HTTP API shares: limits, who asks, errors, the document and its page.

Knows no system: a system makes a `document.Section` of its routes, and `app.site` puts the sections together.
"""
