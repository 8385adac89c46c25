"""`python -m anomaly`: the command line, where the program `anomaly` is not found."""

from anomaly.cli import app

if __name__ == "__main__":
    app(prog_name="python -m anomaly")
