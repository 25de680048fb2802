"""Made storm clips with exact truth: the light of a scene, its camera, its labels and the file writer."""

from storm.camera import Camera
from storm.flashes import FLASH_KINDS, FlashPlan
from storm.lookalikes import LOOKALIKE_KINDS, LookalikePlan
from storm.plan import Plan, PlanError
from storm.scene import Scene
from storm.truth import Labels
from storm.writer import ClipFormat, WriteError, write_clip

__all__ = [
    "FLASH_KINDS",
    "LOOKALIKE_KINDS",
    "Camera",
    "ClipFormat",
    "FlashPlan",
    "Labels",
    "LookalikePlan",
    "Plan",
    "PlanError",
    "Scene",
    "WriteError",
    "write_clip",
]
