"""What a reader sees of a run: terminal matrix, STATUS.md, HTML. All pure but for the console."""
