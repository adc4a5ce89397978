"""From a call to a plan: pure, since workers and simulators plan too."""
