"""What leaves the project: the formats, their verification and the model card."""
