"""The second style of the world: flat cartoons, cut from paper or drawn with a pen.

It shares only the canvas, the scene and the fields of `Motion` with the painted style; drawing,
mouth shapes, coarticulation and voices differ.
"""
