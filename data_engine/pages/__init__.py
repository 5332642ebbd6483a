"""Pages for the browser, as text: one HTML file each, with its pictures inside and nothing fetched when it is opened.

``markup`` has the small pieces and the style, ``picture`` draws boxes over a picture; a page composes them.
"""
