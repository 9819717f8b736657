"""What everybody sees of codes: the page that shows one, the page that verifies one, and what they fetch.

Both pages are installed on the device and work with no network; what a phone needs comes in one answer for many hours.
"""
