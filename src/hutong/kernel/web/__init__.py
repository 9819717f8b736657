"""What every page shares: frame, design tokens, texts in both languages, security headers, vendored ECharts.

Knows no system: a system brings its own templates and texts and asks `frame.Frame` to render them.
"""
