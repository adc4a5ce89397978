"""``python -m dynflow_mp.cli`` is ``dynflow-mp`` where scripts are not on the path."""

from __future__ import annotations

from dynflow_mp.cli.program import main

if __name__ == "__main__":
    main()
