"""Stand-in for the configuration that MiniCPM-V 4.5 ships."""

from transformers import Qwen3Config


class MiniCPMVConfig(Qwen3Config):
    model_type = "minicpmv"

    def __init__(self, query_num=4, patch_size=14, vision_width=24, use_image_id=True, **kwargs):
        super().__init__(**kwargs)
        self.query_num = query_num
        self.patch_size = patch_size
        self.vision_width = vision_width
        self.use_image_id = use_image_id
