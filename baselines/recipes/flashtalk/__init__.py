"""Recipe for SoulX-FlashTalk."""
