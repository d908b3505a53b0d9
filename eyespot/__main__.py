"""The process that `eyespot` and `python -m eyespot` start."""

import gc

OBJECTS = 50_000  # made and not thrown away until garbage is looked for; Python's own figure is 700


def main() -> None:
    """Run the command line."""
    # Imports make hundreds of thousands of objects and throw few away. Looking for garbage among them again and again
    # takes a seventh of a short training, and as much of the start of a server.
    gc.set_threshold(OBJECTS)
    from eyespot.cli.main import main

    main()


if __name__ == "__main__":
    main()
