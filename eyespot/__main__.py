"""`python -m eyespot` is `eyespot`."""

from eyespot.cli.main import main

if __name__ == "__main__":
    main()
