"""``python -m slotproof``."""

from slotproof.cli import main

if __name__ == "__main__":
    main()
