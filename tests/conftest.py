"""Makes ``actions_for_tests`` importable for every test below."""
