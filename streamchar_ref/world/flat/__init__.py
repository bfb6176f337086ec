"""The second style of the world: flat cartoons, cut from paper or drawn with a pen.

It shares the canvas, the scene and the meaning of a `Motion` with the painted style, and nothing
else: other drawing, other mouth shapes, another way from one to the next, other voices.
"""
