"""Light of a scene on finished pictures."""

from streamchar_ref.world.canvas import Canvas
from streamchar_ref.world.scene import Scene


def light_up(canvas: Canvas, scene: Scene) -> None:
    """Applies the light of a scene to finished pictures, in place.

    Args:
        canvas: The complete pictures.
        scene: With the light.
    """
    fall = scene.light_x * canvas.x + scene.light_y * canvas.y
    side = (1 + 0.55 * scene.light_strength * fall).clamp(0.35, 1.5)
    gain = 2.0**scene.exposure * (1 - 0.10 * scene.light_strength)
    colour = canvas.rgb.new_tensor(
        (1 + 0.13 * scene.warmth, 1.0 + 0.01 * scene.warmth, 1 - 0.19 * scene.warmth)
    )
    light = gain * side[:, None] * colour[:, None, None]
    rgb = canvas.rgb.mul_(light)
    # Highlights roll off instead of clipping, so that bright scenes keep their colours.
    over = (rgb - 0.85).clamp(min=0)
    rgb.sub_(over).add_(0.15 * over / (0.15 + over))
